"""Single pictures of a page with the words below them, within the room that the page has for pictures."""

from dataclasses import dataclass
from pathlib import Path

from hf_sslgen.reporting.page.picture_book import data_address
from hf_sslgen.study.cells.cell_folder import Cell
from hf_sslgen.study.pictures.stored_pictures import read_picture

ROOM = 1_200_000
"""Size that the pictures may take together, in characters of the page."""


@dataclass(frozen=True)
class Tile:
    """A picture.

    Attributes:
        source: its `data:` address.
        alt: what it shows, for readers who do not see it.
        lines: words below it.
        after: address of the picture after a transform, shown beside it; empty if there is none.
        verdict: `right` or `wrong`, of a prediction; empty if it shows none.
    """

    source: str
    alt: str
    lines: tuple[str, ...] = ()
    after: str = ""
    verdict: str = ""


class Room:
    """The room of a page for pictures, of which every use takes a part."""

    def __init__(self, characters: int = ROOM) -> None:
        self._left = characters
        self._known: dict[Path, str | None] = {}
        self.is_full = False

    def address_of(self, path: Path | None) -> str | None:
        """Return the `data:` address of the picture in a file; None without a usable one, or without room."""
        if path is None:
            return None
        if path not in self._known:
            content = read_picture(path)
            self._known[path] = None if content is None else data_address(content)
        return self._taken(self._known[path])

    def address(self, content: bytes) -> str | None:
        """Return WebP bytes as a `data:` address; None without room."""
        return self._taken(data_address(content))

    def _taken(self, address: str | None) -> str | None:
        if address is None:
            return None
        if len(address) > self._left:
            self.is_full = True
            return None
        self._left -= len(address)
        return address


def class_word(cell: Cell, index: int) -> str:
    """Return the name of a class of a cell."""
    names = cell.provenance.get("class_names") or ()
    return str(names[index]) if 0 <= index < len(names) else f"class {index}"


def percent(share: float) -> str:
    """Format a confidence; one below certainty never reads 100%."""
    return f"{min(100 * share, 99.9):.1f}%" if 0.995 <= share < 1.0 else f"{100 * share:.0f}%"
