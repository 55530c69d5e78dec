"""Where a backbone's files are: shipped with the package, in a folder, or on the Hub at some revision."""

import logging
from dataclasses import replace
from pathlib import Path
from typing import Final

from hf_sslgen.errors import InputError, nearest_names
from hf_sslgen.local_paths import path_refusal
from hf_sslgen.zoo.backbone_registry import UNTRAINED, Backbone, excluded_reason, find_backbone, known_backbone_ids

logger = logging.getLogger(__name__)

UNTRAINED_PREFIX: Final = f"{UNTRAINED}:"
"""Prefix of a backbone's name that asks for the same architecture with freshly initialised weights."""

TWINS = Path(__file__).parent / "twins"


def split_revision(name: str) -> tuple[str, str | None]:
    """A name and the branch, tag or commit behind its `@`, as `timm` writes it; a folder keeps its `@`.

    >>> split_revision("owner/name@v1.0")
    ('owner/name', 'v1.0')
    >>> split_revision("owner/name")
    ('owner/name', None)

    Raises:
        InputError: nothing stands behind the `@`.
    """
    base, sign, revision = name.partition("@")
    if not sign or Path(name).is_dir():
        return name, None
    if not revision:
        raise InputError(f"model_name_or_path {name!r} names no revision behind its @; give a branch, tag or commit")
    return base, revision


def wanted_revision(name: str, model_revision: str | None) -> str | None:
    """The revision that is asked for, by the name or beside it; else the one that the registry pins, or None.

    Raises:
        InputError: two are asked for, or one of what has none.
    """
    base, stated = split_revision(name)
    if stated is not None and model_revision is not None and stated != model_revision:
        raise InputError(f"model_name_or_path {name!r} and model_revision {model_revision!r} differ; give one of them")
    row, asked = find_backbone(base), stated or model_revision
    if asked is not None and (Path(base).is_dir() or (row is not None and row.package_folder is not None)):
        raise InputError(
            f"model_name_or_path {base!r} is a folder and has no revision {asked!r}; leave the revision out"
        )
    return asked or (row.revision if row is not None else None)


def resolve_location(name: str) -> str:
    """Where a backbone's files are: a folder, or the Hub id itself, without a revision.

    Raises:
        InputError: neither a folder, nor registered, nor of the form `owner/name`; names the nearest known ones.
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
    if row is not None and row.library == "conversion":
        raise InputError(f"model_name_or_path {name!r} is published in another format and must be converted first")
    hub_id = base.removeprefix("hf-hub:").removeprefix("hf_hub:")
    words = path_refusal(base) if row is None and hub_id == base else ""
    if words:
        for_the_hub = (
            f"; write hf-hub:{base} for the Hub's" if base.count("/") == 1 and words.endswith(" here") else ""
        )
        raise InputError(f"model_name_or_path {name!r} is not a checkpoint's folder: {words}{for_the_hub}")
    if hub_id.count("/") != 1:
        hint = nearest_names(base, known_backbone_ids())
        raise InputError(
            f"model_name_or_path {name!r} is no folder, no known backbone and no Hub id (owner/name). {hint}".rstrip()
        )
    return hub_id


def registered(name: str) -> Backbone | None:
    """The registry's row of a backbone, also of an untrained one (whose objective is then `untrained`)."""
    base, _ = split_revision(name.removeprefix(UNTRAINED_PREFIX))
    row = find_backbone(base)
    if row is not None and name.startswith(UNTRAINED_PREFIX):
        return replace(row, id=name, objective=UNTRAINED, family=UNTRAINED)
    return row
