"""Read rows of a YAML registry or study into frozen dataclasses, with errors that name the row and the field.

A field's annotation states its type, as read by `hf_sslgen.settings`; `one_of(...)` in its metadata lists its choices.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from hf_sslgen.errors import InputError, nearest_names
from hf_sslgen.settings import settings_of, shown
from hf_sslgen.yaml_files import read_yaml

Row = TypeVar("Row")


def one_of(*words: str) -> dict[str, tuple[str, ...]]:
    """Return metadata for a dataclass field that accepts only these words (for each item, if it is a tuple)."""
    return {"words": words}


def read_sections(path: Path, names: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
    """Read the sections of a registry file, which must be exactly `names`; each is a list of rows."""
    names = tuple(names)
    content = read_yaml(path, "registry")
    if set(content) != set(names):
        raise InputError(f"{path.name} needs the sections {', '.join(names)}; found {sorted(content)}")
    for name, rows in content.items():
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise InputError(f"{path.name}: section {name!r} must be a list of rows with named fields")
    return content


def build_row(kind: type[Row], values: Mapping[str, Any], where: str) -> Row:
    """Build an instance of the dataclass `kind` from one row; `where` names the row in errors."""
    known = settings_of(kind)
    for name in values:
        if name not in known:
            hint = nearest_names(name, known) or f"known: {', '.join(known)}"
            raise InputError(f"{where}: unknown field {shown(name)}; {hint}")
    converted = {}
    for name, each in known.items():
        if name in values:
            try:
                converted[name] = each.read(values[name])
            except InputError as error:
                raise InputError(f"{where}: {error}") from None
        elif each.is_required:
            raise InputError(f"{where}: the field {name!r} is missing")
    try:
        return kind(**converted)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
