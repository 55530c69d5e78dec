"""Pack the details of cells into a page, as many as it has room for."""

from collections.abc import Sequence

from markupsafe import Markup

from hf_sslgen.reporting.page.cell_details import cell_details
from hf_sslgen.reporting.page.page_script import packed_json
from hf_sslgen.reporting.page.picture_book import ROOM, PictureBook
from hf_sslgen.study.cells.cell_folder import Cell

PAGE_UP_TO = 4_800_000
"""Size of a page with its details, in characters."""


def details_within(cells: Sequence[Cell], room: int) -> Markup:
    """Return the elements that hold the details of cells by position, and the pictures that they share.

    The lowest seed of every backbone, domain and setting comes first. What no longer fits is left out; its numbers are
    among the page's data.

    Args:
        room: characters that the elements may take together.
    """
    room_of_pictures = max(0, min(ROOM, room // 3))
    book, left, elements = PictureBook(room_of_pictures), room - room_of_pictures, []
    for at in _by_seed(cells):
        element = packed_json(f"cell-{at}", cell_details(cells[at], book))
        left -= len(element)
        if left < 0:
            break
        elements.append(element)
    return Markup("\n").join([*elements, packed_json("cell-pictures", book.addresses)])


def _by_seed(cells: Sequence[Cell]) -> list[int]:
    """Return positions of cells: the first seed of each backbone, domain and setting, then the second, and so on."""
    seeds: dict[tuple[str, str, str, str], list[int]] = {}
    for cell in cells:
        seeds.setdefault((cell.backbone, cell.domain, cell.protocol, cell.labels), []).append(cell.seed)
    ranks = [sorted(seeds[cell.backbone, cell.domain, cell.protocol, cell.labels]).index(cell.seed) for cell in cells]
    return sorted(range(len(cells)), key=lambda at: (ranks[at], at))
