"""Check downloaded records: their unpacked size is bounded before they are unpacked, and their columns are plain."""

import itertools
import math
import re
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hf_sslgen.hub.parquet_pages import pages
from hf_sslgen.hub.study_tables import OWNER_COLUMNS
from hf_sslgen.study.cells.cell_form import NoCellError
from hf_sslgen.study.cells.record_columns import KEYS

MOST_BYTES = 250_000_000
"""Maximum unpacked size of records: eight bytes per number, and for each text the length of its column's longest."""

MOST_COLUMNS = 200
MOST_GROUPS = 1000
MOST_FOOTER_BYTES = 2_000_000
MOST_PAGES = 50_000
LONGEST_TEXT = 1000
"""Maximum bytes of a text in records: stored once and repeated by index, a long text could unpack to any size."""

WIDTH = 8
COLUMN = re.compile(r"[A-Za-z_]\w{0,99}", re.ASCII)


def check_records(path: Path) -> None:
    """Check the format of `records.parquet`, and that it fits into memory; raises NoCellError."""
    _check_footer(path)
    metadata = pq.read_metadata(path)
    num_rows, num_columns = metadata.num_rows, metadata.num_columns
    if num_rows == 0 or num_columns > MOST_COLUMNS or metadata.num_row_groups > MOST_GROUPS:
        raise NoCellError(f"its records have {num_rows:,} rows and {num_columns:,} columns")
    groups = [metadata.row_group(index) for index in range(metadata.num_row_groups)]
    if sum(group.num_rows for group in groups) != num_rows or any(group.num_rows < 0 for group in groups):
        raise NoCellError("its records are not whole")
    _require_room(num_rows * num_columns * WIDTH)
    schema = pq.read_schema(path)
    texts = _texts(schema)
    if list(schema.empty_table().to_pandas()) != schema.names:  # pandas' metadata, which others who read them trust
        raise NoCellError("its records describe themselves wrongly")
    sizes = list(itertools.islice(_page_sizes(path, metadata), MOST_PAGES + 1))
    if len(sizes) > MOST_PAGES:
        raise NoCellError(f"its records have more than {MOST_PAGES:,} pages")
    _require_room(sum(sizes))
    longest = dict.fromkeys(texts, 0)
    found = 0
    with pq.ParquetFile(path, read_dictionary=texts) as file:
        for batch in file.iter_batches():
            found += batch.num_rows
            for name, column in zip(batch.schema.names, batch.columns, strict=True):
                if pa.types.is_floating(column.type) and pc.any(pc.is_inf(column)).as_py():
                    raise NoCellError(f"its records have infinite values of {name!r}")
            for name in texts:
                length = pc.max(pc.binary_length(batch.column(name).dictionary)).as_py() or 0
                longest[name] = max(longest[name], length)
                if length > LONGEST_TEXT:
                    raise NoCellError(f"its records contain a text of more than {LONGEST_TEXT} bytes in {name!r}")
    if found != num_rows:
        raise NoCellError("its records are not whole")
    _require_room(num_rows * ((num_columns - len(texts)) * WIDTH + sum(longest.values())))


def _require_room(size: int) -> None:
    if size > MOST_BYTES:
        raise NoCellError(f"its records unpack to {size:,} bytes, more than {MOST_BYTES:,}")


def _check_footer(path: Path) -> None:
    """Check the last eight bytes: the length of the file's description, and a marker."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(max(0, size - 8))
        end = file.read()
    length = int.from_bytes(end[:4], "little")
    if end[4:] != b"PAR1" or length > min(size, MOST_FOOTER_BYTES):
        raise NoCellError("its records.parquet can't be read")


def _texts(schema: pa.Schema) -> list[str]:
    """Return the text columns; raises NoCellError if a column has a type that records do not have."""
    if len(set(schema.names)) < len(schema.names):
        raise NoCellError("its records have a duplicate column")
    for key in KEYS:
        if key not in schema.names:
            raise NoCellError(f"its records lack the column {key!r}")
    texts = []
    for field in schema:
        is_text = pa.types.is_string(field.type) or pa.types.is_large_string(field.type)
        is_number = pa.types.is_integer(field.type) or pa.types.is_floating(field.type)
        is_known = (is_text and field.name in KEYS) or is_number or pa.types.is_boolean(field.type)
        if not is_known or not COLUMN.fullmatch(field.name) or field.name in OWNER_COLUMNS:
            raise NoCellError(f"its records have a column of unknown type, {field.name[:80]!r}")
        if is_text:
            texts.append(field.name)
    return texts


def _page_sizes(path: Path, metadata: pq.FileMetaData) -> Iterator[int]:
    """Iterate over the unpacked sizes that pages state, which is what a reader allocates."""
    with path.open("rb") as file:
        for group in range(metadata.num_row_groups):
            for index in range(metadata.num_columns):
                column = metadata.row_group(group).column(index)
                starts = (column.dictionary_page_offset, column.data_page_offset)
                start = min((offset for offset in starts if offset is not None), default=math.inf)
                if not 0 <= start <= start + column.total_compressed_size <= path.stat().st_size:
                    raise NoCellError("its records are not whole")
                for page in pages(file, int(start), column.total_compressed_size):
                    if page.prefixes:
                        raise NoCellError("its records use an encoding that cells do not use")
                    yield page.size
