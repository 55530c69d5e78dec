"""The backbones that the app offers: sets of the zoo, those shipped with the package first, and others by name."""

from collections.abc import Sequence
from dataclasses import dataclass

from hf_sslgen.errors import InputError
from hf_sslgen.zoo.backbone_registry import TwinSet, get_twin_set, twin_sets

SIGN = "="


@dataclass(frozen=True)
class ChosenBackbones:
    """Backbones as `hf-sslgen compare` takes them: a location and an objective, `-` where it is not stated, each."""

    locations: tuple[str, ...]
    objectives: tuple[str, ...]


def offered_sets() -> list[TwinSet]:
    """Return the sets with a backbone that can be loaded, those whose weights come with the package first."""
    sets = [each for each in twin_sets().values() if loadable(each)]
    return sorted(sets, key=lambda each: not is_shipped(each))


def is_shipped(twin_set: TwinSet) -> bool:
    """Whether all weights of a set come with the package, so that nothing is downloaded."""
    return all(each.package_folder is not None for each in twin_set.backbones)


def loadable(twin_set: TwinSet) -> list[tuple[str, str]]:
    """Return label and name of each backbone of a set that needs no conversion."""
    return [(f"{each.id} ({each.objective})", each.id) for each in twin_set.backbones if each.library != "conversion"]


def names_in_set(name: str) -> list[tuple[str, str]]:
    """Return label and name of each backbone to choose from in the set of this name."""
    return loadable(get_twin_set(name))


def chosen_backbones(of_set: Sequence[str], others: str) -> ChosenBackbones:
    """Return the backbones ticked in a set, and those written one per line as `NAME` or `NAME = OBJECTIVE`.

    Raises:
        InputError: there are none, or a line is not of this form.
    """
    locations, objectives = list(of_set), ["-"] * len(of_set)
    for line in others.splitlines():
        location, sign, objective = (part.strip() for part in line.partition(SIGN))
        if not (location or sign):
            continue
        if not location or location.startswith("-") or bool(sign) != bool(objective) or objective.startswith("-"):
            raise InputError(
                f"{line.strip()[:80]!r} is not a backbone; write a folder or a Hub id, such as owner/name, and its "
                "objective if you know it: owner/name = simclr"
            )
        if location not in locations:
            locations.append(location)
            objectives.append(objective or "-")
    if not locations:
        raise InputError("no backbone is chosen; tick at least one, or name a folder or a Hub id")
    return ChosenBackbones(tuple(locations), tuple(objectives))
