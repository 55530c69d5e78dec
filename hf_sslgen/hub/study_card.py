"""Write and read the cards of a published study: its dataset with two tables, and its Space with the page."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import metadata_load

from hf_sslgen import __version__
from hf_sslgen.hub.licences import Licence, stated_licence
from hf_sslgen.hub.records_check import COLUMN
from hf_sslgen.hub.study_tables import RECORDS, RESULT_COLUMNS, RESULTS, features, record_columns
from hf_sslgen.reporting.cards import card_yaml, render_card
from hf_sslgen.study.cells.cell_folder import Cell

TAG = "hf-sslgen-study"
CONTENTS = "hf_sslgen_study"
"""Key of a card's metadata that describes the cells, for later pushes."""

MOST_NAMES, LONGEST_NAME = 1000, 300
LARGEST_CARD = 1_000_000


@dataclass(frozen=True)
class Contents:
    """What a repository's cells cover: names, and the columns of their records."""

    backbones: frozenset[str] = frozenset()
    domains: frozenset[str] = frozenset()
    protocols: frozenset[str] = frozenset()
    columns: frozenset[str] = frozenset()

    def __or__(self, other: "Contents") -> "Contents":
        return Contents(*(vars(self)[name] | vars(other)[name] for name in vars(self)))


def contents_of(cells: Iterable[Cell], columns: Iterable[str]) -> Contents:
    """Return what these cells cover."""
    cells = list(cells)
    return Contents(
        frozenset(cell.backbone for cell in cells),
        frozenset(cell.domain for cell in cells),
        frozenset(cell.protocol for cell in cells),
        frozenset(columns),
    )


@dataclass(frozen=True)
class StudyCard:
    """The content of a study dataset's card that later pushes extend."""

    contents: Contents = field(default_factory=Contents)
    licence: Licence | None = None
    has_report: bool = False


def read_card(card: Path, repository: str) -> StudyCard:
    """Read a card on the Hub; anything not in our format is ignored."""
    metadata = _metadata(card)
    has_report = bool(metadata) and _report_page(repository) in card.read_text(encoding="utf-8", errors="replace")
    return StudyCard(_contents(metadata.get(CONTENTS)), stated_licence(metadata), has_report)


def _report_page(repository: str) -> str:
    """Return the address of the Space with the page, as linked in the card."""
    return f"https://huggingface.co/spaces/{repository}"


def _contents(said: Any) -> Contents:
    if not isinstance(said, dict):
        return Contents()
    names = {key: frozenset(_names(said.get(key))) for key in vars(Contents())}
    columns = frozenset(name for name in names.pop("columns") if COLUMN.fullmatch(name))
    return Contents(**names, columns=columns)


def is_tagged(card: Path) -> bool:
    """Whether a card on the Hub is one of ours."""
    return TAG in _names(_metadata(card).get("tags"))


def _metadata(card: Path) -> dict[str, Any]:
    """Return the metadata of a card; empty if it can't be read."""
    if card.stat().st_size > LARGEST_CARD:
        return {}
    try:
        return metadata_load(card) or {}
    except (ValueError, yaml.YAMLError, RecursionError):
        return {}


def _names(value: Any) -> list[str]:
    listed = value if isinstance(value, list) else []
    return [item for item in listed[:MOST_NAMES] if isinstance(item, str) and len(item) <= LONGEST_NAME]


def _configuration(name: str) -> dict[str, Any]:
    return {"config_name": name, "data_files": [{"split": "train", "path": f"tables/{name}/*.parquet"}]}


def dataset_card(
    repository: str,
    title: str,
    contents: Contents,
    num_cells: int,
    licence: Licence | None,
    has_report: bool,
    differing: Sequence[str] = (),
) -> str:
    """Return the README.md of a study's dataset.

    Args:
        differing: what its trained backbones are not known to have in common, of architecture and source data.
    """
    columns = {RESULTS: list(RESULT_COLUMNS), RECORDS: record_columns(contents.columns)}
    metadata = {
        "pretty_name": title,
        **(licence or {}),
        "tags": ["hf-sslgen", TAG],
        "configs": [{**_configuration(RESULTS), "default": True}, _configuration(RECORDS)],
        "dataset_info": [{"config_name": name, "features": features(found)} for name, found in columns.items()],
        CONTENTS: {key: sorted(names) for key, names in vars(contents).items()},
    }
    values = {
        "metadata": card_yaml(metadata),
        "repository": repository,
        "title": title,
        "contents": {key: sorted(names) for key, names in vars(contents).items()},
        "num_cells": num_cells,
        "differing": list(differing),
        "report_page": _report_page(repository) if has_report else None,
        "version": __version__,
    }
    return render_card("study.md", values)


def space_card(repository: str, title: str, cells: Sequence[Cell]) -> str:
    """Return the README.md of a static Space that shows a study's page."""
    metadata = {
        "title": title,
        "emoji": "📊",
        "colorFrom": "blue",
        "colorTo": "gray",
        "sdk": "static",
        "pinned": False,
        "short_description": "Self-supervised against supervised backbones",
        "datasets": [repository],
        "tags": ["hf-sslgen", TAG],
    }
    values = {
        "metadata": card_yaml(metadata),
        "title": title,
        "repository": repository,
        "num_cells": len(cells),
        "version": __version__,
    }
    return render_card("study_report.md", values)
