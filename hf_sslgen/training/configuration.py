"""Read arguments from a YAML file and the command line, which overrides the file."""

import argparse
import sys
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any, NoReturn, get_args, get_origin

from hf_sslgen.errors import InputError, hinted
from hf_sslgen.settings import Setting, require_nameable, settings_of, shown
from hf_sslgen.typed_values import BOOLEAN_WORDS, choices_of
from hf_sslgen.yaml_files import read_yaml


def _keep(values: dict[str, Any]) -> None:
    """Leave the values as they were given."""


@dataclass(frozen=True)
class OtherNames:
    """Names by which users of other programs know a command's options.

    Attributes:
        refused: for each name that is not taken, what to give instead.
        translate: called with all given values by name, once each has its type, to replace some by others in place.
    """

    refused: Mapping[str, str] = field(default_factory=dict)
    translate: Callable[[dict[str, Any]], None] = _keep


NO_OTHER_NAMES = OtherNames()


@dataclass(frozen=True)
class _Option(Setting):
    """A field that is an option."""

    @property
    def takes_list(self) -> bool:
        return any(get_origin(each) is list for each in (self.hint, *get_args(self.hint)))

    @property
    def takes_no_value(self) -> bool:
        """Whether the option alone means true."""
        return self.hint is bool or bool in get_args(self.hint)

    @property
    def help(self) -> str:
        """The help text, escaped for argparse, which interprets %."""
        text = str(self.field.metadata.get("help", ""))
        factory = self.field.default_factory
        if not self.is_required:
            text = f"{text} (default: {self.field.default if factory is MISSING else factory()})"
        return text.replace("%%", "%").replace("%", "%%")


class _Parser(argparse.ArgumentParser):
    """Parser that keeps values as text, raises errors without printing the usage, and accepts no abbreviations.

    Args:
        groups: titles of options in the help, and the names of their options.
    """

    def __init__(
        self, options: Mapping[str, _Option], description: str, groups: Sequence[tuple[str, Collection[str]]]
    ) -> None:
        super().__init__(description=description, allow_abbrev=False, argument_default=argparse.SUPPRESS)
        self.known = {"--help"}
        booleans = [name for name, option in options.items() if option.hint in (bool, bool | None)]
        self.flags = {each for name in booleans for each in _spellings(name)}
        required = [name for name, option in options.items() if option.is_required]
        self.usage = " ".join(["%(prog)s", *(f"--{name} {name.upper()}" for name in required), "[options]"])
        for title, names in (("required", required), *groups):
            group = self.add_argument_group(title)
            for name in names:
                if title == "required" or name not in required:
                    self._add(group, name, options[name])
        self.add_argument("--config", type=Path, help="YAML file with defaults for the options above")
        self.known.add("--config")

    def _add(self, group: "argparse._ArgumentGroup", name: str, option: _Option) -> None:
        form: dict[str, Any] = {}
        if option.takes_list:
            form["nargs"] = "+"
        elif option.takes_no_value:
            form.update(nargs="?", const="true")
        if words := choices_of(option.hint):
            form["metavar"] = f"{{{','.join(words)}}}"
        shown_as, *others = _spellings(name)
        group.add_argument(shown_as, dest=name, help=option.help, **form)
        if others:  # as good, but twice the length of the help
            group.add_argument(*others, dest=name, help=argparse.SUPPRESS, **form)
        self.known.update(_spellings(name))
        if option.field.default is True:
            negated = _spellings(f"no_{name}")
            group.add_argument(*negated, dest=name, action="store_const", const="false", help=argparse.SUPPRESS)
            self.known.update(negated)

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message} (--help lists the options)")


def _spellings(name: str) -> list[str]:
    return list(dict.fromkeys((f"--{name}", f"--{name.replace('_', '-')}")))


def parse_arguments(
    dataclass_types: Sequence[Any],
    description: str,
    command_line: Sequence[str] | None = None,
    positional: str | Sequence[str] = (),
    other_names: OtherNames = NO_OTHER_NAMES,
) -> tuple[Any, ...]:
    """Build one instance of each dataclass from `--config FILE` and the options.

    Args:
        positional: the field or fields that words without `--` set.

    Raises:
        InputError: a key or option is unknown (suggests the nearest one), or a value has the wrong type or range.
    """
    arguments = list(sys.argv[1:] if command_line is None else command_line)
    options: dict[str, _Option] = {}
    groups: list[tuple[str, Collection[str]]] = []
    for kind in dataclass_types:
        own = {name: _Option(each.field, each.hint) for name, each in settings_of(kind).items()}
        groups.append((str(kind.__doc__).strip().partition(".")[0], [name for name in own if name not in options]))
        options |= own
    positions = [positional] if isinstance(positional, str) else positional
    given = _given(_Parser(options, description, groups), arguments, positions, other_names.refused)
    values = {}
    path = given.pop("config", None)
    if path is not None:
        source = f"config {str(path)!r}"
        for key, value in read_yaml(path, "config").items():
            if key not in options:
                _refuse_other_name(key, f"{source}: {key}", other_names.refused)
                raise InputError(hinted(f"{source}: unknown key {shown(key)}", key, options))
            values[key] = _read(options[key], value, f"{source}: ")
    values |= {name: _read(options[name], value) for name, value in given.items()}
    other_names.translate(values)
    missing = [name for name, option in options.items() if option.is_required and name not in values]
    if missing:
        raise InputError(f"{missing[0]} is missing; give it as --{missing[0]} (--help lists the options)")
    names = [{field.name for field in fields(kind)} & values.keys() for kind in dataclass_types]
    return tuple(
        kind(**{name: values[name] for name in known}) for kind, known in zip(dataclass_types, names, strict=True)
    )


def _refuse_other_name(name: str, shown_as: str, refused: Mapping[str, str]) -> None:
    """Raise InputError with what to give instead, if the name is another program's."""
    if name in refused:
        raise InputError(f"{shown_as} is not an option here; {refused[name]}")


def _given(
    parser: _Parser, arguments: list[str], positional: Sequence[str], refused: Mapping[str, str]
) -> dict[str, Any]:
    """Return the command line's values, as text, by field."""
    if positional:
        parser.usage = f"%(prog)s {' '.join(name.upper() for name in positional)} [options]"
    for index, name in enumerate(positional):
        if len(arguments) <= index or arguments[index].startswith("-"):
            arguments = _with_values(arguments, parser.flags)
            break
        arguments[index] = f"--{name}={arguments[index]}"
    for word in arguments:
        option = word.partition("=")[0]
        if option.startswith("--") and option not in parser.known:
            known = {each.removeprefix("--").replace("-", "_") for each in parser.known}
            name = option.removeprefix("--").replace("-", "_")
            _refuse_other_name(name, option, refused)
            raise InputError(hinted(f"unknown option {shown(option)}", name, sorted(known)))
    found, words = parser.parse_known_args(arguments)
    given = vars(found)
    for name in positional:
        if words and name not in given and not words[0].startswith("-"):
            given[name] = words.pop(0)
    if words:
        raise InputError(f"unexpected argument {shown(words[0])}")
    return given


def _with_values(arguments: Sequence[str], flags: Collection[str]) -> list[str]:
    """Write out the value of a flag that stands before another argument: `--flag FILE` is `--flag=true FILE`."""
    following = [*arguments[1:], "--"]
    return [
        f"{word}=true" if word in flags and after.lower() not in BOOLEAN_WORDS else word
        for word, after in zip(arguments, following, strict=True)
    ]


def _read(option: _Option, value: Any, source: str = "") -> Any:
    try:
        read = option.read(value)
        require_nameable(option.field.name, read)
        return read
    except InputError as error:
        raise InputError(f"{source}{error}") from None
