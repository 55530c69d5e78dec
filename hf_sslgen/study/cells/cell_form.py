"""The format of a cell's two JSON files; the type of every value is checked before it is used.

`cell.json` has `identity`, `provenance` and `checksums`; `results.json` has `numbers`, one row per number.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

from hf_sslgen.analysis.numbers import Number
from hf_sslgen.errors import InputError
from hf_sslgen.metrics.stages import Stage

CELL, RESULTS, RECORDS, EXAMPLES = "cell.json", "results.json", "records.parquet", "examples.npz"
CHECKSUMMED = (RESULTS, RECORDS, EXAMPLES)
"""Files whose checksums are in `cell.json`; only cells with attribution maps have the last one."""

OWN = "identity and provenance"
"""Key of the checksum of those two parts of `cell.json` itself."""

MOST_DIGITS = 18
"""Largest number of digits of an integer in JSON; a longer one may not fit into a column."""

Types = dict[str, tuple[type, ...]]
NUMBER_TYPES: Types = {
    **dict.fromkeys(("metric", "stage", "transform", "severity", "reason"), (str,)),
    **dict.fromkeys(("value", "low", "high"), (int, float)),
    **dict.fromkeys(("n", "n_undefined"), (int,)),
}
PROVENANCE_TYPES: Types = {
    **dict.fromkeys(("objective", "family", "group", "domain_metric", "finished", "device"), (str,)),
    **dict.fromkeys(("source", "licence", "dataset_commit"), (str, type(None))),
    **dict.fromkeys(("parameters", "threads"), (int,)),
    **dict.fromkeys(("class_names", "not_label_preserving", "notes"), (list,)),
    **dict.fromkeys(("selection", "libraries", "network"), (dict,)),
    "registered": (dict, type(None)),
    "pretraining_seed": (int, type(None)),
    "seconds": (int, float),
}
NEEDED_PROVENANCE = ("objective", "group", "seconds", "class_names", "not_label_preserving")


class NoCellError(InputError):
    """The files are not those of a valid cell; the message is the reason alone."""


def file_checksum(path: Path) -> str:
    """Return the sha256 of a file, as 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def cell_content(identity: Mapping[str, Any], provenance: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return the content of `cell.json` for a cell whose other files are in `folder`."""
    checksums = {OWN: _own_checksum(identity, provenance)}
    checksums |= {name: file_checksum(folder / name) for name in CHECKSUMMED if (folder / name).exists()}
    return {"identity": identity, "provenance": provenance, "checksums": checksums}


def _own_checksum(identity: Mapping[str, Any], provenance: Mapping[str, Any]) -> str:
    text = json.dumps([identity, provenance], sort_keys=True, ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def read_cell_files(folder: Path) -> tuple[dict[str, Any], dict[str, Any], tuple[Number, ...]]:
    """Read the identity, the provenance and the numbers of a cell, whose files must match their checksums.

    Raises:
        NoCellError: a file is missing, damaged or in another format.
        OSError: a file can't be read.
    """
    content = _mapping(_plain_json(folder / CELL), CELL)
    identity, provenance = (_mapping(content.get(key), CELL) for key in ("identity", "provenance"))
    _check_identity(identity)
    _check_provenance(provenance)
    if "checksums" not in content:
        raise NoCellError("it has no checksums, which cells of earlier versions lack")
    _check_files(folder, _mapping(content["checksums"], CELL), _own_checksum(identity, provenance))
    return identity, provenance, _numbers(_mapping(_plain_json(folder / RESULTS), RESULTS))


def _check_files(folder: Path, checksums: dict[str, Any], own: str) -> None:
    if checksums.get(OWN) != own:
        raise NoCellError(f"its {CELL} has changed since it was written")
    for name in CHECKSUMMED:
        is_there = (folder / name).exists()
        if not is_there and (name in checksums or name != EXAMPLES):
            raise NoCellError(f"it has no {name}")
        if is_there and checksums.get(name) != file_checksum(folder / name):
            raise NoCellError(f"its {name} has changed since it was written")


def _plain_json(path: Path) -> Any:
    """Read a JSON file, refusing values that can't be written again or put into a table or a page."""
    if not path.exists():
        raise NoCellError(f"it has no {path.name}")
    try:
        content = json.loads(path.read_text(encoding="utf-8"), parse_int=_integer)
        json.dumps(content, ensure_ascii=False, allow_nan=False).encode()
    except NoCellError:
        raise
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NoCellError(f"its {path.name} can't be read") from error
    except ValueError as error:  # NaN and infinity, or half of a surrogate pair
        raise NoCellError(f"its {path.name} holds a value that can't be written again") from error
    return content


def _integer(digits: str) -> int:
    if len(digits) > MOST_DIGITS:
        raise NoCellError(f"it holds an integer of {len(digits)} digits")
    return int(digits)


def _mapping(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise NoCellError(f"its {name} does not have the format of a cell")
    return value


def _is(value: Any, types: tuple[type, ...]) -> bool:
    return isinstance(value, types) and not isinstance(value, bool)


def _require(is_right: bool, key: str) -> None:
    if not is_right:
        raise NoCellError(f"its {CELL} has no usable {key!r}")


def _check_identity(identity: dict[str, Any]) -> None:
    for key in ("backbone", "domain", "protocol", "labels"):
        _require(isinstance(identity.get(key), str), key)
    _require(_is(identity.get("seed"), (int,)), "seed")


def _check_provenance(provenance: dict[str, Any]) -> None:
    for key in NEEDED_PROVENANCE:
        _require(key in provenance, key)
    for key, types in PROVENANCE_TYPES.items():
        _require(key not in provenance or _is(provenance[key], types), key)
    for key in ("class_names", "not_label_preserving"):
        _require(all(isinstance(item, str) for item in provenance[key]), key)


def _numbers(content: dict[str, Any]) -> tuple[Number, ...]:
    rows = content.get("numbers")
    if not isinstance(rows, list) or not rows:
        raise NoCellError("it has no numbers")
    try:
        numbers = tuple(Number.from_json(_mapping(row, RESULTS)) for row in rows)
    except TypeError as error:  # a field that numbers do not have, or lack
        raise NoCellError(f"its {RESULTS} does not have the format of a cell") from error
    keys = set()
    for number in numbers:
        for name, value in vars(number).items():
            if not _is(value, NUMBER_TYPES[name]) or value in (math.inf, -math.inf):
                raise NoCellError(f"one of its numbers has no usable {name!r}")
        if number.stage not in get_args(Stage):
            raise NoCellError("one of its numbers has an unknown stage")
        if number.n < 0 or number.n_undefined < 0:
            raise NoCellError(f"its {number.metric!r} has a negative number of images")
        keys.add((number.metric, number.stage, number.transform, number.severity))
    if len(keys) < len(numbers):
        raise NoCellError("it has the same number twice")
    return numbers
