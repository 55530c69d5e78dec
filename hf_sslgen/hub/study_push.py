"""Publish a study: its cells and tables as a dataset, its page as a static Space.

Existing files are never changed, except the card: a cell is sent completely, in one commit with its tables, or not at
all. Commits name their parent, so that of two simultaneous pushes the later one reads the new state and continues.
"""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from huggingface_hub import CommitOperationAdd, HfApi

from hf_sslgen.errors import InputError
from hf_sslgen.hub.cell_check import LARGEST, check_files
from hf_sslgen.hub.licences import Licence
from hf_sslgen.hub.publishable import stage, without_paths
from hf_sslgen.hub.pushing import FRESH, commit_on
from hf_sslgen.hub.remote_study import CARD, CELLS, TABLES, RemoteStudy, fetch, look_at, other_numbers
from hf_sslgen.hub.study_card import Contents, StudyCard, contents_of, dataset_card, is_tagged, read_card, space_card
from hf_sslgen.hub.study_tables import write_tables
from hf_sslgen.hub_access.retries import patiently
from hf_sslgen.reporting.confound_words import facets_confounding
from hf_sslgen.reporting.page.html_page import render_page
from hf_sslgen.study.backbone_costs import BackboneCost
from hf_sslgen.study.cells.cell_folder import Cell
from hf_sslgen.study.cells.cell_form import NoCellError
from hf_sslgen.study.inference.contrasts import PairNames
from hf_sslgen.study.inference.known_backbones import trained_backbones
from hf_sslgen.study.inference.study_results import infer
from hf_sslgen.study.pictures.stored_pictures import PICTURES
from hf_sslgen.study.published_claims import Claim
from hf_sslgen.study.reference.published_values import ReferenceTable

CELLS_PER_COMMIT = 150
"""For large studies; each cell has up to six files, and the Hub asks for commits of at most hundreds of files."""


@dataclass(frozen=True)
class Publication:
    """What to publish.

    Attributes:
        cells: finished cells, ordered by name.
        pairs, claims, references: as in `infer`, for the page.
        missing: sentences about missing cells, for the page.
        examples: whether to include example pictures of the domains.
        costs: what backbones were measured to cost, for the page.
        pictures: whether the page shows the small pictures of images that the study keeps.
    """

    repository: str
    title: str
    cells: Sequence[Cell]
    pairs: PairNames | None
    claims: Sequence[Claim]
    references: Sequence[ReferenceTable]
    missing: Sequence[str]
    examples: bool
    licence: str | None
    report: bool
    pictures: bool = False
    costs: Sequence[BackboneCost] = ()


@dataclass
class PushedCells:
    """What a push has done so far: names of cells sent and already there, and how cells of the same name differ."""

    sent: list[str] = field(default_factory=list)
    found: list[str] = field(default_factory=list)
    conflicts: dict[str, str] = field(default_factory=dict)


def require_whole(cells: Sequence[Cell]) -> None:
    """Raise InputError if a cell is too large to be pulled again."""
    for cell in cells:
        try:
            check_files({path.name: path.stat().st_size for path in cell.folder.iterdir() if path.name in LARGEST})
        except NoCellError as error:
            raise InputError(f"{cell.folder}: {error}") from error


def published_files(publication: Publication) -> Iterator[Path]:
    """Iterate over the published files of the cells; tables are added to them."""
    for cell in publication.cells:
        for path in sorted(cell.folder.iterdir()):
            if path.name in LARGEST and (publication.examples or path.name != "examples.npz"):
                yield path


def push_cells(api: HfApi, publication: Publication, private: bool | None) -> PushedCells:
    """Send the cells missing from the repository, which is created if it does not exist."""
    pushed = PushedCells()
    _make(api, publication.repository, "dataset", private)
    page = f"datasets/{publication.repository}"
    with tempfile.TemporaryDirectory() as folder:
        while patiently(lambda: _push_some(api, publication, pushed, Path(folder)), page):
            pass
    return pushed


def _make(api: HfApi, repository: str, kind: str, private: bool | None) -> None:
    """Create the repository if it does not exist."""
    sdk = "static" if kind == "space" else None

    def make() -> None:
        api.create_repo(repository, repo_type=kind, space_sdk=sdk, private=private, exist_ok=True)

    patiently(make, f"{kind}s/{repository}")


def _push_some(api: HfApi, publication: Publication, pushed: PushedCells, folder: Path) -> bool:
    """Make one commit if there is anything to send; returns whether there may be more."""
    remote = look_at(api, publication.repository)
    there = remote.cells()
    if not any("cell.json" in files for files in there.values()):
        _require_empty(remote)
    new = [cell for cell in publication.cells if cell.folder.name not in there]
    pushed.found = [cell.folder.name for cell in publication.cells if cell.folder.name in there]
    for cell in publication.cells:
        name = cell.folder.name
        if name in there and name not in pushed.conflicts and name not in pushed.sent:
            words = other_numbers(api, remote, there[name].get("results.json"), cell.folder / "results.json")
            if words:
                pushed.conflicts[name] = words
    before = StudyCard()
    if CARD in remote.files:
        before = read_card(fetch(api, remote, remote.files[CARD], folder / "remote"), publication.repository)
    licence = _asked_licence(publication, before)
    has_report = publication.report or before.has_report
    if not new and (licence, has_report) == (before.licence, before.has_report):
        return False
    batch = new[:CELLS_PER_COMMIT]
    operations, contents = _cell_operations(batch, publication.examples, folder)
    card = dataset_card(
        publication.repository,
        publication.title,
        before.contents | contents,
        len(there.keys() | {cell.folder.name for cell in batch}),
        licence,
        has_report,
        facets_confounding(trained_backbones(publication.cells)),
    )
    operations.append(CommitOperationAdd(CARD, card.encode()))
    names = [cell.folder.name for cell in batch]
    message = f"Add {names[0]}" if len(names) == 1 else f"Add {len(names)} cells" if names else "Change the card"
    commit_on(remote.commit, api, publication.repository, operations, message, remote.kind)
    pushed.sent += names
    return len(new) > len(batch)


def _asked_licence(publication: Publication, before: StudyCard) -> Licence | None:
    """Return the licence of the push, or else that of the card, because adding cells must not remove a licence."""
    if publication.licence is None or (before.licence or {}).get("license") == publication.licence:
        return before.licence
    return {"license": publication.licence}


def _require_empty(remote: RemoteStudy) -> None:
    others = sorted(set(remote.files) - {".gitattributes"})
    if others:
        raise InputError(
            f"the dataset {remote.repository!r} exists and does not contain a study (it contains {others[0][:80]!r}); "
            "give another name"
        )


def _cell_operations(cells: Sequence[Cell], examples: bool, folder: Path) -> tuple[list[CommitOperationAdd], Contents]:
    """Return the operations that add the cells with their tables, and what the cells cover."""
    operations, columns = [], set()
    for cell in cells:
        staged = stage(cell, folder / CELLS, examples)
        paths = {f"{CELLS}/{cell.folder.name}/{path.name}": path for path in sorted(staged.folder.iterdir())}
        tables, found = write_tables(staged, folder / TABLES)
        paths |= {f"{TABLES}/{name}/{path.name}": path for name, path in tables.items()}
        operations += [CommitOperationAdd(there, str(here)) for there, here in paths.items()]
        columns |= found
    return operations, contents_of(cells, columns)


def _is_ours(api: HfApi, space: RemoteStudy) -> bool:
    """Whether a Space's card states that it shows a study's page."""
    if CARD not in space.files:
        return False
    with tempfile.TemporaryDirectory() as folder:
        return is_tagged(fetch(api, space, space.files[CARD], Path(folder)))


def push_report(api: HfApi, publication: Publication, private: bool | None) -> bool:
    """Publish the page of these cells as a static Space with the dataset's name; returns whether anything changed."""
    space = publication.repository
    with tempfile.TemporaryDirectory() as folder:
        store = Path(folder) / CELLS
        cells = [stage(cell, store, publication.examples) for cell in publication.cells]
        if publication.pictures:
            (Path(folder) / PICTURES).symlink_to(publication.cells[0].folder.resolve().parent.parent / PICTURES)
        missing = [without_paths(sentence) for sentence in publication.missing]
        asked = publication.pairs, publication.claims, publication.references, publication.costs
        page = render_page(infer(cells, *asked), publication.title, missing)
    files = {CARD: space_card(publication.repository, publication.title, cells), "index.html": page}
    _make(api, space, "space", private)

    def publish() -> bool:
        remote = look_at(api, space, "space")
        others = sorted(set(remote.files) - FRESH)
        if others and not _is_ours(api, remote):
            raise InputError(
                f"the Space {space!r} exists and is not a study's report (it contains {others[0][:80]!r}); give "
                "another name"
            )
        operations = [CommitOperationAdd(path, text.encode()) for path, text in files.items()]
        commit = commit_on(remote.commit, api, space, operations, f"Show {len(cells)} cells", remote.kind)
        return commit.oid != remote.commit

    return patiently(publish, f"spaces/{space}")
