"""Rows of a YAML registry read into frozen dataclasses, with errors that name the row and the field.

A field's annotation says what a row may hold; `one_of(...)` in its metadata says which words. Only the forms the
registries need are known here: str, int, float, bool, `X | None`, `tuple[X, ...]` and `Mapping[str, X]`.
"""

import re
import types
import typing
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any, TypeVar

import yaml

from hf_sslgen.errors import InputError, nearest_names

Row = TypeVar("Row")


def one_of(*words: str) -> dict[str, tuple[str, ...]]:
    """Metadata of a dataclass field that takes only these words (each item, where the field is a tuple)."""
    return {"words": words}


class StrictLoader(yaml.SafeLoader):
    """Safe YAML in which a key written twice is an error (plain YAML silently keeps the last one), and in which 1e-3
    is a number as in YAML 1.2 (PyYAML takes it for text)."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise InputError(f"line {node.start_mark.line + 1}: {key!r} is written twice in one row")
        return super().construct_mapping(node, deep=deep)


StrictLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


def read_sections(path: Path, names: Iterable[str]) -> dict[str, list[dict[str, Any]]]:
    """The top-level sections of a registry file, exactly those of `names`; each is a list of rows."""
    names = tuple(names)
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=StrictLoader)
    except (yaml.YAMLError, InputError) as error:
        raise InputError(f"{path.name} can't be read as a registry: {error}") from error
    if not isinstance(content, dict) or set(content) != set(names):
        found = sorted(map(str, content)) if isinstance(content, dict) else type(content).__name__
        raise InputError(f"{path.name} needs the sections {', '.join(names)}; found {found}")
    for name, rows in content.items():
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise InputError(f"{path.name}: section {name!r} should be a list of rows with named fields")
    return content


def build_row(kind: type[Row], values: Mapping[str, Any], where: str) -> Row:
    """An instance of the dataclass `kind` from one row; `where` names the row in errors."""
    known: dict[str, Field[Any]] = {each.name: each for each in fields(kind)}  # type: ignore[arg-type]
    for name in values:
        if name not in known:
            hint = nearest_names(str(name), known) or f"known: {', '.join(known)}"
            raise InputError(f"{where}: unknown field {name!r}; {hint}")
    annotations = typing.get_type_hints(kind)
    converted = {}
    for name, each in known.items():
        if name in values:
            converted[name] = _convert(values[name], annotations[name], f"{where}: {name}")
            _check_words(converted[name], each.metadata.get("words"), f"{where}: {name}")
        elif each.default is MISSING and each.default_factory is MISSING:
            raise InputError(f"{where}: the field {name!r} is missing")
    return kind(**converted)


def _convert(value: Any, annotation: Any, where: str) -> Any:
    """`value` in the form of `annotation`; YAML's own guesses (2104.14294 read as a number) become errors."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (types.UnionType, typing.Union):
        if value is None:
            return None
        (annotation,) = (each for each in inner if each is not types.NoneType)
        return _convert(value, annotation, where)
    if origin is typing.Literal:
        if value not in inner:
            raise InputError(f"{where} is {value!r}; known: {', '.join(map(str, inner))}")
        return value
    if origin is tuple and isinstance(value, list):
        return tuple(_convert(item, inner[0], where) for item in value)
    if origin is Mapping and isinstance(value, dict):
        return {_convert(key, inner[0], where): _convert(item, inner[1], where) for key, item in value.items()}
    if annotation is float and type(value) is int:
        return float(value)
    # bool is an int to isinstance, so that `parameters: true` would pass.
    if type(value) is not annotation:
        if origin is tuple:
            expected = f"a list of {inner[0].__name__}"
        else:
            expected = annotation.__name__ if isinstance(annotation, type) and not inner else str(annotation)
        raise InputError(f"{where} should be {expected}, found {value!r}")
    return value


def _check_words(value: Any, words: tuple[str, ...] | None, where: str) -> None:
    """Raise unless `value`, or each of its items, is one of `words`; None is left to the annotation."""
    if words is None or value is None:
        return
    for item in value if isinstance(value, tuple) else (value,):
        if item not in words:
            raise InputError(f"{where} is {item!r}; known: {', '.join(words)}")
