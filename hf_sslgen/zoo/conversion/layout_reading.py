"""Read a file's content as one layout would have it: which keys are the trunk's, which are left, which are unknown."""

import itertools
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch

from hf_sslgen.zoo.conversion.key_naming import timm_name
from hf_sslgen.zoo.conversion.layout_form import Layout, Naming, Rules

TRAINING_STATE: Final = re.compile(
    r"(opt|opt_state|optim|\w*optimizer\w*|amp|\w*scaler|\w*sched\w*|callbacks|loops|rng\w*|\w*rng_state\w*|message_hub"
    r"|hyper_parameters|meta|args|config)$"
)
"""Last parts of paths to what training keeps, tensors among it, in files of any layout."""

NO_WEIGHTS: Final = "no weights"

FEWEST_OF_A_NETWORK: Final = 30
"""Tensors of a trunk that more than chance explains."""


@dataclass(frozen=True, eq=False)
class LayoutReading:
    """What a file holds if it is in a layout.

    Attributes:
        wrapper: paths of the mappings that hold the tensors.
        naming: of the trunk's tensors.
        values: the trunk's tensors under timm's names, as the file holds them.
        classifier: those of the classifier, as `weight` and `bias`.
        sources: keys in the file of both, by the same names.
        dropped: other keys, with the reason why the layout leaves them.
        unknown: keys that the layout does not know.
        twice: timm's names that several keys lead to, with those keys.
        recognised: whether the file may be in the layout without anybody saying so.
    """

    layout: Layout
    wrapper: tuple[str, ...]
    naming: Naming
    values: dict[str, Any]
    classifier: dict[str, Any]
    sources: dict[str, str]
    dropped: dict[str, str]
    unknown: tuple[str, ...]
    twice: dict[str, tuple[str, str]]
    recognised: bool


def read_as(content: Mapping[str, Any], layout: Layout) -> Iterator[LayoutReading]:
    """Yield a reading for each alternative of a layout under which the file holds part of a trunk."""
    for wrapper in layout.wrappers:
        inside = [(path, found) for path in wrapper if (found := _at(content, path)) is not None]
        if len(inside) < len(wrapper):
            continue
        entries = [entry for _, mapping in inside for entry in _entries(mapping)]
        beside = dict(_beside(content, wrapper))
        for prefix, naming in itertools.product(layout.prefixes, layout.namings):
            reading = _reading(entries, beside, layout, wrapper, prefix, naming)
            if reading.values:
                yield reading


def holds_tensors(value: object) -> bool:
    """Whether a value is, or contains, a tensor or an array."""
    if isinstance(value, Mapping):
        return any(holds_tensors(each) for each in value.values())
    if isinstance(value, list | tuple):
        return any(holds_tensors(each) for each in value)
    return isinstance(value, torch.Tensor | np.ndarray)


def _reading(
    entries: list[tuple[str, Any]],
    beside: dict[str, Any],
    layout: Layout,
    wrapper: tuple[str, ...],
    prefix: str,
    naming: Naming,
) -> LayoutReading:
    values: dict[str, Any] = {}
    classifier: dict[str, Any] = {}
    sources: dict[str, str] = {}
    dropped: dict[str, str] = {}
    unknown: list[str] = []
    twice: dict[str, tuple[str, str]] = {}
    for key, value in entries:
        name = timm_name(key.removeprefix(prefix), naming) if key.startswith(prefix) else None
        if name is not None:
            if name in sources:
                twice[name] = (sources[name], key)
            values[name], sources[name] = value, key
        elif layout.classifier is not None and (found := re.fullmatch(layout.classifier, key)) is not None:
            classifier[found[1]], sources[found[1]] = value, key
        elif (reason := _reason(key, layout.dropped)) is not None:
            dropped[key] = reason
        elif not holds_tensors(value):
            dropped[key] = NO_WEIGHTS
        else:
            unknown.append(key)
    for path, value in beside.items():
        if (reason := _reason(path, layout.beside)) is not None:
            dropped[path] = reason
        elif not holds_tensors(value):
            dropped[path] = NO_WEIGHTS
        elif TRAINING_STATE.match(path.rpartition(".")[2]):
            dropped[path] = "state of the training"
        else:
            unknown.append(path)
    names = [*(key for key, _ in entries), *beside, *wrapper]
    marked = not layout.marks or any(re.match(mark, name) for mark in layout.marks for name in names)
    recognised = marked and not layout.by_name_only and not (layout.alone and beside)
    return LayoutReading(
        layout, wrapper, naming, values, classifier, sources, dropped, tuple(unknown), twice, recognised
    )


def _reason(key: str, rules: Rules) -> str | None:
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


def unknown_prefix(content: Mapping[str, Any]) -> str | None:
    """Find what stands before timm's names in a file: keys of mappings joined by slashes, and then a prefix.

    Returns:
        What most of these names have before them; None if they are few.
    """
    found: Counter[str] = Counter()
    for key, _ in _entries(content):
        place, slash, name = key.rpartition("/")
        parts = name.split(".")
        for depth in range(len(parts)):
            if timm_name(".".join(parts[depth:]), "timm") is not None:
                found[place + slash + "".join(f"{part}." for part in parts[:depth])] += 1
                break
    prefix, number = found.most_common(1)[0] if found else ("", 0)
    return prefix if number >= FEWEST_OF_A_NETWORK else None
