"""The pictures of a page: where each backbone looks, its surest errors, disagreements, and unrecognised transforms.

They are plain values with `data:` addresses, which `templates/pictures.html.jinja` turns into HTML without script.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hf_sslgen.reporting.page.attribution_tiles import Overlays, overlays_of
from hf_sslgen.reporting.page.picture_tiles import Room, Tile, class_word, percent
from hf_sslgen.reporting.table_rows import (
    Setting,
    domains_of,
    order_backbones,
    settings_of,
    shown_accuracy,
    shown_in_figures,
)
from hf_sslgen.reporting.vocabulary import format_decimals, setting_words, transform_words
from hf_sslgen.study.cells.cell_folder import PRETRAINED_PROTOCOL, Cell
from hf_sslgen.study.pictures.picture_choice import WrongPrediction, errors_of, least_invariant
from hf_sslgen.study.pictures.stored_pictures import CellPictures, pictures_of
from hf_sslgen.zoo.backbone_registry import UNTRAINED

MOST_ERRORS = 6
MOST_DISAGREEMENTS = 6
MOST_OPPONENTS = 3
"""Number of backbones that the most accurate one is set against."""

NO_PICTURES = "There are no small pictures of the images here, so errors and transforms are shown as numbers only."


@dataclass(frozen=True)
class Strip:
    """A row of pictures with a title: those of one backbone, or of one side of a disagreement."""

    title: str
    tiles: list[Tile]
    backbones: tuple[str, ...]


@dataclass(frozen=True)
class Scene:
    """The pictures of one domain under one setting.

    Attributes:
        title: domain and setting in words.
        domain, protocol, labels: to filter by.
    """

    title: str
    domain: str
    protocol: str
    labels: str
    strips: list[Strip] = field(default_factory=list)
    overlays: Overlays | None = None


@dataclass(frozen=True)
class PictureSections:
    """All pictures of a page, by kind; `notes` are sentences on what is missing."""

    overlays: list[Scene]
    errors: list[Scene]
    disagreements: list[Scene]
    moved: list[Scene]
    notes: list[str]


@dataclass(frozen=True)
class _Group:
    """The cells of one domain and setting that figures have room for, with their pictures and errors."""

    cells: list[Cell]
    setting: Setting
    names: Mapping[str, str]

    def name(self, cell: Cell) -> str:
        return self.names.get(cell.backbone, cell.backbone)

    @property
    def domain(self) -> str:
        return self.cells[0].domain

    def scene(self, strips: list[Strip], overlays: Overlays | None = None) -> Scene:
        title = f"{self.domain}, {setting_words(*self.setting)}"
        return Scene(title, self.domain, *self.setting, strips=strips, overlays=overlays)


def picture_sections(cells: Sequence[Cell], names: Mapping[str, str] | None = None) -> PictureSections:
    """Choose the pictures of a study's page, from cells in their store.

    What no longer fits into the page's room for pictures is left out, the settings of later domains first.

    Args:
        names: short names of backbones; None keeps the full ones.
    """
    room, groups = Room(), list(_groups(cells, names or {}))
    pictures = {cell.folder: pictures_of(cell.folder) for group in groups for cell in group.cells}
    trained = [group for group in groups if group.setting[0] != PRETRAINED_PROTOCOL]
    overlays = [
        group.scene([], found)
        for group in groups
        if (found := overlays_of(group.cells, room, group.names)) is not None
    ]
    errors = [group.scene(_errors(group, pictures, room)) for group in trained]
    disagreements = [group.scene(_disagreements(group, pictures, room)) for group in trained]
    moved = [group.scene(_moved(group, pictures, room)) for group in groups]
    notes = [] if any(pictures.values()) else [NO_PICTURES]
    if room.is_full:
        notes.append("Some pictures are left out, to keep the page small.")
    return PictureSections(overlays, _filled(errors), _filled(disagreements), _filled(moved), notes)


def _filled(scenes: Sequence[Scene]) -> list[Scene]:
    return [scene for scene in scenes if scene.strips]


def _groups(cells: Sequence[Cell], names: Mapping[str, str]) -> Iterator[_Group]:
    """Iterate over the domains and settings, published encoders last, with the cells that figures show."""
    order = {name: rank for rank, name in enumerate(order_backbones(cells))}
    for domain in domains_of(cells):
        here = sorted((cell for cell in cells if cell.domain == domain), key=lambda cell: order[cell.backbone])
        settings = settings_of(here, domain)
        published = [(cell.protocol, cell.labels) for cell in here if cell.protocol == PRETRAINED_PROTOCOL]
        for setting in dict.fromkeys([*settings, *published]):
            shown, _ = shown_in_figures([cell for cell in here if (cell.protocol, cell.labels) == setting])
            yield _Group(shown, setting, names)


def _errors(group: _Group, pictures: dict[Path, CellPictures], room: Room) -> list[Strip]:
    strips = []
    for cell in group.cells:
        tiles = _error_tiles(cell, errors_of(cell.columns().clean)[:MOST_ERRORS], pictures[cell.folder], room)
        if tiles:
            strips.append(Strip(group.name(cell), tiles, (cell.backbone,)))
    return strips


def _error_tiles(cell: Cell, errors: Sequence[WrongPrediction], pictures: CellPictures, room: Room) -> list[Tile]:
    """Return tiles of errors, up to the first without a picture, so that no surer error is passed over."""
    tiles = []
    for error in errors:
        source = room.address_of(pictures.image(error.sample_id))
        if source is None:
            break
        true, predicted = (class_word(cell, index) for index in (error.reference, error.prediction))
        words = (f"true: {true}", f"predicted: {predicted}", f"{percent(error.confidence)} sure")
        tiles.append(Tile(source, ", ".join(words), words))
    return tiles


def _disagreements(group: _Group, pictures: dict[Path, CellPictures], room: Room) -> list[Strip]:
    """Set the most accurate backbone against the next ones: the surest errors of each that the other avoids."""
    compared = [cell for cell in group.cells if cell.objective != UNTRAINED and errors_of(cell.columns().clean)]
    ranked = sorted(compared, key=_accuracy, reverse=True)
    strips = []
    for other in ranked[1 : 1 + MOST_OPPONENTS]:
        for right, wrong in ((ranked[0], other), (other, ranked[0])):
            avoided = _avoided(right, wrong)[:MOST_DISAGREEMENTS]
            tiles = _error_tiles(wrong, avoided, pictures[wrong.folder], room)
            if tiles:
                title = f"{group.name(right)} is right, {group.name(wrong)} is wrong"
                strips.append(Strip(title, tiles, (right.backbone, wrong.backbone)))
    return strips


def _avoided(right: Cell, wrong: Cell) -> list[WrongPrediction]:
    """Return the errors of one cell on images that another one predicts correctly."""
    rows = right.columns().clean
    correct = {
        sample_id
        for sample_id, is_right in zip(rows.sample_ids.tolist(), rows["correct"], strict=True)
        if is_right == 1
    }
    return [error for error in errors_of(wrong.columns().clean) if error.sample_id in correct]


def _accuracy(cell: Cell) -> float:
    number = cell.number(shown_accuracy(cell))
    return -1.0 if number is None else number.value


def _moved(group: _Group, pictures: dict[Path, CellPictures], room: Room) -> list[Strip]:
    strips = []
    for cell in group.cells:
        not_preserving = cell.provenance["not_label_preserving"]
        tiles = []
        for image in least_invariant(cell.columns(), not_preserving):
            paths = pictures[cell.folder].before_and_after(image.sample_id, image.variant)
            sources = [room.address_of(path) for path in paths or ()]
            if len(sources) < 2 or sources[0] is None or sources[1] is None:
                break
            words = transform_words(*image.variant)
            similarity = f"similarity {format_decimals(image.cosine, 2)} (chance {format_decimals(image.chance, 2)})"
            tiles.append(Tile(sources[0], f"before and after {words}", (words, similarity), after=sources[1]))
        if tiles:
            strips.append(Strip(group.name(cell), tiles, (cell.backbone,)))
    return strips
