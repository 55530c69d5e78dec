"""The small pictures that a page carries, each once, up to a size."""

import base64
from pathlib import Path

from hf_sslgen.study.pictures.stored_pictures import read_picture

ROOM = 900_000
"""Size of all pictures of a page together, in characters."""


class PictureBook:
    """Pictures by number, which the details of cells refer to.

    Args:
        room: characters that the pictures may take together; a picture that no longer fits is left out.
    """

    def __init__(self, room: int = ROOM) -> None:
        self._room = room
        self._numbers: dict[Path, int | None] = {}
        self._addresses: list[str] = []

    @property
    def addresses(self) -> list[str]:
        """The `data:` address of each picture, at its number."""
        return list(self._addresses)

    def number(self, path: Path | None) -> int | None:
        """Return the number of the picture in a file; None if there is none, it is damaged, or there is no room."""
        if path is None:
            return None
        if path not in self._numbers:
            self._numbers[path] = self._added(path)
        return self._numbers[path]

    def address(self, path: Path | None) -> str | None:
        """Return the `data:` address of the picture in a file; None as in `number`."""
        number = self.number(path)
        return None if number is None else self._addresses[number]

    def _added(self, path: Path) -> int | None:
        content = read_picture(path) if self._room > 0 else None
        if content is None:
            return None
        address = data_address(content)
        if len(address) > self._room:
            return None
        self._room -= len(address)
        self._addresses.append(address)
        return len(self._addresses) - 1


def data_address(content: bytes) -> str:
    """Return WebP bytes as a `data:` address."""
    return f"data:image/webp;base64,{base64.b64encode(content).decode('ascii')}"
