"""Convert YAML values and command-line text to the types given by type hints."""

import re
import sys
import types
import typing
from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Any, Literal, get_args, get_origin

from hf_sslgen.errors import InputError, hinted
from hf_sslgen.yaml_files import is_storable, parse_yaml

NONE_WORDS = ("None", "null")
"""Words that mean "not given" for an optional number or choice on a command line."""

_INTEGER = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")
_NUMBER = re.compile(r"[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
BOOLEAN_WORDS = {
    **dict.fromkeys(("true", "yes", "on", "t", "y", "1"), True),
    **dict.fromkeys(("false", "no", "off", "f", "n", "0"), False),
}
"""Truth values as words, in lower case."""


class UnfitError(InputError):
    """A value has the wrong type; the message states the right one."""


def choices_of(hint: Any) -> tuple[str, ...]:
    """Return the words that a field accepts, if it accepts only some; () otherwise."""
    if get_origin(hint) is Literal:
        return tuple(map(str, get_args(hint)))
    if isinstance(hint, type) and issubclass(hint, Enum):
        return tuple(str(each.value) for each in hint)
    if get_origin(hint) in (types.UnionType, typing.Union, list, tuple):
        return next(filter(None, map(choices_of, get_args(hint))), ())
    return ()


def kind_of(hint: Any) -> str:
    """Describe the values that a type hint accepts."""
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
    """Return a union's types in the order in which they are tried; text comes last, and only if it is not a choice."""
    has_choices = any(map(choices_of, inner))
    return sorted((each for each in inner if not (each is str and has_choices)), key=lambda each: each is str)


def typed(hint: Any, value: Any, from_text: bool = True) -> Any:
    """Convert a value to the type given by a type hint.

    Args:
        from_text: whether text may also represent numbers, truth values and mappings, as on a command line.

    Raises:
        UnfitError: the value has another type.
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
            value = BOOLEAN_WORDS.get(value.lower())
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
    raise UnfitError(kind_of(hint))


def _items(hint: Any, of_each: Any, items: Iterable[Any], from_text: bool) -> list[Any]:
    """Convert the items of a list or mapping; an item of the wrong type raises an error about the whole."""
    try:
        return [typed(of_each, item, from_text) for item in items]
    except UnfitError as error:
        raise UnfitError(str(error) if choices_of(of_each) else kind_of(hint)) from None


def _first_fitting(hint: Any, value: Any, from_text: bool) -> Any:
    members = _members(get_args(hint))
    if types.NoneType in members and str in members and from_text and isinstance(value, str) and value in NONE_WORDS:
        raise UnfitError("left out, or null in a YAML file, to mean none")
    reason = kind_of(hint)
    for member in members:
        try:
            return typed(member, value, from_text)
        except UnfitError as error:
            if choices_of(member):
                reason = str(error)
    raise UnfitError(reason)


def _choice(hint: Any, value: Any) -> Any:
    """Return a choice in the annotation's form: a word, or a member of an enumeration."""
    if isinstance(value, str):
        known = get_args(hint) if get_origin(hint) is Literal else tuple(hint)
        for each in known:
            word = each.value if isinstance(each, Enum) else each
            if str(word) == value:
                return each
        raise UnfitError(hinted(kind_of(hint), value, choices_of(hint)))
    raise UnfitError(kind_of(hint))


def _mapping(text: str) -> Any:
    try:
        return parse_yaml(text)
    except InputError:
        return None
