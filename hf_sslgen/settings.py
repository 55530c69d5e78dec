"""Read user settings, each with a type and a range.

The command line and YAML share one reader, so that both give the same values and the same errors. A dataclass field's
annotation states its type, and its metadata (`setting`, `ranged`) its range.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, TypeVar, get_type_hints

from hf_sslgen.errors import InputError, nearest_names
from hf_sslgen.typed_values import UnfitError, kind_of, typed

Kind = TypeVar("Kind")


@dataclass(frozen=True)
class Range:
    """The range in which a number must lie."""

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
"""Range of an input's side, in pixels."""


def setting(default: Any, *, range: Range, help: str) -> Any:
    """Declare a dataclass field that the command line and a YAML file can set, with numbers in a range."""
    return dataclasses.field(default=default, metadata={"help": help, "range": range})


def ranged(default: Any, **limits: float) -> Any:
    """Declare a dataclass field whose number, or each number of a tuple, lies in a range."""
    return dataclasses.field(default=default, metadata={"range": Range(**limits)})


def part_of(kind: type, name: str, names: Sequence[str]) -> Any:
    """A frozen dataclass of some fields of another, with their annotations, defaults and help.

    For a command that takes only a part, or takes it once for many: `kind(..., **vars(part))`, which also checks it.
    """
    known = {each.name: each for each in dataclasses.fields(kind)}
    copies = ((each, dataclasses.field(default=known[each].default, metadata=known[each].metadata)) for each in names)
    members = [(each, known[each].type, copy) for each, copy in copies]
    return dataclasses.make_dataclass(name, members, frozen=True)


def fields_from(kind: type[Kind], source: Any) -> Kind:
    """A dataclass with the values that another one holds in fields of the same names, and its own defaults."""
    known, given = dataclasses.fields(kind), vars(source)  # type: ignore[arg-type]
    return kind(**{each.name: given[each.name] for each in known if each.name in given})


def shown(value: Any) -> str:
    """Format a value for an error: its Python representation, truncated if it is long."""
    text = repr(value.value if isinstance(value, Enum) else value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def some_of(names: Sequence[str], limit: int = 20) -> str:
    """List names for an error message, limited to a readable number."""
    listed = [name if len(name) <= 80 else f"{name[:77]}..." for name in names[:limit]]
    return ", ".join(listed) + (f" and {len(names) - limit} more" if len(names) > limit else "")


def read_setting(name: str, hint: Any, value: Any, limits: Range | None, from_text: bool = True) -> Any:
    """Convert a setting's value to its type and check its range.

    Raises:
        InputError: names the field, what was found and what would work.
    """
    try:
        read = typed(hint, value, from_text)
    except UnfitError as error:
        raise InputError(f"{name} is {shown(value)}; it must be {error}") from None
    for number in read if isinstance(read, list | tuple) else (read,):
        if limits is not None and number is not None and number not in limits:
            every = "every value" if isinstance(read, list | tuple) else "it"
            raise InputError(f"{name} is {shown(read)}; {every} must be {limits}")
    if read == "":
        raise InputError(f"{name} is empty; leave it out to mean none")
    return read


@dataclass(frozen=True)
class Setting:
    """A dataclass field that the command line and YAML files can set."""

    field: dataclasses.Field[Any]
    hint: Any

    @property
    def is_required(self) -> bool:
        missing = dataclasses.MISSING
        return self.field.default is missing and self.field.default_factory is missing

    def read(self, value: Any, from_text: bool = True) -> Any:
        """Convert a value to the field's type, and check its range and choices, if its metadata states any.

        Raises:
            InputError: names the field, what was found and what would work.
        """
        name, metadata = self.field.name, self.field.metadata
        read = read_setting(name, self.hint, value, metadata.get("range"), from_text)
        if "words" in metadata and read is not None:
            _require_words(name, read if isinstance(read, tuple) else (read,), metadata["words"])
        return read


def _require_words(name: str, found: Sequence[Any], words: Sequence[str]) -> None:
    for each in found:
        if each not in words:
            hint = nearest_names(each, words)
            raise InputError(f"{name} is {shown(each)}; {hint + ' Known' if hint else 'known'}: {', '.join(words)}")


def settings_of(kind: Any) -> dict[str, Setting]:
    """Return every field of a dataclass, by name."""
    hints = get_type_hints(kind)
    return {each.name: Setting(each, hints[each.name]) for each in dataclasses.fields(kind)}


def require_nameable(name: str, value: Any) -> None:
    """Raise InputError for text that is too long for the name of a file, folder or repository."""
    for text in value if isinstance(value, list | tuple) else (value,):
        if isinstance(text, str) and (
            len(text.encode()) > 4095 or any(len(part.encode()) > 255 for part in text.split("/"))
        ):
            raise InputError(f"{name} is {shown(text)}, which is too long for a name")


def check_fields(instance: Any) -> None:
    """Check type and range of every field of a dataclass; a tuple is a grid of distinct values.

    Raises:
        InputError: names the field, what was found and what would work.
    """
    for name, each in settings_of(type(instance)).items():
        value = vars(instance)[name]
        read = each.read(value, from_text=False)
        require_nameable(name, read)
        if isinstance(read, list | tuple):
            if type(read) is not type(value):
                raise InputError(f"{name} is {shown(value)}; it must be {kind_of(each.hint)}")
            if not read and each.field.default != ():
                raise InputError(f"{name} is empty; it needs at least one value")
            if isinstance(read, tuple) and len(set(read)) < len(read):
                raise InputError(f"{name} is {shown(list(read))}; each value may occur only once")
