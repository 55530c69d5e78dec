"""Select what is published of a cell: everything that determines its numbers, the numbers themselves, and provenance
that reveals nothing about the machine's owner."""

import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from hf_sslgen.files import write_json
from hf_sslgen.study.cells.cell_folder import Cell
from hf_sslgen.study.cells.cell_form import CELL, EXAMPLES, RECORDS, RESULTS, cell_content
from hf_sslgen.tokens import without_tokens
from hf_sslgen.zoo.locations import UNTRAINED_PREFIX

PUBLISHED_PROVENANCE = (
    *("objective", "family", "source", "pretraining_seed", "licence", "parameters", "group", "domain_metric"),
    *("class_names", "not_label_preserving", "notes", "selection", "seconds", "trunk_passes", "finished", "device"),
    *("threads", "libraries", "dataset_commit", "pretraining_epochs", "augmentation", "weights", "network"),
    "registered",
)
"""Published provenance; anything else, such as the command with its local paths, stays on this machine."""

LEFT_OUT = "commands, local paths, tokens, failures, the study's YAML file"
"""Description of what is never published."""

LINK_OR_PATH = re.compile(
    r"(?P<link>https?://\S*)"
    r"|(?<![\w/.\\<-])(?:~[\w.-]*/|\.{1,2}/|file:/|/(?=[\w.~])|[A-Za-z]:[\\/]|\\\\)[^\s\"'<>|,;)\]]*"
)


FOLDER_HASH = re.compile(r"[0-9a-f]{16}")
"""How an identity names weights from a folder; weights from the Hub are named by a commit, which is longer."""


def without_paths(text: str) -> str:
    """Replace local paths and tokens in a text, but keep web addresses."""
    return without_tokens(LINK_OR_PATH.sub(lambda match: match["link"] or "(local path)", text))


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return without_paths(value)
    if isinstance(value, dict):
        return {key: _cleaned(item) for key, item in value.items()}
    return [_cleaned(item) for item in value] if isinstance(value, list) else value


def published_provenance(provenance: dict[str, Any]) -> dict[str, Any]:
    """Return the part of a cell's provenance that is published."""
    return {
        key: value if key == "class_names" else _cleaned(value)
        for key, value in provenance.items()
        if key in PUBLISHED_PROVENANCE
    }


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)


def private_texts(cells: Sequence[Cell]) -> list[str]:
    """Find local paths and tokens in identities, where they can't be removed without changing the cell."""
    identities = [cell.identity for cell in cells]
    found = {text for identity in identities for text in _texts(identity) if without_paths(text) != text}
    return sorted(found | {identity["backbone"] for identity in identities if _is_called_by_its_folder(identity)})


def _is_called_by_its_folder(identity: dict[str, Any]) -> bool:
    """Whether a name like `owner/name` is the relative path of a folder."""
    name = str(identity["backbone"]).removeprefix(UNTRAINED_PREFIX)
    is_from_folder = FOLDER_HASH.fullmatch(str(identity.get("weights"))) is not None
    return "/" in name and (is_from_folder or Path(name).exists())


def stage(cell: Cell, store: Path, examples: bool) -> Cell:
    """Create the published form of the cell in a folder of `store`; large files link to the originals.

    Args:
        examples: whether example pictures are published.
    """
    folder = store / cell.folder.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    provenance = published_provenance(cell.provenance)
    for name in (RESULTS, RECORDS, *((EXAMPLES,) if examples else ())):
        if (cell.folder / name).exists():
            (folder / name).symlink_to((cell.folder / name).resolve())
    write_json(folder / CELL, cell_content(cell.identity, provenance, folder))
    return replace(cell, folder=folder, provenance=provenance)
