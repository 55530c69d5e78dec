"""Locate a backbone's files: in the package, in a folder, or on the Hub at some revision."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Final

from hf_sslgen.errors import InputError, hinted
from hf_sslgen.local_paths import path_refusal
from hf_sslgen.zoo.backbone_registry import UNTRAINED, Backbone, excluded_reason, find_backbone, known_backbone_ids
from hf_sslgen.zoo.converted_rows import ORGANIZATION_VARIABLE, converted_folder, converted_repository, is_converted

logger = logging.getLogger(__name__)

UNTRAINED_PREFIX: Final = f"{UNTRAINED}:"
"""Prefix of a backbone's name that requests the same architecture with freshly initialised weights."""

TWINS = Path(__file__).parent / "twins"


def split_revision(name: str) -> tuple[str, str | None]:
    """Split a name from the branch, tag or commit after its `@`, as timm does; a folder keeps its `@`.

    >>> split_revision("owner/name@v1.0")
    ('owner/name', 'v1.0')
    >>> split_revision("owner/name")
    ('owner/name', None)

    Raises:
        InputError: nothing follows the `@`.
    """
    base, sign, revision = name.partition("@")
    if not sign or Path(name).is_dir():
        return name, None
    if not revision:
        raise InputError(f"model_name_or_path {name!r} has no revision after its @; give a branch, tag or commit")
    return base, revision


def wanted_revision(name: str, model_revision: str | None) -> str | None:
    """Return the revision given in the name or separately, else the one pinned in the registry, or None.

    Raises:
        InputError: two different revisions are given, or one for a folder.
    """
    base, stated = split_revision(name)
    if stated is not None and model_revision is not None and stated != model_revision:
        raise InputError(f"model_name_or_path {name!r} and model_revision {model_revision!r} differ; give only one")
    row, asked = find_backbone(base), stated or model_revision
    is_converted_row = row is not None and row.needs_conversion
    is_folder = Path(base).is_dir() or (
        row is not None and (row.package_folder is not None or (is_converted_row and is_converted(row)))
    )
    if asked is not None and is_folder:
        raise InputError(f"model_name_or_path {base!r} is a folder and has no revision {asked!r}; omit the revision")
    # A revision pinned for a published file says nothing about the repository of its conversion.
    return asked or (row.revision if row is not None and not is_converted_row else None)


def resolve_location(name: str) -> str:
    """Resolve a backbone's name to a folder, or to a Hub id without a revision.

    Raises:
        InputError: the name is neither a folder nor registered nor of the form `owner/name` (lists similar names), or
            it is registered but has not been converted.
    """
    base, _ = split_revision(name)
    row = find_backbone(base)
    if row is not None and row.package_folder is not None:
        return str(TWINS / row.package_folder)
    excluded = excluded_reason(base)
    if excluded is not None:
        logger.warning("%s: %s", base, excluded)
    if Path(base).is_dir():
        return base
    if row is not None and row.needs_conversion:
        return _converted_location(name, row)
    hub_id = base.removeprefix("hf-hub:").removeprefix("hf_hub:")
    words = path_refusal(base) if row is None and hub_id == base else ""
    if words:
        for_the_hub = (
            f"; write hf-hub:{base} for the Hub's"
            if base.count("/") == 1 and words.endswith(" is a local folder")
            else ""
        )
        raise InputError(f"model_name_or_path {name!r} is not a checkpoint folder: {words}{for_the_hub}")
    if hub_id.count("/") != 1:
        unknown = f"model_name_or_path {name!r} is neither a folder nor a known backbone nor a Hub id (owner/name)"
        raise InputError(hinted(unknown, base, known_backbone_ids()))
    return hub_id


def is_available(row: Backbone) -> bool:
    """Whether a row can be loaded without converting its published file first; nothing is looked up on the Hub."""
    if not row.needs_conversion or row.package_folder is not None or Path(row.id).is_dir():
        return True
    return is_converted(row) or converted_repository(row) is not None


def _converted_location(name: str, row: Backbone) -> str:
    if is_converted(row):
        return str(converted_folder(row))
    repository = converted_repository(row)
    if repository is not None:
        return repository
    raise InputError(
        f"model_name_or_path {name!r} is published in another format; convert it first: `hf-sslgen zoo convert "
        f"{row.id}`, or set {ORGANIZATION_VARIABLE} to the Hub organisation that holds the converted checkpoints"
    )


def registered(name: str) -> Backbone | None:
    """Return a backbone's registry row; for an untrained one, with the objective `untrained`."""
    base, _ = split_revision(name.removeprefix(UNTRAINED_PREFIX))
    row = find_backbone(base)
    if row is not None and name.startswith(UNTRAINED_PREFIX):
        return replace(row, id=name, objective=UNTRAINED, family=UNTRAINED)
    return row
