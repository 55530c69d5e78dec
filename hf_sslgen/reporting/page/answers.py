"""Answer the question from stored estimates over targets, or over images if there are too few targets.

A direction is claimed only if the 95% interval excludes zero. For concentration and the signed confidence gap, neither
direction is better, so nothing is called better; for lift, sentences say which backbone looks more at the object.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hf_sslgen.metrics.catalogue.rows import HEADLINE_ACCURACY, tested_parts
from hf_sslgen.metrics.stages import PRETRAINED_STAGE
from hf_sslgen.reporting.page.sentences import Bounded, spoken_amount, spoken_interval
from hf_sslgen.reporting.vocabulary import group_words, setting_words, words
from hf_sslgen.study.cells.cell_folder import PRETRAINED_PROTOCOL
from hf_sslgen.study.inference.target_groups import Scope, StudyResults

MIN_DOMAINS = 3
"""Fewer targets say nothing about others: for two, the t interval extends nine standard deviations to each side."""

INLINE = 2
"""Up to this many comparisons are named in their sentence; more are counted, and a list follows."""


@dataclass(frozen=True)
class Statement:
    """A sentence, and the comparisons it counts if there are too many to name."""

    text: str
    listed: list[str]


@dataclass(frozen=True)
class AnswerPart:
    """The statements about one of the measurements."""

    title: str
    statements: list[Statement]


@dataclass(frozen=True)
class Answer:
    """The answer: in short, by measurement, and with notes."""

    short: str
    parts: list[AnswerPart]
    notes: list[str]


@dataclass(frozen=True)
class _Item:
    """One comparison; `name` distinguishes it from the others in its sentence."""

    name: str
    estimate: Bounded


def answer(results: StudyResults) -> Answer:
    """Answer the question of a study, separately for similar and different domains."""
    groups = [g for g in results.groups if (g.scope.metric, g.scope.transform) == (HEADLINE_ACCURACY, "")]
    if not groups:
        nothing = "This report compares no self-supervised backbone with a supervised twin by accuracy."
        return Answer(nothing, [], [])
    parts = []
    for title, metrics in tested_parts():
        statements = []
        for metric, transform in metrics:
            for group in _group_names(results):
                statements += _on_group(_heading(group), metric, _items(results, group, metric, transform))
            statements += _between_groups(results, metric, transform)
        if statements:
            parts.append(AnswerPart(title, statements))
    return Answer(_short(results), parts, _notes(results))


def _group_names(results: StudyResults) -> list[str]:
    found = {g.group for g in results.groups}
    return [group for group in ("similar", "different") if group in found] + sorted(found - {"similar", "different"})


def _heading(group: str) -> str:
    if group == "unstated":
        return "On domains whose similarity to the source is not stated"
    return f"On domains {group_words(group)}"


def _items(results: StudyResults, group: str, metric: str, transform: str) -> list[_Item]:
    """Return the comparisons of one number in one group: over targets if there are enough, else by target."""
    items = []
    for g in results.groups:
        if g.group != group or not _is_number(g.scope, metric, transform):
            continue
        name = scope_name(results, g.scope)
        if g.n >= MIN_DOMAINS:
            items.append(_Item(_joined(name, f"over {g.n} domains"), g))
        else:
            items += [_Item(_joined(d.domain, name), d) for d in g.members]
    return items


def _is_number(scope: Scope, metric: str, transform: str) -> bool:
    return (scope.metric, scope.transform) == (metric, transform) and (
        not transform or (scope.stage == PRETRAINED_STAGE and scope.protocol == PRETRAINED_PROTOCOL)
    )


def scope_name(results: StudyResults, scope: Scope) -> str:
    """Return what distinguishes a scope from others: its contrast if the study has several, and its setting."""
    contrasts = {(g.scope.first, g.scope.second, g.scope.source) for g in results.groups}
    contrast = ""
    if len(contrasts) > 1:
        alone = sum(first == scope.first for first, _, _ in contrasts) == 1
        contrast = scope.first if alone else f"{scope.first} against {scope.second}"
        if len({source for _, _, source in contrasts}) > 1 and scope.source:
            contrast += f" ({scope.source})"
    is_invariance = scope.protocol == PRETRAINED_PROTOCOL and scope.transform  # whose heading names the encoder
    setting = "" if is_invariance else setting_words(scope.protocol, scope.labels)
    return _joined(contrast, setting)


def _joined(*parts: str) -> str:
    return ", ".join(part for part in parts if part)


def _on_group(heading: str, metric: str, items: Sequence[_Item]) -> list[Statement]:
    if not items:
        return []
    subject = f"{heading}, {words(metric).phrase} of the self-supervised backbone compared with its supervised twin"
    meanings = {"higher": "higher", "lower": "lower", "undecided": "undecided"}
    if metric == "lift":
        meanings |= {
            "higher": "higher, so it looks more at the object,",
            "lower": "lower, so it looks less at the object,",
        }
    return [_statement(subject, items, metric, meanings)]


def _between_groups(results: StudyResults, metric: str, transform: str) -> list[Statement]:
    """State whether the two groups differ, if both have enough domains."""
    items = [
        _Item(scope_name(results, i.scope), i)
        for i in results.interactions
        if _is_number(i.scope, metric, transform) and min(i.n_similar, i.n_different) >= MIN_DOMAINS
    ]
    if not items:
        return []
    meanings = {
        "higher": "higher on different domains than on similar ones",
        "lower": "lower on different domains than on similar ones",
        "undecided": "undecided",
    }
    subject = f"Different versus similar domains, the difference in {words(metric).phrase}"
    return [_statement(subject, items, metric, meanings)]


def _statement(subject: str, items: Sequence[_Item], metric: str, meanings: Mapping[str, str]) -> Statement:
    """State each verdict with its count, and name or list the comparisons."""
    clauses: list[str] = []
    listed: list[str] = []
    for verdict, meaning in meanings.items():
        found = [item for item in items if item.estimate.verdict == verdict]
        if not found:
            continue
        named = [_spoken(item, metric) for item in found]
        of = "" if clauses else f" of {len(items)} comparisons"
        count = "" if len(items) == 1 else f" in {len(found)}{of}"
        clauses.append(f"{meaning}{count}".rstrip(",") + (f" ({'; '.join(named)})" if len(items) <= INLINE else ""))
        listed += [f"{verdict[0].upper()}{verdict[1:]}: {text}" for text in named]
    return Statement(f"{subject}: {'; '.join(clauses)}.", listed if len(items) > INLINE else [])


def _spoken(item: _Item, metric: str) -> str:
    estimate = item.estimate
    lead = f"{item.name}: " if item.name else ""
    amount = spoken_amount(estimate, metric, signed=True)
    if math.isnan(estimate.low):
        return f"{lead}{amount}, without an interval"
    return f"{lead}{amount}, 95% interval {spoken_interval(estimate, metric, signed=True)}"


def _short(results: StudyResults) -> str:
    """Count the verdicts on accuracy."""
    sentences = []
    for group in _group_names(results):
        verdicts = [item.estimate.verdict for item in _items(results, group, HEADLINE_ACCURACY, "")]
        total = "1 comparison" if len(verdicts) == 1 else f"{len(verdicts)} comparisons"
        counts = [
            f"{word} accurate than its supervised twin"
            + (f" in {verdicts.count(verdict)}" if len(verdicts) > 1 else "")
            for verdict, word in (("higher", "more"), ("lower", "less"))
            if verdict in verdicts
        ]
        undecided = verdicts.count("undecided")
        if not counts:
            sentences.append(f"{_heading(group)}, it is undecided which backbone is more accurate ({total}).")
        else:
            rest = f", and undecided in {undecided}" if undecided else ""
            of_all = f" of {total}" if len(verdicts) > 1 else f" ({total})"
            claim = f"the self-supervised backbone is {' and '.join(counts)}{of_all}{rest}"
            sentences.append(f"{_heading(group)}, {claim}.")
    return " ".join(sentences)


def _notes(results: StudyResults) -> list[str]:
    sizes = {group: max(g.n for g in results.groups if g.group == group) for group in _group_names(results)}
    small = [group for group, size in sizes.items() if size < MIN_DOMAINS]
    notes = [
        "A comparison is one contrast of backbones under one protocol and label budget, over the domains of a group "
        "or, if there are too few, on one domain. Undecided means that the interval includes zero or is unavailable."
    ]
    if len(small) < len(sizes):
        notes.append(
            "Intervals over domains are Student’s t intervals and apply to these networks on domains of that kind."
        )
    if small:
        notes.append(
            f"Fewer than {MIN_DOMAINS} domains of a kind say nothing about other domains of that kind, "
            "so those intervals apply only to these networks, on images like these."
        )
    if small or set(sizes) != {"similar", "different"}:
        notes.append(
            "Whether similar and different domains differ from each other is not tested, because the test needs at "
            f"least {MIN_DOMAINS} of each."
        )
    return notes
