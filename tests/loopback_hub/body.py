"""The body of a request, read as it arrives: by Content-Length or in chunks."""

import json
from collections.abc import Iterator
from io import BufferedIOBase
from typing import Any

PIECE = 1 << 16


class ConnectionDroppedError(Exception):
    """The client went away, or a fault says that we do, before the body was whole."""


class Body:
    """Counts what it has read; `limit` is the number of bytes after which a fault breaks the connection."""

    def __init__(self, stream: BufferedIOBase, content_length: str | None, chunked: bool) -> None:
        self._stream = stream
        self._chunked = chunked
        self.declared = int(content_length or 0)
        self.received = 0
        self.limit: int | None = None
        self._finished = False

    @property
    def expected(self) -> bool:
        return self._chunked or self.declared > 0

    def pieces(self) -> Iterator[bytes]:
        """The body, once."""
        if self._finished:
            return
        if not self._chunked:
            yield from self._read(self.declared - self.received)
        else:
            while size := int(self._stream.readline().split(b";")[0] or b"0", 16):
                yield from self._read(size)
                self._stream.readline()
            while self._stream.readline().strip():
                pass
        self._finished = True

    def _read(self, size: int) -> Iterator[bytes]:
        while size > 0:
            allowed = PIECE if self.limit is None else min(PIECE, self.limit - self.received)
            piece = self._stream.read(min(size, allowed)) if allowed > 0 else b""
            if not piece:
                raise ConnectionDroppedError
            size -= len(piece)
            self.received += len(piece)
            yield piece

    def read(self) -> bytes:
        return b"".join(self.pieces())

    def json(self) -> Any:
        return json.loads(self.read() or b"{}")

    def drain(self) -> None:
        """Reads what is left, so that the connection can serve another request."""
        for _ in self.pieces():
            pass
