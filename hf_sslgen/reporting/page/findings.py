"""Say what the differences from supervised twins show, measurement by measurement, in sentences that count verdicts.

A direction is claimed only if the 95% interval excludes zero in the widest scope that the runs can test, and if the
verdict holds after adjustment for all headline verdicts of the page. For concentration and the signed confidence gap,
neither direction is better, so nothing is called better; for lift, sentences say which backbone looks more at the
object. Each sentence counts comparisons of one level and one scope. Confounded comparisons are counted apart and said
to be no verdict on objectives.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hf_sslgen.metrics.catalogue.metric import Part
from hf_sslgen.metrics.catalogue.rows import tested_parts
from hf_sslgen.reporting.page.spoken import Claimed, spoken_amount, spoken_interval, why_undecided
from hf_sslgen.reporting.vocabulary import scope_words, setting_words, words
from hf_sslgen.study.cells.cell_folder import PRETRAINED_PROTOCOL
from hf_sslgen.study.inference.contrasts import role_of
from hf_sslgen.study.inference.interactions import Interaction
from hf_sslgen.study.inference.judgement import HIGHER, LOWER, UNDECIDED
from hf_sslgen.study.inference.multiplicity import is_answer
from hf_sslgen.study.inference.seed_averages import TargetDifference
from hf_sslgen.study.inference.study_results import StudyResults
from hf_sslgen.study.inference.target_groups import MIN_DOMAINS, Comparison, GroupDifference


@dataclass(frozen=True)
class Finding:
    """A sentence that counts verdicts, and a line for each comparison that it counts."""

    text: str
    listed: list[str]


@dataclass(frozen=True)
class _Item:
    """One comparison; `name` distinguishes it from the others in its sentence, `backbones` are its two."""

    name: str
    estimate: GroupDifference | Interaction | TargetDifference
    backbones: tuple[str, str]
    confounded_by: str


@dataclass(frozen=True)
class _Kind:
    """What the comparisons of one sentence have in common.

    Attributes:
        of_twins: whether each compares a self-supervised backbone with its supervised twin.
        is_confounded: whether each compares backbones that differ in more than the objective.
        over_domains: whether each is over the domains of a group, rather than on one.
        scope: as claimed.
    """

    of_twins: bool
    is_confounded: bool
    over_domains: bool
    scope: str


def findings(results: StudyResults, parts: Sequence[Part], names: Mapping[str, str]) -> list[Finding]:
    """Return the findings on some measurements, separately for similar and different domains.

    Args:
        names: short names of backbones.
    """
    titles = {part.value for part in parts}
    numbers = [number for title, found in tested_parts() if title in titles for number in found]
    sentences = []
    for metric, transform in numbers:
        for group in _group_names(results):
            items = _items(results, group, metric, transform, names)
            sentences += [_on_group(group, kind, members, metric) for kind, members in items.items()]
        sentences += _between_groups(results, metric, transform, names)
    return sentences


def _group_names(results: StudyResults) -> list[str]:
    found = {g.group for g in results.groups}
    return [group for group in ("similar", "different") if group in found] + sorted(found - {"similar", "different"})


def _place(group: str, kind: _Kind) -> str:
    """Return the beginning of a sentence."""
    if group == "unstated":
        return "Over all domains" if kind.over_domains else "On these images"
    return f"{'Over' if kind.over_domains else 'On'} {group} domains"


def _items(
    results: StudyResults, group: str, metric: str, transform: str, names: Mapping[str, str]
) -> dict[_Kind, list[_Item]]:
    """Return the comparisons of one number in one group: over targets if there are enough, else by target."""
    items: dict[_Kind, list[_Item]] = {}
    for g in results.groups:
        if g.group != group or not _is_number(g.comparison, metric, transform):
            continue
        name = comparison_name(results, g.comparison, names)
        said = _backbones(g.comparison, names), g.comparison.confounded_by
        over_domains = g.n >= MIN_DOMAINS
        if over_domains:
            found = [_Item(_joined(name, f"over {g.n} domains"), g, *said)]
        else:
            found = [_Item(_joined(d.domain, name), d, *said) for d in g.members]
        for item in found:
            scope = item.estimate.judgement.claimed.scope
            kind = _Kind(_are_twins(g.comparison), bool(g.comparison.confounded_by), over_domains, scope)
            items.setdefault(kind, []).append(item)
    return items


def _is_number(comparison: Comparison, metric: str, transform: str) -> bool:
    return (comparison.metric, comparison.transform) == (metric, transform) and is_answer(comparison)


def _are_twins(comparison: Comparison) -> bool:
    roles = role_of(comparison.first_objective), role_of(comparison.second_objective)
    return roles == ("ssl", "supervised") and not comparison.confounded_by


def _backbones(comparison: Comparison, names: Mapping[str, str]) -> tuple[str, str]:
    return names.get(comparison.first, comparison.first), names.get(comparison.second, comparison.second)


def comparison_name(results: StudyResults, comparison: Comparison, names: Mapping[str, str] | None = None) -> str:
    """Return what distinguishes a comparison from others: its contrast if there are several, and its setting.

    Args:
        names: short names of backbones; None keeps the full ones.
    """
    short = names or {}
    contrasts = {(g.comparison.first, g.comparison.second, g.comparison.source) for g in results.groups}
    contrast = ""
    if len(contrasts) > 1:
        alone = sum(first == comparison.first for first, _, _ in contrasts) == 1 and _are_twins(comparison)
        first, second = (short.get(name, name) for name in (comparison.first, comparison.second))
        contrast = first if alone else f"{first} against {second}"
        if len({source for _, _, source in contrasts}) > 1 and comparison.source:
            contrast += f" ({comparison.source})"
    # The heading of invariance names the encoder.
    is_invariance = comparison.protocol == PRETRAINED_PROTOCOL and comparison.transform
    setting = "" if is_invariance else setting_words(comparison.protocol, comparison.labels)
    return _joined(contrast, setting)


def _joined(*parts: str) -> str:
    return ", ".join(part for part in parts if part)


def _on_group(group: str, kind: _Kind, items: Sequence[_Item], metric: str) -> Finding:
    first, second = "the first", "the second"
    if kind.of_twins:
        first, second = "the self-supervised backbone", "its supervised twin"
    elif kind.is_confounded and len(items) == 1:
        first, second = items[0].backbones
    phrase = _short_phrase(metric)
    if metric == "lift":
        meanings = {
            HIGHER: f"{first} looks more at the object than {second}",
            LOWER: f"{first} looks less at the object than {second}",
            UNDECIDED: f"it is undecided whether {first} looks more at the object",
        }
    else:
        meanings = {
            HIGHER: f"{first} has higher {phrase} than {second}",
            LOWER: f"{first} has lower {phrase} than {second}",
            UNDECIDED: f"it is undecided which has higher {phrase}",
        }
    return _counted(_place(group, kind), kind, items, metric, meanings)


def _between_groups(results: StudyResults, metric: str, transform: str, names: Mapping[str, str]) -> list[Finding]:
    """State whether the two groups differ, if both have enough domains."""
    items: dict[_Kind, list[_Item]] = {}
    for i in results.interactions:
        if _is_number(i.comparison, metric, transform) and min(i.n_similar, i.n_different) >= MIN_DOMAINS:
            of = i.comparison
            kind = _Kind(_are_twins(of), bool(of.confounded_by), True, i.judgement.claimed.scope)
            item = _Item(comparison_name(results, of, names), i, _backbones(of, names), of.confounded_by)
            items.setdefault(kind, []).append(item)
    difference = f"the difference in {_short_phrase(metric)}"
    meanings = {
        HIGHER: f"{difference} is larger on different domains than on similar ones",
        LOWER: f"{difference} is smaller on different domains than on similar ones",
        UNDECIDED: f"it is undecided whether {difference} depends on the kind of domain",
    }
    return [_counted("", kind, members, metric, meanings) for kind, members in items.items()]


def _counted(place: str, kind: _Kind, items: Sequence[_Item], metric: str, meanings: Mapping[str, str]) -> Finding:
    """Say each verdict in a sentence of its own, with its count, and list the comparisons."""
    sentences: list[str] = []
    listed: list[str] = []
    for verdict, meaning in meanings.items():
        found = [item for item in items if item.estimate.verdict == verdict]
        if not found:
            continue
        lead = f"{place}, {meaning}" if place and not sentences else meaning[0].upper() + meaning[1:]
        if sentences and verdict == UNDECIDED:
            lead = "Undecided"
        sentences.append(lead + _share(len(found), len(items)) + ".")
        listed += [f"{verdict[0].upper()}{verdict[1:]}: {_spoken(item, metric)}{_noted(item)}." for item in found]
    if kind.is_confounded:
        which = "The two" if len(items) == 1 else "The backbones compared here"
        also = f"They differ or may differ in {items[0].confounded_by}. " if len(items) == 1 else ""
        sentences.append(f"{also}{which} are not known to be twins, so this is no verdict on self-supervision.")
    scope = f"For {scope_words(kind.scope)}."
    return Finding(" ".join(sentences), [scope, *listed])


def _short_phrase(metric: str) -> str:
    """Return a number's phrase without what it says in brackets."""
    return words(metric).phrase.partition(" (")[0]


def _share(count: int, total: int) -> str:
    if total == 1:
        return ""
    if count == total == 2:
        return " in both comparisons"
    return f" in all {total} comparisons" if count == total else f" in {count} of {total} comparisons"


def _noted(item: _Item) -> str:
    exploratory = "" if item.estimate.judgement.is_headline else "; exploratory"
    return f"; the two also differ in {item.confounded_by}{exploratory}" if item.confounded_by else ""


def _spoken(item: _Item, metric: str) -> str:
    claimed = Claimed.of(item.estimate)
    lead = f"{item.name}: " if item.name else ""
    interval = spoken_interval(claimed, metric)
    if not interval:
        reason = item.estimate.judgement.claimed.reason or item.estimate.reason
        return f"{lead}{spoken_amount(claimed, metric)}, without an interval" + (f" ({reason})" if reason else "")
    text = f"{lead}{spoken_amount(claimed, metric)} ({interval})"
    if item.estimate.verdict != UNDECIDED:
        return text
    return "; ".join([text, *why_undecided(item.estimate.judgement, metric)])
