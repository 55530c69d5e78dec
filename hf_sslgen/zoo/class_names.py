"""Which output of a checkpoint's classifier means which class of a data set: told by names, not by positions."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from hf_sslgen.errors import InputError
from hf_sslgen.names import canonical, listed_names

ClassMatch = Literal["name", "shared", "position", "none"]
"""How outputs and classes are put together: by the same names; by the names that both have; the first with the first;
or not at all, which leaves the classifier unused."""

NUMBERED = re.compile(r"LABEL_\d+")
"""What transformers calls classes that nobody named."""


def output_names(config: Any) -> tuple[str, ...] | None:
    """The names that a checkpoint's configuration gives its outputs, in order; None where it only numbers them."""
    id2label = config.id2label or {}
    names = tuple(canonical(str(id2label[index])) for index in sorted(id2label))
    return None if all(NUMBERED.fullmatch(name) for name in names) else names


@dataclass(frozen=True)
class Outputs:
    """Where in a checkpoint's classifier the classes of a data set are.

    Attributes:
        rows: for each class the output that means it.
        by_position: whether the order said so and no name did.
    """

    rows: tuple[int, ...]
    by_position: bool = False


def find_outputs(config: Any, class_names: Sequence[str]) -> Outputs | None:
    """The outputs that mean these classes: by name, or by position where the checkpoint only numbers its outputs.

    Names are equal where their canonical forms are.

    Returns:
        None where the outputs mean other classes, or there is another number of them.
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
    """As `find_outputs`, in the way that is asked for; None is by name.

    Raises:
        InputError: by position, and there is another number of outputs.
    """
    if match == "none":
        return None
    if match == "shared":
        return _shared_outputs(config, class_names)
    if match == "position":
        if config.num_labels != len(class_names):
            raise InputError(
                f"match_classes position needs as many classes as the checkpoint has outputs; {name!r} has "
                f"{config.num_labels}, and the data set has {len(class_names)} ({listed_names(class_names)})"
            )
        return Outputs(tuple(range(len(class_names))), by_position=True)
    return find_outputs(config, class_names)


def _shared_outputs(config: Any, class_names: Sequence[str]) -> Outputs:
    """The outputs that mean these classes, among others.

    Raises:
        KeyError: a class that no output means, or more than one.
    """
    known = output_names(config) or ()
    places = {name: place for place, name in enumerate(known) if known.count(name) == 1}
    return Outputs(tuple(places[canonical(name)] for name in class_names))


def shared_classes(name: str, config: Any, class_names: Sequence[str]) -> tuple[str, ...]:
    """Those of the classes that the checkpoint's outputs mean as well.

    Raises:
        InputError: fewer than two, so that there is nothing to tell apart.
    """
    known = output_names(config)
    if known is None:
        raise InputError(
            f"model_name_or_path {name!r} only numbers its {config.num_labels} classes, so none can be found by "
            "name; put their names into id2label of its config.json, or pass --match_classes position"
        )
    shared = tuple(each for each in class_names if known.count(canonical(each)) == 1)
    if len(shared) < 2:
        raise InputError(f"{_both_lists(name, known, class_names)}; at least two names have to be the same")
    return shared


def differing_classes(name: str, config: Any, class_names: Sequence[str]) -> InputError:
    """The error that a checkpoint's classes are not the data set's, with both lists and what would work."""
    return InputError(
        f"{_both_lists(name, output_names(config) or (), class_names)}; pass --match_classes shared to measure on "
        "the classes that both have, --match_classes position where the order is the same and only the spelling "
        "differs, or --match_classes none to leave the classifier unused"
    )


def are_related(config: Any, class_names: Sequence[str]) -> bool:
    """Whether outputs that aren't these classes could have been meant to be: some names, or the number, are equal."""
    known = set(output_names(config) or ())
    return bool(known) and (config.num_labels == len(class_names) or not known.isdisjoint(map(canonical, class_names)))


def _both_lists(name: str, known: Sequence[str], class_names: Sequence[str]) -> str:
    return (
        f"model_name_or_path {name!r} has {len(known)} classes ({listed_names(known)}), and the data set has "
        f"{len(class_names)} ({listed_names(class_names)})"
    )
