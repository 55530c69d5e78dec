"""Arguments from a YAML file and the command line: the file sets defaults, the command line overrides them."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import yaml
from transformers import HfArgumentParser

from hf_sslgen.errors import InputError, nearest_names
from hf_sslgen.registry_rows import StrictLoader


def read_yaml(path: Path) -> dict[str, Any]:
    """A YAML file's mapping; raises InputError naming the file where it is missing or holds something else."""
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=StrictLoader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, InputError) as error:
        raise InputError(f"config {str(path)!r} can't be read: {error}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise InputError(f"config {str(path)!r} must hold `name: value` lines, not a {type(content).__name__}")
    return content


def _converted(action: argparse.Action, value: Any, source: str) -> Any:
    """A YAML value as the command line would have read it (YAML 1.1 takes 1e-3 for a string)."""
    if isinstance(value, str) and action.type is not None:
        try:
            value = action.type(value)  # type: ignore[operator]
        except (TypeError, ValueError, argparse.ArgumentTypeError) as error:
            raise InputError(f"{source}: {action.dest} can't be {value!r} ({error})") from error
    elif isinstance(value, int) and not isinstance(value, bool) and action.type is float:
        value = float(value)
    if action.choices is not None and value not in action.choices:
        raise InputError(
            f"{source}: {action.dest} can't be {value!r}; choose from {', '.join(map(str, action.choices))}"
        )
    return value


class _Parser(HfArgumentParser):
    """Raises instead of printing the whole usage, and takes no shortened option for a known one."""

    def __init__(self, dataclass_types: Sequence[Any], description: str) -> None:
        super().__init__(dataclass_types, description=description, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        raise InputError(f"{message} (--help lists the options)")


def parse_arguments(
    dataclass_types: Sequence[Any],
    description: str,
    command_line: Sequence[str] | None = None,
    positional: str | Sequence[str] = (),
) -> tuple[Any, ...]:
    """One instance of each dataclass, from `--config FILE` and the options that follow.

    Args:
        positional: the field, or fields, that the first words without `--` are the values of.

    Raises:
        InputError: an unknown key or option (names the nearest known one), or a value of the wrong kind.
    """
    arguments = list(sys.argv[1:] if command_line is None else command_line)
    parser = _Parser(dataclass_types, description)
    names = [positional] if isinstance(positional, str) else list(positional)
    if names:
        parser.usage = f"%(prog)s {' '.join(name.upper() for name in names)} [options]"
    for index, name in enumerate(names):
        if len(arguments) <= index or arguments[index].startswith("-"):
            break
        arguments[index] = f"--{name}={arguments[index]}"
    parser.add_argument("--config", type=Path, help="YAML file of defaults for the options above")
    actions = {action.dest: action for action in parser._actions}
    for word in arguments:
        option = word.partition("=")[0]
        if option.startswith("--") and option not in parser._option_string_actions:
            hint = nearest_names(option.removeprefix("--"), actions)
            raise InputError(f"unknown option {option!r}. {hint}".rstrip())
    config = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    config.add_argument("--config", type=Path)
    path = config.parse_known_args(arguments)[0].config
    if path is not None:
        for key, value in read_yaml(path).items():
            if key not in actions:
                raise InputError(f"config {str(path)!r}: unknown key {key!r}. {nearest_names(key, actions)}".rstrip())
            actions[key].default = _converted(actions[key], value, f"config {str(path)!r}")
            actions[key].required = False
    *instances, _, unexpected = parser.parse_args_into_dataclasses(arguments, return_remaining_strings=True)
    if unexpected:
        raise InputError(f"unexpected argument {unexpected[0]!r}")
    return tuple(instances)
