"""Read hand-written YAML safely, in bounded time and memory and without surprising conversions."""

import re
from collections.abc import Hashable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from hf_sslgen.errors import InputError

MAX_BYTES = 200_000
MAX_DEPTH = 20
MAX_VALUES = 20_000
"""Maximum number of keys and values in one document, counting the content of aliases at every use."""

TOO_LARGE = f"it is larger than {MAX_BYTES // 1000} kB"
_TEXT = "tag:yaml.org,2002:str"


def is_storable(text: str) -> bool:
    """Whether a text can be stored in files and names: it is valid Unicode without the character 0."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


@dataclass
class _Open:
    """A list or mapping that has not been read to its end."""

    anchor: str | None
    values: int = 1


class StrictLoader(yaml.SafeLoader):
    """Loader for safe YAML without surprises.

    Words are read as in YAML 1.2: `no`, `010`, `1:30`, `1_000` and `2024-01-01`, which PyYAML reads as false, 8, 90,
    1000 and a date, stay text; 1e-3 is a number, but infinity and NaN are not; `None` is null. Keys are text, and each
    occurs once. Tags, recursive aliases, and documents that are nested too deeply or too large are errors.
    """

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._open = [_Open(None)]
        self._anchored: dict[str, int] = {}

    def get_event(self) -> Any:
        event: Any = super().get_event()
        line, kind = event.start_mark.line + 1, type(event)
        if issubclass(kind, yaml.AliasEvent):
            if any(each.anchor == event.anchor for each in self._open):
                raise InputError(f"line {line}: *{event.anchor} refers to a value that contains it")
            self._count(self._anchored.get(event.anchor, 1), line)
        elif issubclass(kind, yaml.NodeEvent):
            if event.tag is not None:
                raise InputError(f"line {line}: tags such as {event.tag} are not supported; write the plain value")
            if issubclass(kind, yaml.ScalarEvent):
                if not is_storable(event.value):
                    raise InputError(f"line {line}: {event.value!r} has characters that no file or name can contain")
                if event.anchor is not None:
                    self._anchored[event.anchor] = 1
                self._count(1, line)
            else:
                self._open.append(_Open(event.anchor))
                if len(self._open) > MAX_DEPTH:
                    raise InputError(f"line {line}: nested more than {MAX_DEPTH} levels deep")
        elif issubclass(kind, yaml.CollectionEndEvent):
            ended = self._open.pop()
            if ended.anchor is not None:
                self._anchored[ended.anchor] = ended.values
            self._count(ended.values, line)
        return event

    def _count(self, values: int, line: int) -> None:
        self._open[-1].values += values
        if self._open[-1].values > MAX_VALUES:
            raise InputError(f"line {line}: more than {MAX_VALUES} values, counting the content of aliases")

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        found = set()
        for key, _ in node.value:
            line = key.start_mark.line + 1
            if not isinstance(key, yaml.ScalarNode):
                raise InputError(f"line {line}: a key must be text, not a list or mapping")
            if key.tag != _TEXT:
                raise InputError(f"line {line}: the key {key.value} must be text; put it in quotes")
            if key.value in found:
                raise InputError(f"line {line}: {key.value!r} occurs twice in one mapping")
            found.add(key.value)
        return super().construct_mapping(node, deep=deep)


StrictLoader.yaml_implicit_resolvers = {}
for _name, _pattern, _first in (
    ("null", r"(?:~|null|Null|NULL|None|)\Z", ["~", "n", "N", ""]),
    ("bool", r"(?:true|True|TRUE|false|False|FALSE)\Z", list("tTfF")),
    ("int", r"[-+]?(?:0|[1-9][0-9]{0,17})\Z", list("-+0123456789")),
    (
        "float",
        r"[-+]?(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?\Z",
        list("-+.0123456789"),
    ),
):
    StrictLoader.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", re.compile(_pattern), _first)


def parse_yaml(text: str) -> Any:
    """Parse one YAML document; JSON is valid YAML too.

    Raises:
        InputError: states the line and what is wrong with it.
    """
    if len(text.encode(errors="surrogatepass")) > MAX_BYTES:
        raise InputError(TOO_LARGE)
    try:
        content = yaml.load(text, Loader=StrictLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = error.problem or error.context or "not YAML"
        raise InputError(f"line {mark.line + 1}: {problem}" if mark is not None else problem) from error
    except yaml.reader.ReaderError as error:
        raise InputError(f"{error.reason} (character {error.position + 1})") from error
    except (ValueError, OverflowError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"an escaped character does not exist ({error})") from error
    return content


def read_yaml(path: Path, what: str) -> dict[str, Any]:
    """Read a YAML file's mapping; {} for an empty file.

    Args:
        what: description of the file, for errors.

    Raises:
        InputError: names the file, which is missing or does not hold a mapping.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise InputError(TOO_LARGE)
        content = parse_yaml(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise InputError(f"{what} {str(path)!r} can't be read: it is not UTF-8 text") from error
    except (OSError, InputError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise InputError(f"{what} {str(path)!r} can't be read: {reason}") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise InputError(f"{what} {str(path)!r} must hold `name: value` lines, not a {type(content).__name__}")
    return content
