"""Small files that would unpack to gigabytes: refused by a process that has little memory."""

import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from damage import reseal
from fake_study import SUPERVISED, Setting, write_study

pytestmark = pytest.mark.slow

ROWS = 50_000_000
CHECK = """
import resource, sys
from pathlib import Path
from hf_sslgen.errors import InputError
from hf_sslgen.hub.cell_check import check_cell
import hf_sslgen.reporting.results_csv, pyarrow.parquet  # what is imported later would count

def used():
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()

resource.setrlimit(resource.RLIMIT_AS, (used() + 800_000_000,) * 2)
cell = Path(sys.argv[1])
try:
    check_cell(cell, cell.name)
except InputError as error:
    print(error)
else:
    print("taken over")
"""


def write_long(cell: Path, names: int, **options: object) -> None:
    """Records with so many columns of one value, written row group by row group."""
    table = pq.read_table(cell / "records.parquet").replace_schema_metadata(None).slice(0, 1)
    part = pa.table(
        {name: pa.array([table[name][0].as_py()] * 1_000_000, table[name].type) for name in table.column_names}
    )
    for index in range(names):
        part = part.append_column(f"more_{index}", pa.array(np.zeros(len(part))))
    with pq.ParquetWriter(cell / "records.parquet", part.schema, **options) as writer:
        for _ in range(ROWS // len(part)):
            writer.write_table(part)


def long_dictionary(cell: Path) -> None:
    """One text of half a gigabyte, compressed to nearly nothing."""
    table = pq.read_table(cell / "records.parquet").replace_schema_metadata(None)
    values = pa.DictionaryArray.from_arrays(pa.array([0] * len(table), pa.int32()), pa.array(["x" * 500_000_000]))
    table = table.set_column(table.schema.get_field_index("sample_id"), "sample_id", values)
    pq.write_table(table, cell / "records.parquet", compression="zstd", store_schema=False, write_statistics=False)


def long_array(cell: Path) -> None:
    with zipfile.ZipFile(cell / "examples.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        for name in ("images", "maps", "sample_ids"):
            with archive.open(f"{name}.npy", "w") as file:
                np.lib.format.write_array_header_1_0(
                    file, {"descr": "|u1", "fortran_order": False, "shape": (300_000_000,)}
                )
                for _ in range(300):
                    file.write(bytes(1_000_000))


def long_json(cell: Path) -> None:
    (cell / "results.json").write_text('{"numbers": [' + "[[]]," * 10_000_000 + "1]}")


BOMBS: dict[str, Callable[[Path], None]] = {
    "fifty million rows": lambda cell: write_long(cell, 0),
    "fifty million rows of more columns": lambda cell: write_long(cell, 30, compression="zstd"),
    "a text of half a gigabyte": long_dictionary,
    "arrays of a gigabyte": long_array,
    "fifty megabytes of brackets": long_json,
}


@pytest.mark.parametrize("kind", list(BOMBS))
def test_a_bomb_is_refused_in_little_memory(kind: str, tmp_path: Path) -> None:
    write_study(tmp_path / "cells", (SUPERVISED,), [("photo-patches", "similar")], settings=(Setting("linear"),))
    (cell,) = (tmp_path / "cells").iterdir()
    BOMBS[kind](cell)
    reseal(cell)
    ended = subprocess.run([sys.executable, "-c", CHECK, str(cell)], capture_output=True, text=True, timeout=500)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.strip() not in ("", "taken over")
    assert "MemoryError" not in ended.stdout
    shutil.rmtree(tmp_path / "cells")
