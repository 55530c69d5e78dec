"""What is said where backbones differ in more than their objective."""

from collections.abc import Callable, Iterable, Sequence

from hf_sslgen.names import printable, shorten
from hf_sslgen.reporting.vocabulary import format_parameters
from hf_sslgen.study.inference.confounds import Facet, Facts, confounds, same_architecture
from hf_sslgen.study.inference.known_backbones import KnownBackbone

VALUE_WIDTH = 32
MOST_VALUES = 3

NOT_A_TWIN = " (not a twin)"
"""After the name of a supervised backbone in tables, where a comparison with it is confounded."""


def listed(parts: Sequence[str]) -> str:
    """Join parts with commas and `and`."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)


def differing_words(first: KnownBackbone, second: KnownBackbone) -> str:
    """Return what confounds a comparison, such as `also differs in architecture (a against b) and may differ in source
    data (not stated)`; empty for twins."""
    found = confounds(first, second).confounding
    known = [_pair_words(each) for each in found if each.are_equal is False]
    unknown = [_pair_words(each) for each in found if each.are_equal is None]
    if not known:
        return f"may also differ in {listed(unknown)}" if unknown else ""
    return f"also differs in {listed(known)}" + (f" and may differ in {listed(unknown)}" if unknown else "")


def facets_confounding(backbones: Sequence[KnownBackbone]) -> list[str]:
    """Return in which of architecture and source data these backbones are not known to be equal."""
    found = {facts.facet for a, b in _pairs(backbones) for facts in confounds(a, b).confounding}
    return [str(facet) for facet in Facet if facet in found]


def field_sentences(backbones: Sequence[KnownBackbone]) -> list[str]:
    """Say in what the backbones of a ranking differ besides their objective, and what follows; nothing if in nothing
    that is known."""
    pairs = _pairs(backbones)
    differing = {facts.facet for a, b in pairs for facts in _differences(a, b)}
    parts = [f"{facet}{_values(facet, backbones)}" for facet in SPOKEN if facet in differing]
    unstated = [each for each in backbones if not each.source] if len(backbones) > 1 else []
    sentences = []
    if facets_confounding(backbones):
        if parts:
            sentences.append(f"These backbones differ in {listed(parts)}.")
        if unstated:
            sentences.append(
                "The source data of all are not stated."
                if len(unstated) == len(backbones)
                else f"For {len(unstated)} of {len(backbones)}, the source data are not stated."
            )
        sentences.append("So this shows which serves these images, not why.")
    elif parts:
        sentences.append(f"Besides the objective, these backbones differ in {listed(parts)}.")
    return sentences


def control_sentences(backbones: Sequence[KnownBackbone], controls: Sequence[KnownBackbone]) -> list[str]:
    """Say how many backbones have no untrained control of their own architecture, if others have one."""
    without = [each for each in backbones if all(same_architecture(each, c) is False for c in controls)]
    if not controls or not without:
        return []
    return [f"No untrained control has the architecture of {len(without)} of {len(backbones)}."]


def _differences(first: KnownBackbone, second: KnownBackbone) -> list[Facts]:
    found = confounds(first, second)
    return [each for each in (*found.confounding, *found.further) if each.are_equal is False]


def _pairs(backbones: Sequence[KnownBackbone]) -> list[tuple[KnownBackbone, KnownBackbone]]:
    return [(a, b) for index, a in enumerate(backbones) for b in backbones[index + 1 :]]


def _pair_words(facts: Facts) -> str:
    values = [shorten(printable(each), VALUE_WIDTH) for each in (facts.first, facts.second)]
    briefly = [each.partition(",")[0] for each in values]
    if facts.facet is Facet.ARCHITECTURE and briefly[0] != briefly[1]:  # details follow a comma
        values = briefly
    return f"{facts.facet} ({' against '.join(dict.fromkeys(values))})"


def _values(facet: Facet, backbones: Sequence[KnownBackbone]) -> str:
    """Return the values of a facet in brackets, if they are few."""
    found = list(dict.fromkeys(SPOKEN[facet](each) for each in backbones if SPOKEN[facet](each)))
    if facet is Facet.ARCHITECTURE:
        found = _architectures(backbones)
    if not 1 < len(found) <= MOST_VALUES:
        return ""
    return f" ({', '.join(shorten(printable(each), VALUE_WIDTH) for each in found)})"


def _architectures(backbones: Iterable[KnownBackbone]) -> list[str]:
    """Return a name for each architecture, with its size if the name is also another's."""
    kinds: list[KnownBackbone] = []
    for each in backbones:
        if not any(same_architecture(each, other) for other in kinds):
            kinds.append(each)
    names = [(each.architecture or "one not recorded").partition(",")[0] for each in kinds]
    sizes = [f" of {format_parameters(each.parameters)} parameters" if each.parameters else "" for each in kinds]
    return [name + (size if names.count(name) > 1 else "") for name, size in zip(names, sizes, strict=True)]


def _number(value: int | None, unit: str = "") -> str:
    return "" if value is None else f"{value}{unit}"


SPOKEN: dict[Facet, Callable[[KnownBackbone], str]] = {
    Facet.ARCHITECTURE: lambda each: each.architecture or "",
    Facet.SOURCE: lambda each: each.source,
    Facet.RESOLUTION: lambda each: _number(each.image_size, " px"),
    Facet.EPOCHS: lambda each: _number(each.epochs),
    Facet.BATCH_SIZE: lambda each: _number(each.batch_size),
    Facet.AUGMENTATION: lambda each: each.augmentation or "",
}
"""The facets that sentences name, with the value of each; the others follow from architecture or change no number."""
