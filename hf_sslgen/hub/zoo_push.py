"""Push the converted checkpoints of registered backbones to an organisation, from which `locations` loads them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from huggingface_hub import HfApi

from hf_sslgen.errors import HubError, InputError, SslgenError, hinted
from hf_sslgen.hub.pushing import PushRequest, push_files
from hf_sslgen.zoo.backbone_registry import Backbone, find_backbone, known_backbone_ids, twin_sets
from hf_sslgen.zoo.converted_rows import CONVERTED_FILES, converted_folder, is_converted, repository_name

CARD = "README.md"

Result = Literal["pushed", "unchanged", "left out", "failed"]

NO_REDISTRIBUTION = ("cc-by-nd", "cc-by-nc-nd")
"""Beginnings of the names of licences that forbid passing on a changed work, which a conversion is."""


@dataclass(frozen=True)
class RowPush:
    """What became of a row, and why or where."""

    row: Backbone
    result: Result
    said: str


@dataclass(frozen=True)
class ChosenRow:
    """A row to push.

    Attributes:
        by_name: whether it was asked for by name, so that its licence is the owner's concern.
    """

    row: Backbone
    by_name: bool


def rows_to_push(sets: Sequence[str], names: Sequence[str]) -> list[ChosenRow]:
    """Return the rows to push: of twin sets, by name, or without either all that are converted.

    Raises:
        InputError: a name is unknown, or its backbone needs no conversion.
    """
    known = twin_sets()
    chosen: dict[str, ChosenRow] = {}
    for name in sets:
        if name not in known:
            raise InputError(hinted(f"set {name!r} is not a twin set; known: {', '.join(known)}", name, known))
        rows = known[name].backbones
        chosen |= {row.id: ChosenRow(row, by_name=False) for row in rows if row.needs_conversion}
    for name in names:
        row = find_backbone(name)
        if row is None or not row.needs_conversion:
            wrong = "is not a registered backbone" if row is None else "needs no conversion, so it is not pushed"
            raise InputError(hinted(f"name {name!r} {wrong}", name, known_backbone_ids()))
        chosen[name] = ChosenRow(row, by_name=True)
    if not sets and not names:
        every = [find_backbone(name) for name in known_backbone_ids()]
        rows_here = [row for row in every if row is not None and row.needs_conversion and is_converted(row)]
        chosen = {row.id: ChosenRow(row, by_name=False) for row in rows_here}
    return list(chosen.values())


def push_rows(
    api: HfApi, chosen: Sequence[ChosenRow], organization: str, private: bool | None = None
) -> Iterator[RowPush]:
    """Push rows one after another, yielding what became of each; one failure does not stop the others.

    A repository whose files are the same gets no commit, so that a repeated call continues an interrupted one.

    Args:
        private: visibility of new repositories.
    """
    for each in chosen:
        reason = _reason_to_leave_out(each)
        if reason is not None:
            yield RowPush(each.row, "left out", reason)
            continue
        try:
            yield _push(api, each.row, organization, private)
        except (SslgenError, OSError) as error:
            yield RowPush(each.row, "failed", str(error))


def _reason_to_leave_out(chosen: ChosenRow) -> str | None:
    row = chosen.row
    if not is_converted(row):
        return f"not converted; run `hf-sslgen zoo convert {row.id}`"
    if chosen.by_name:
        return None
    if row.licence is None:
        return f"its publisher states no licence; `--names {row.id}` pushes it if you have the right to"
    if row.licence.startswith(NO_REDISTRIBUTION):
        return f"{row.licence} forbids passing on a conversion; `--names {row.id}` pushes it if you have the right to"
    return None


def _push(api: HfApi, row: Backbone, organization: str, private: bool | None) -> RowPush:
    folder = converted_folder(row)
    card = folder / CARD
    if not card.is_file():
        raise InputError(f"{folder} has no {CARD}; remove the folder and run `hf-sslgen zoo convert {row.id}`")
    repository = f"{organization}/{repository_name(row)}"
    files: dict[str, Path | bytes] = {name: folder / name for name in (*CONVERTED_FILES, CARD)}
    pushed = push_files(api, PushRequest(repository, private=private), files, f"Convert {row.id}")
    return RowPush(row, "pushed" if pushed.changed else "unchanged", pushed.url)


def require_pushed(pushes: Sequence[RowPush]) -> None:
    """Raise HubError if a row failed."""
    failed = [each.row.id for each in pushes if each.result == "failed"]
    if failed:
        raise HubError(f"{len(failed)} of {len(pushes)} backbones could not be pushed ({', '.join(failed)})")
