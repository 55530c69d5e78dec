"""Read a file's content as one layout would have it: which keys are the trunk's, which are left, which are unknown."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from hf_sslgen.zoo.conversion.key_naming import is_classifier, timm_name
from hf_sslgen.zoo.conversion.layout_rows import Layout

OPTIMISER = re.compile(r"(optim\w*|opt_state|\w*optimizer\w*|amp|scaler|loss_scaler|fp16_scaler)$")
"""Last parts of paths that hold tensors of training, which no layout needs to mention."""


@dataclass(frozen=True, eq=False)
class LayoutReading:
    """What a file holds if it is in a layout.

    Attributes:
        prefix: with which the trunk's keys begin.
        values: the network's tensors under timm's names, as the file holds them.
        sources: their keys in the file.
        dropped: other keys, with the reason why the layout leaves them.
        unknown: keys that the layout does not know.
        twice: timm's names that several keys lead to, with those keys.
        marked: whether a mark of the layout was found, or it needs none.
    """

    layout: Layout
    prefix: str
    values: dict[str, Any]
    sources: dict[str, str]
    dropped: dict[str, str]
    unknown: tuple[str, ...]
    twice: dict[str, tuple[str, str]]
    marked: bool


def read_as(content: Mapping[str, Any], layout: Layout) -> Iterator[LayoutReading]:
    """Yield a reading for each alternative of a layout under which the file holds part of a trunk."""
    for wrapper in layout.wrappers:
        inside = [(path, found) for path in wrapper if (found := _at(content, path)) is not None]
        if len(inside) < len(wrapper):
            continue
        entries = {key: value for _, mapping in inside for key, value in _entries(mapping)}
        beside = dict(_beside(content, wrapper))
        for prefix in layout.prefixes:
            reading = _reading(entries, beside, layout, prefix)
            if any(not is_classifier(name) for name in reading.values):
                yield reading


def holds_tensors(value: object) -> bool:
    """Whether a value is, or contains, a tensor or an array."""
    if isinstance(value, Mapping):
        return any(holds_tensors(each) for each in value.values())
    if isinstance(value, list | tuple):
        return any(holds_tensors(each) for each in value)
    return isinstance(value, torch.Tensor | np.ndarray)


def _reading(entries: dict[str, Any], beside: dict[str, Any], layout: Layout, prefix: str) -> LayoutReading:
    values: dict[str, Any] = {}
    sources: dict[str, str] = {}
    dropped: dict[str, str] = {}
    unknown: list[str] = []
    twice: dict[str, tuple[str, str]] = {}
    for key, value in entries.items():
        name = timm_name(key.removeprefix(prefix), layout.naming) if key.startswith(prefix) else None
        if name is not None and (layout.classifier or not is_classifier(name)):
            if name in sources:
                twice[name] = (sources[name], key)
            values[name], sources[name] = value, key
        elif (reason := _reason(key, layout.dropped)) is not None:
            dropped[key] = reason
        else:
            unknown.append(key)
    for path, value in beside.items():
        if (reason := _reason(path, layout.beside)) is not None:
            dropped[path] = reason
        elif not holds_tensors(value):
            dropped[path] = "no weights"
        elif OPTIMISER.match(path.rpartition(".")[2]):
            dropped[path] = "state of the optimiser"
        else:
            unknown.append(path)
    names = [*entries, *beside]
    marked = not layout.marks or any(re.match(mark, name) for mark in layout.marks for name in names)
    return LayoutReading(layout, prefix, values, sources, dropped, tuple(unknown), twice, marked)


def _reason(key: str, rules: tuple[tuple[str, str], ...]) -> str | None:
    return next((reason for reason, pattern in rules if re.match(pattern, key)), None)


def _at(content: Mapping[str, Any], path: str) -> Mapping[str, Any] | None:
    found: object = content
    for key in path.split(".") if path else ():
        found = found.get(key) if isinstance(found, Mapping) else None
    return found if isinstance(found, Mapping) else None


def _entries(mapping: Mapping[str, Any], beginning: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the entries of a mapping and of those in it, whose keys are joined by slashes as Haiku's are."""
    for key, value in mapping.items():
        if isinstance(value, Mapping):
            yield from _entries(value, f"{beginning}{key}/")
        else:
            yield f"{beginning}{key}", value


def _beside(content: Mapping[str, Any], wrapper: tuple[str, ...], path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield what lies beside the mappings that hold the tensors, by path."""
    if path in wrapper:
        return
    for key, value in content.items():
        inner = f"{path}.{key}" if path else str(key)
        if inner in wrapper:
            continue
        if isinstance(value, Mapping) and any(each.startswith(f"{inner}.") for each in wrapper):
            yield from _beside(value, wrapper, inner)
        else:
            yield inner, value
