"""Match the outputs of a checkpoint's classifier to a dataset's classes, by name rather than by position."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from hf_sslgen.errors import InputError
from hf_sslgen.names import canonical, listed_names

ClassMatch = Literal["name", "shared", "position", "none"]
"""How to match outputs to classes: by equal names, by the names that both have, by position, or not at all, which
leaves the classifier unused."""

NUMBERED = re.compile(r"LABEL_\d+")
"""Names that transformers gives to unnamed classes."""


def output_names(config: Any) -> tuple[str, ...] | None:
    """Return a checkpoint's class names, in output order; None if its outputs are only numbered."""
    id2label = config.id2label or {}
    names = tuple(canonical(str(id2label[index])) for index in sorted(id2label))
    return None if all(NUMBERED.fullmatch(name) for name in names) else names


@dataclass(frozen=True)
class Outputs:
    """The outputs of a checkpoint's classifier that correspond to a dataset's classes.

    Attributes:
        rows: the output of each class.
        by_position: whether they were matched by position instead of by name.
    """

    rows: tuple[int, ...]
    by_position: bool = False


def find_outputs(config: Any, class_names: Sequence[str]) -> Outputs | None:
    """Match outputs to these classes by name, or by position if the checkpoint only numbers its outputs.

    Names are compared in canonical form.

    Returns:
        None if the outputs stand for other classes, or their number differs.
    """
    known, wanted = output_names(config), tuple(canonical(name) for name in class_names)
    if known is None:
        in_order = Outputs(tuple(range(len(wanted))), by_position=True)
        return in_order if config.num_labels == len(wanted) else None
    if known == wanted:
        return Outputs(tuple(range(len(wanted))))
    if sorted(known) != sorted(wanted) or len(set(known)) < len(known):
        return None
    return Outputs(tuple(known.index(name) for name in wanted))


def wanted_outputs(name: str, config: Any, class_names: Sequence[str], match: ClassMatch | None) -> Outputs | None:
    """Match outputs to classes as `find_outputs` does, but by the requested method; None matches by name.

    Raises:
        InputError: matching by position, but the number of outputs differs.
    """
    if match == "none":
        return None
    if match == "shared":
        return _shared_outputs(config, class_names)
    if match == "position":
        if config.num_labels != len(class_names):
            raise InputError(
                f"match_classes position needs as many classes as the checkpoint has outputs; {name!r} has "
                f"{config.num_labels}, and the dataset has {len(class_names)} ({listed_names(class_names)})"
            )
        return Outputs(tuple(range(len(class_names))), by_position=True)
    return find_outputs(config, class_names)


def _shared_outputs(config: Any, class_names: Sequence[str]) -> Outputs:
    """Find the outputs of these classes among all outputs.

    Raises:
        KeyError: a class has no output, or more than one.
    """
    known = output_names(config) or ()
    places = {name: place for place, name in enumerate(known) if known.count(name) == 1}
    return Outputs(tuple(places[canonical(name)] for name in class_names))


def shared_classes(name: str, config: Any, class_names: Sequence[str]) -> tuple[str, ...]:
    """Return the classes that the checkpoint also has.

    Raises:
        InputError: there are fewer than two.
    """
    known = output_names(config)
    if known is None:
        raise InputError(
            f"model_name_or_path {name!r} only numbers its {config.num_labels} classes, so they can't be matched by "
            "name; put their names into id2label of its config.json, or pass --match_classes position"
        )
    shared = tuple(each for each in class_names if known.count(canonical(each)) == 1)
    if len(shared) < 2:
        raise InputError(f"{_both_lists(name, known, class_names)}; at least two names must be the same")
    return shared


def differing_classes(name: str, config: Any, class_names: Sequence[str]) -> InputError:
    """Build the error that a checkpoint's classes differ from the dataset's, with both lists and the remedies."""
    return InputError(
        f"{_both_lists(name, output_names(config) or (), class_names)}; pass --match_classes shared to measure the "
        "classes that both have, --match_classes position if the order is the same and only the spelling differs, or "
        "--match_classes none to leave the classifier unused"
    )


def are_related(config: Any, class_names: Sequence[str]) -> bool:
    """Whether differing outputs may have been meant as these classes: some names, or the numbers, are equal."""
    known = set(output_names(config) or ())
    return bool(known) and (config.num_labels == len(class_names) or not known.isdisjoint(map(canonical, class_names)))


def _both_lists(name: str, known: Sequence[str], class_names: Sequence[str]) -> str:
    return (
        f"model_name_or_path {name!r} has {len(known)} classes ({listed_names(known)}), and the dataset has "
        f"{len(class_names)} ({listed_names(class_names)})"
    )
