"""Read the page headers of a parquet file, which state unpacked sizes; the file's own summary need not be true.

A header is a struct in Thrift's compact protocol (parquet-format, `parquet.thrift`: `PageHeader`;
thrift-compact-protocol.md).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from hf_sslgen.study.cells.cell_form import NoCellError

LARGEST_HEADER = 10_000
"""Maximum size in bytes; a header may contain the minimum and maximum of its page."""

DEEPEST = 8
SIZE, COMPRESSED, DATA, DICTIONARY, DATA_2 = 2, 3, 5, 7, 8
"""Fields of a header: unpacked and stored sizes, and the fields specific to each kind of page."""

ENCODING, ENCODING_2 = 2, 4
PLAIN_ENCODINGS = (0, 2, 3, 4, 8)
"""PLAIN, PLAIN_DICTIONARY, RLE, BIT_PACKED, RLE_DICTIONARY: other encodings may share the start of a text with the
previous one, so that the size of a page does not bound its unpacked size."""

TRUE, FALSE, BYTE, DOUBLE, BINARY, LIST, SET, STRUCT = 1, 2, 3, 7, 8, 9, 10, 12
INTEGERS = (4, 5, 6)


@dataclass(frozen=True)
class Page:
    """The size of a page in memory, in bytes, and whether its values may be encoded as parts of others."""

    size: int
    prefixes: bool


def pages(file: BinaryIO, start: int, length: int) -> Iterator[Page]:
    """Iterate over the pages of one column, starting at its first byte.

    Raises:
        NoCellError: the bytes are not pages.
    """
    position, end = start, start + length
    while position < end:
        file.seek(position)
        reader = _Reader(file.read(min(LARGEST_HEADER, end - position)))
        header = reader.struct()
        size, stored = header.get(SIZE), header.get(COMPRESSED)
        if not isinstance(size, int) or not isinstance(stored, int) or size < 0 or stored < 0:
            raise NoCellError("its records are not whole")
        position += reader.position + stored
        encodings = {header[kind].get(ENCODING) for kind in (DATA, DICTIONARY) if isinstance(header.get(kind), dict)}
        if isinstance(header.get(DATA_2), dict):
            encodings.add(header[DATA_2].get(ENCODING_2))
        yield Page(size, not encodings <= set(PLAIN_ENCODINGS))


class _Reader:
    """A cursor over bytes in the compact protocol."""

    def __init__(self, content: bytes) -> None:
        self.content = content
        self.position = 0

    def byte(self) -> int:
        if self.position >= len(self.content):
            raise NoCellError("its records are not whole")
        self.position += 1
        return self.content[self.position - 1]

    def varint(self) -> int:
        value, shift = 0, 0
        while True:
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value
            if shift > 63:
                raise NoCellError("its records are not whole")

    def integer(self) -> int:
        value = self.varint()
        return (value >> 1) ^ -(value & 1)

    def struct(self, depth: int = 0) -> dict[int, Any]:
        """Return fields by their number."""
        fields: dict[int, Any] = {}
        number = 0
        while (head := self.byte()) != 0:
            number = number + (head >> 4) if head >> 4 else self.integer()
            fields[number] = self.value(head & 0x0F, depth)
        return fields

    def value(self, kind: int, depth: int) -> Any:
        if depth > DEEPEST:
            raise NoCellError("its records are not whole")
        if kind in (TRUE, FALSE):
            return kind == TRUE
        if kind == BYTE:
            return self.byte()
        if kind in INTEGERS:
            return self.integer()
        if kind in (DOUBLE, BINARY):
            length = 8 if kind == DOUBLE else self.varint()
            self.position += length
            return None
        if kind in (LIST, SET):
            head = self.byte()
            for _ in range(head >> 4 if head >> 4 != 0x0F else self.varint()):
                self.value(BYTE if head & 0x0F in (TRUE, FALSE) else head & 0x0F, depth + 1)
            return None
        if kind == STRUCT:
            return self.struct(depth + 1)
        raise NoCellError("its records are not whole")
