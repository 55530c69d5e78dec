"""Settings as people write them, each of a kind and within a range.

One reader for the command line and for YAML, so that both give the same value and the same refusal. A dataclass field
says by its annotation what it takes, and by its metadata (`setting`, `ranged`) in which range.
"""

import dataclasses
import re
import sys
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal, get_args, get_origin, get_type_hints

from hf_sslgen.errors import InputError, nearest_names
from hf_sslgen.yaml_files import is_storable, parse_yaml

NONE_WORDS = ("None", "null")
"""Words for an optional number or choice that is not given, on a command line."""

_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")
_NUMBER = re.compile(r"[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_BOOLEANS = {
    **dict.fromkeys(("true", "yes", "on", "t", "y", "1"), True),
    **dict.fromkeys(("false", "no", "off", "f", "n", "0"), False),
}


@dataclass(frozen=True)
class Range:
    """Where a number has to lie."""

    above: float | None = None
    at_least: float | None = None
    below: float | None = None
    at_most: float | None = None

    def __contains__(self, value: float) -> bool:
        return (
            (self.above is None or value > self.above)
            and (self.at_least is None or value >= self.at_least)
            and (self.below is None or value < self.below)
            and (self.at_most is None or value <= self.at_most)
        )

    def __str__(self) -> str:
        limits = {name.replace("_", " "): limit for name, limit in vars(self).items() if limit is not None}
        return " and ".join(f"{words} {limit:.12g}" for words, limit in limits.items())


POSITIVE = Range(above=0)
NOT_NEGATIVE = Range(at_least=0)
AT_LEAST_ONE = Range(at_least=1)
SHARE = Range(above=0, at_most=1)
SEED = Range(at_least=0, at_most=2**32 - 1)
SIDE = Range(at_least=1, at_most=4096)
"""Of an input, in pixels."""


def setting(default: Any, *, range: Range, help: str) -> Any:
    """A dataclass field that the command line and a YAML file can set, with numbers in a range."""
    return dataclasses.field(default=default, metadata={"help": help, "range": range})


def ranged(default: Any, **limits: float) -> Any:
    """A dataclass field whose numbers (one, or each of a tuple) lie in a range."""
    return dataclasses.field(default=default, metadata={"range": Range(**limits)})


class _UnfitError(Exception):
    """A value is of another kind; the message says which it has to be."""


def shown(value: Any) -> str:
    """A value in an error: as Python writes it, cut where it is long."""
    text = repr(value.value if isinstance(value, Enum) else value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def some_of(names: Sequence[str], limit: int = 20) -> str:
    """Names for an error message, no more than people would read."""
    listed = [name if len(name) <= 80 else f"{name[:77]}..." for name in names[:limit]]
    return ", ".join(listed) + (f" and {len(names) - limit} more" if len(names) > limit else "")


def choices_of(hint: Any) -> tuple[str, ...]:
    """The words that a field takes, where it takes only some; () otherwise."""
    if get_origin(hint) is Literal:
        return tuple(map(str, get_args(hint)))
    if isinstance(hint, type) and issubclass(hint, Enum):
        return tuple(str(each.value) for each in hint)
    if get_origin(hint) in (types.UnionType, typing.Union, list, tuple):
        return next(filter(None, map(choices_of, get_args(hint))), ())
    return ()


def kind_of(hint: Any) -> str:
    """What a type hint takes, in words."""
    origin, inner = get_origin(hint), get_args(hint)
    if origin in (list, tuple):
        kind = kind_of(inner[0])
        return f"a list of {kind.removeprefix('a ')}s" if kind.startswith("a ") else f"a list of {kind}"
    if origin in (types.UnionType, typing.Union):
        return " or ".join(kind_of(each) for each in _members(inner))
    if words := choices_of(hint):
        return f"one of {', '.join(words)}"
    if hint is dict or origin in (dict, Mapping):
        return "a mapping of names to values"
    return {
        str: "text",
        float: "a number",
        int: "a whole number",
        bool: "true or false",
        types.NoneType: "none",
    }.get(hint, "text")


def _members(inner: tuple[Any, ...]) -> list[Any]:
    """The types of a union in the order in which they are tried; text last, and only where it is no choice."""
    has_choices = any(map(choices_of, inner))
    return sorted((each for each in inner if not (each is str and has_choices)), key=lambda each: each is str)


def typed(hint: Any, value: Any, from_text: bool = True) -> Any:
    """A value as a field with this type hint holds it.

    Args:
        from_text: whether text stands for numbers, truth values and mappings too, as on a command line.

    Raises:
        _UnfitError: it is of another kind.
    """
    origin, inner = get_origin(hint), get_args(hint)
    is_text = isinstance(value, str)
    if hint is Any:
        return value
    if origin in (types.UnionType, typing.Union):
        return _first_fitting(hint, value, from_text)
    if origin in (list, tuple):
        items = value if isinstance(value, list | tuple) else [value] if origin is list else None
        if items is not None:
            return origin(_items(hint, inner[0], items, from_text))
    elif hint is dict or origin in (dict, Mapping):
        content = _mapping(value) if is_text and from_text and value.startswith("{") else value
        if isinstance(content, dict):
            keys, values = inner or (str, Any)
            return dict(
                zip(
                    _items(hint, keys, content.keys(), False),
                    _items(hint, values, content.values(), from_text),
                    strict=True,
                )
            )
    elif choices_of(hint):
        return _choice(hint, value)
    elif hint is types.NoneType:
        if value is None or (from_text and is_text and value in NONE_WORDS):
            return None
    elif hint is bool:
        if is_text and from_text:
            value = _BOOLEANS.get(value.lower())
        if isinstance(value, bool):
            return value
    elif hint is int:
        if is_text and from_text and _INTEGER.fullmatch(value):
            return int(value)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
    elif hint is float:
        if is_text and from_text and _NUMBER.fullmatch(value):
            value = float(value)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if is_number and abs(value) <= sys.float_info.max:
            return float(value)
    elif is_text and is_storable(value):
        return value
    raise _UnfitError(kind_of(hint))


def _items(hint: Any, of_each: Any, items: Iterable[Any], from_text: bool) -> list[Any]:
    """The items of a list or mapping; where one is of another kind, the error is about the whole."""
    try:
        return [typed(of_each, item, from_text) for item in items]
    except _UnfitError as error:
        raise _UnfitError(str(error) if choices_of(of_each) else kind_of(hint)) from None


def _first_fitting(hint: Any, value: Any, from_text: bool) -> Any:
    members = _members(get_args(hint))
    if types.NoneType in members and str in members and from_text and isinstance(value, str) and value in NONE_WORDS:
        raise _UnfitError("left out, or null in a YAML file, to mean none")
    reason = kind_of(hint)
    for member in members:
        try:
            return typed(member, value, from_text)
        except _UnfitError as error:
            if choices_of(member):
                reason = str(error)
    raise _UnfitError(reason)


def _choice(hint: Any, value: Any) -> Any:
    """A choice in the form that the annotation has: a word, or a member of an enumeration."""
    if isinstance(value, str):
        known = get_args(hint) if get_origin(hint) is Literal else tuple(hint)
        for each in known:
            word = each.value if isinstance(each, Enum) else each
            if str(word) == value:
                return each
        hint_words = nearest_names(value, choices_of(hint))
        if hint_words:
            raise _UnfitError(f"{kind_of(hint)}; {hint_words.removesuffix('?')}")
    raise _UnfitError(kind_of(hint))


def _mapping(text: str) -> Any:
    try:
        return parse_yaml(text)
    except InputError:
        return None


def read_setting(name: str, hint: Any, value: Any, limits: Range | None, from_text: bool = True) -> Any:
    """A setting's value, of its kind and in its range.

    Raises:
        InputError: names the field, what was found and what would work.
    """
    try:
        read = typed(hint, value, from_text)
    except _UnfitError as error:
        raise InputError(f"{name} is {shown(value)}; it has to be {error}") from None
    for number in read if isinstance(read, list | tuple) else (read,):
        if limits is not None and number is not None and number not in limits:
            every = "every value" if isinstance(read, list | tuple) else "it"
            raise InputError(f"{name} is {shown(read)}; {every} has to be {limits}")
    if read == "":
        raise InputError(f"{name} is empty; leave it out to mean none")
    return read


def require_nameable(name: str, value: Any) -> None:
    """Raise InputError for text that is too long to name any file, folder or repository."""
    for text in value if isinstance(value, list | tuple) else (value,):
        if isinstance(text, str) and (
            len(text.encode()) > 4095 or any(len(part.encode()) > 255 for part in text.split("/"))
        ):
            raise InputError(f"{name} is {shown(text)}, which is too long for a name")


def check_fields(instance: Any) -> None:
    """Check the kind and range of every field of a dataclass; a tuple is a grid of values, each of which occurs once.

    Raises:
        InputError: names the field, what was found and what would work.
    """
    hints = get_type_hints(type(instance))
    for field in dataclasses.fields(instance):
        value = vars(instance)[field.name]
        read = read_setting(field.name, hints[field.name], value, field.metadata.get("range"), from_text=False)
        require_nameable(field.name, read)
        if isinstance(read, list | tuple):
            if type(read) is not type(value):
                raise InputError(f"{field.name} is {shown(value)}; it has to be {kind_of(hints[field.name])}")
            if not read and field.default != ():
                raise InputError(f"{field.name} is empty; it needs at least one value")
            if isinstance(read, tuple) and len(set(read)) < len(read):
                raise InputError(f"{field.name} is {shown(list(read))}; each value may occur only once")
