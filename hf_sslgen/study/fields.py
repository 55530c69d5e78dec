"""Fields of a protocol: what kind of value each takes and in which range, checked when a protocol is made."""

import dataclasses
import math
import types
from typing import Any, Literal, get_args, get_origin, get_type_hints

from hf_sslgen.errors import InputError


def ranged(
    default: Any, *, above: float | None = None, at_least: float | None = None, at_most: float | None = None
) -> Any:
    """A dataclass field whose numbers (one, or each of a tuple) lie in a range."""
    return dataclasses.field(default=default, metadata={"above": above, "at_least": at_least, "at_most": at_most})


def _kind(hint: Any) -> str:
    """What a type hint takes, in words."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is tuple:
        return f"a list of {_kind(arguments[0]).removeprefix('a ')}s"
    if origin is types.UnionType:
        return " or ".join(_kind(argument) for argument in arguments)
    if origin is Literal:
        return "one of " + ", ".join(map(str, arguments))
    return {float: "a number", int: "a whole number", bool: "true or false", types.NoneType: "none"}[hint]


def _fits(hint: Any, value: Any) -> bool:
    """Whether a value is of the kind a type hint names; a whole number is a number, a truth value is neither."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is tuple:
        return isinstance(value, tuple) and all(_fits(arguments[0], item) for item in value)
    if origin is types.UnionType:
        return any(_fits(argument, value) for argument in arguments)
    if origin is Literal:
        return value in arguments
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, hint)


def as_field(hint: Any, value: Any) -> Any:
    """A value as a field holds it: lists become tuples and whole numbers, where a number is meant, floats."""
    if isinstance(value, list | tuple):
        arguments = get_args(hint)
        return tuple(as_field(arguments[0] if get_origin(hint) is tuple else hint, item) for item in value)
    takes_float = hint is float or (get_origin(hint) is types.UnionType and float in get_args(hint))
    return float(value) if takes_float and isinstance(value, int) and not isinstance(value, bool) else value


def _range_error(value: float, limits: Any) -> str | None:
    """What is wrong with a number, or None."""
    if limits.get("above") is not None and not value > limits["above"]:
        return f"above {limits['above']:g}"
    if limits.get("at_least") is not None and not value >= limits["at_least"]:
        return f"at least {limits['at_least']:g}"
    if limits.get("at_most") is not None and not value <= limits["at_most"]:
        return f"at most {limits['at_most']:g}"
    return None


def check_fields(instance: Any) -> None:
    """Check the kind and range of every field of a dataclass made of numbers, truth values, names and grids.

    Raises:
        InputError: names the field, what was found and what would work.
    """
    hints = get_type_hints(type(instance))
    for field in dataclasses.fields(instance):
        value = vars(instance)[field.name]
        if not _fits(hints[field.name], value):
            raise InputError(f"{field.name} is {value!r}; it has to be {_kind(hints[field.name])}")
        numbers = value if isinstance(value, tuple) else (value,)
        if len(numbers) == 0 and field.default != ():
            raise InputError(f"{field.name} is empty; it needs at least one value")
        if len(set(numbers)) < len(numbers):
            raise InputError(f"{field.name} is {list(numbers)}; each value may occur only once")
        for number in numbers:
            if isinstance(number, int | float) and (wanted := _range_error(number, field.metadata)) is not None:
                raise InputError(f"{field.name} is {value!r}; every value has to be {wanted}")
