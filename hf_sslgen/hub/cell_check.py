"""Check whether a downloaded cell can be used; nothing in it is trusted before it is checked.

Only JSON, parquet with plain columns and NumPy arrays without objects are read, and nothing in them is ever executed.
The unpacked size of a file is known, and bounded, before it is unpacked.
"""

import math
import zipfile
from pathlib import Path
from typing import IO

import numpy as np

from hf_sslgen.hub.records_check import check_records
from hf_sslgen.study.cells.cell_folder import Cell, cell_folder
from hf_sslgen.study.cells.cell_form import CELL, EXAMPLES, RECORDS, RESULTS, NoCellError, read_cell_files
from hf_sslgen.study.cells.cell_records import require_consistent

NEEDED = (CELL, RESULTS, RECORDS)
LARGEST = {CELL: 5_000_000, RESULTS: 5_000_000, RECORDS: 300_000_000, EXAMPLES: 250_000_000}
"""Maximum size, in bytes, of each file that a cell may contain."""

MOST_PICTURE_BYTES = 250_000_000
"""Maximum unpacked size, in bytes, of all arrays of `examples.npz` together."""

EXAMPLE_ARRAYS = {"images": ("u", 4), "maps": ("f", 3), "sample_ids": ("iuU", 1), "boxes": ("f", 2)}
"""Arrays of `examples.npz`, with the permitted kinds of NumPy types and the number of dimensions."""


NEEDED_ARRAYS = {"images.npy", "maps.npy", "sample_ids.npy"}


def check_cell(folder: Path, name: str) -> None:
    """Check the files of a cell in `folder` that claims the given name.

    Raises:
        NoCellError: it can't be read, or does not match its name.
    """
    sizes = {path.name: path.stat().st_size for path in folder.iterdir()}
    check_files(sizes)
    try:
        cell = Cell(folder, *read_cell_files(folder))
        if cell_folder(folder.parent, cell.identity).name != name:
            raise NoCellError("its identity does not match its name")
        check_records(folder / RECORDS)
        require_consistent(cell)
        if EXAMPLES in sizes:
            _check_examples(folder / EXAMPLES)
    except NoCellError:
        raise
    # The errors that a malicious file can cause can't be listed; each means that it isn't a cell.
    except Exception as error:
        raise NoCellError(f"it can't be read ({type(error).__name__})") from error


def check_files(sizes: dict[str, int]) -> None:
    """Check which files a cell has, and their sizes in bytes; raises NoCellError."""
    unknown = sorted(set(sizes) - set(LARGEST))
    if unknown:
        raise NoCellError(f"it contains {unknown[0][:80]!r}, which does not belong to a cell")
    for name in NEEDED:
        if name not in sizes:
            raise NoCellError(f"it has no {name}")
    for name, size in sizes.items():
        if size > LARGEST[name]:
            raise NoCellError(f"its {name} has {size:,} bytes; at most {LARGEST[name]:,} are allowed")


def _check_examples(path: Path) -> None:
    """Check the headers of the arrays, which state their sizes, before reading any of them."""
    lengths = {}
    arrays = {f"{name}.npy": kind for name, kind in EXAMPLE_ARRAYS.items()}
    with zipfile.ZipFile(path) as archive:
        names = [info.filename for info in archive.infolist()]
        if sum(info.file_size for info in archive.infolist()) > MOST_PICTURE_BYTES:
            raise NoCellError("its example pictures are too large")
        if len(set(names)) < len(names) or not set(names) <= set(arrays) or not set(names) >= NEEDED_ARRAYS:
            raise NoCellError("its example pictures have missing or unexpected arrays")
        for info in archive.infolist():
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise NoCellError("its example pictures use a compression that cells do not use")
            with archive.open(info) as file:
                shape, dtype, size = _header(file)
            kinds, dimensions = arrays[info.filename]
            if dtype.kind not in kinds or len(shape) != dimensions or size != info.file_size:
                raise NoCellError(f"its example pictures have unusable {info.filename.removesuffix('.npy')}")
            if info.filename == "images.npy" and (dtype != np.uint8 or shape[-1] != 3):
                raise NoCellError("its example pictures are not pictures")
            lengths[info.filename] = shape[0]
    if len(set(lengths.values())) > 1:
        raise NoCellError("its example pictures have unusable maps")
    with np.load(path, allow_pickle=False) as loaded:
        for name in loaded.files:
            if loaded[name].dtype.kind == "f" and np.isinf(loaded[name]).any():
                raise NoCellError(f"its example pictures have infinite {name}")


def _header(file: IO[bytes]) -> tuple[tuple[int, ...], np.dtype, int]:
    """Return shape and type of a stored array, and its size in bytes including the header."""
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    return shape, dtype, file.tell() + math.prod(shape) * dtype.itemsize
