"""Answer the question from stored estimates over targets, or over images if there are too few targets.

A direction is claimed only if the 95% interval excludes zero in the widest scope that the runs can test, and if the
verdict holds after adjustment for all headline verdicts of the page. For concentration and the signed confidence gap,
neither direction is better, so nothing is called better; for lift, sentences say which backbone looks more at the
object. Each sentence counts comparisons of one level and one scope.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hf_sslgen.metrics.catalogue.rows import HEADLINE_ACCURACY, tested_parts
from hf_sslgen.reporting.page.answer_notes import answer_notes
from hf_sslgen.reporting.page.sentences import Claimed, spoken_amount, spoken_interval, why_undecided
from hf_sslgen.reporting.vocabulary import group_words, scope_words, setting_words, words
from hf_sslgen.study.cells.cell_folder import PRETRAINED_PROTOCOL
from hf_sslgen.study.inference.contrasts import role_of
from hf_sslgen.study.inference.interactions import Interaction
from hf_sslgen.study.inference.judgement import HIGHER, LOWER, UNDECIDED
from hf_sslgen.study.inference.multiplicity import is_answer
from hf_sslgen.study.inference.seed_averages import TargetDifference
from hf_sslgen.study.inference.study_results import StudyResults
from hf_sslgen.study.inference.target_groups import MIN_DOMAINS, Comparison, GroupDifference

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
    estimate: GroupDifference | Interaction | TargetDifference


@dataclass(frozen=True)
class _Kind:
    """What the comparisons of one sentence have in common.

    Attributes:
        of_twins: whether each compares a self-supervised backbone with a supervised one.
        level: `over domains` or `one by one`.
        scope: as claimed.
    """

    of_twins: bool
    level: str
    scope: str


def answer(results: StudyResults) -> Answer:
    """Answer the question of a study, separately for similar and different domains."""
    groups = [g for g in results.groups if _is_number(g.comparison, HEADLINE_ACCURACY, "")]
    if not groups:
        nothing = "This report compares no self-supervised backbone with a supervised twin by accuracy."
        return Answer(nothing, [], [])
    parts = []
    for title, metrics in tested_parts():
        statements = []
        for metric, transform in metrics:
            for group in _group_names(results):
                statements += _on_group(group, metric, _items(results, group, metric, transform))
            statements += _between_groups(results, metric, transform)
        if statements:
            parts.append(AnswerPart(title, statements))
    return Answer(_short(results), parts, answer_notes(results))


def _group_names(results: StudyResults) -> list[str]:
    found = {g.group for g in results.groups}
    return [group for group in ("similar", "different") if group in found] + sorted(found - {"similar", "different"})


def _heading(group: str, kind: _Kind) -> str:
    of = "Over" if kind.level == OVER_DOMAINS else "On"
    if group == "unstated":
        return f"{of} domains whose similarity to the source is not stated"
    return f"{of} domains {group_words(group)}"


OVER_DOMAINS = "over domains"
ONE_BY_ONE = "one by one"


def _items(results: StudyResults, group: str, metric: str, transform: str) -> dict[_Kind, list[_Item]]:
    """Return the comparisons of one number in one group: over targets if there are enough, else by target."""
    items: dict[_Kind, list[_Item]] = {}
    for g in results.groups:
        if g.group != group or not _is_number(g.comparison, metric, transform):
            continue
        name = comparison_name(results, g.comparison)
        if g.n >= MIN_DOMAINS:
            found = [_Item(_joined(name, f"over {g.n} domains"), g)]
        else:
            found = [_Item(_joined(d.domain, name), d) for d in g.members]
        level = OVER_DOMAINS if g.n >= MIN_DOMAINS else ONE_BY_ONE
        for item in found:
            kind = _Kind(_are_twins(g.comparison), level, item.estimate.judgement.claimed.scope)
            items.setdefault(kind, []).append(item)
    return items


def _is_number(comparison: Comparison, metric: str, transform: str) -> bool:
    return (comparison.metric, comparison.transform) == (metric, transform) and is_answer(comparison)


def _are_twins(comparison: Comparison) -> bool:
    return (role_of(comparison.first_objective), role_of(comparison.second_objective)) == ("ssl", "supervised")


def comparison_name(results: StudyResults, comparison: Comparison) -> str:
    """Return what distinguishes a comparison from others: its contrast if there are several, and its setting."""
    contrasts = {(g.comparison.first, g.comparison.second, g.comparison.source) for g in results.groups}
    contrast = ""
    if len(contrasts) > 1:
        alone = sum(first == comparison.first for first, _, _ in contrasts) == 1 and _are_twins(comparison)
        contrast = comparison.first if alone else f"{comparison.first} against {comparison.second}"
        if len({source for _, _, source in contrasts}) > 1 and comparison.source:
            contrast += f" ({comparison.source})"
    is_invariance = (
        comparison.protocol == PRETRAINED_PROTOCOL and comparison.transform
    )  # its heading names the encoder
    setting = "" if is_invariance else setting_words(comparison.protocol, comparison.labels)
    return _joined(contrast, setting)


def _joined(*parts: str) -> str:
    return ", ".join(part for part in parts if part)


def _on_group(group: str, metric: str, items: Mapping[_Kind, Sequence[_Item]]) -> list[Statement]:
    meanings = {HIGHER: "higher", LOWER: "lower", UNDECIDED: "undecided"}
    if metric == "lift":
        meanings |= {
            HIGHER: "higher, so it looks more at the object,",
            LOWER: "lower, so it looks less at the object,",
        }
    return [
        _statement(f"{_heading(group, kind)}, {_subject(metric, kind)}", kind, members, metric, meanings)
        for kind, members in items.items()
    ]


def _subject(metric: str, kind: _Kind) -> str:
    first, second = _sides(kind)
    return f"{words(metric).phrase} of {first} compared with {second}"


def _sides(kind: _Kind) -> tuple[str, str]:
    if kind.of_twins:
        return "the self-supervised backbone", "its supervised twin"
    return "the first backbone", "the second"


def _between_groups(results: StudyResults, metric: str, transform: str) -> list[Statement]:
    """State whether the two groups differ, if both have enough domains."""
    items: dict[_Kind, list[_Item]] = {}
    for i in results.interactions:
        if _is_number(i.comparison, metric, transform) and min(i.n_similar, i.n_different) >= MIN_DOMAINS:
            kind = _Kind(_are_twins(i.comparison), OVER_DOMAINS, i.judgement.claimed.scope)
            items.setdefault(kind, []).append(_Item(comparison_name(results, i.comparison), i))
    meanings = {
        HIGHER: "higher on different domains than on similar ones",
        LOWER: "lower on different domains than on similar ones",
        UNDECIDED: "undecided",
    }
    subject = f"Different versus similar domains, the difference in {words(metric).phrase}"
    return [_statement(subject, kind, members, metric, meanings) for kind, members in items.items()]


def _statement(
    subject: str, kind: _Kind, items: Sequence[_Item], metric: str, meanings: Mapping[str, str]
) -> Statement:
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
    text = f"{subject}, for {scope_words(kind.scope)}: {'; '.join(clauses)}."
    return Statement(text, listed if len(items) > INLINE else [])


def _spoken(item: _Item, metric: str) -> str:
    claimed = Claimed.of(item.estimate)
    lead = f"{item.name}: " if item.name else ""
    amount = spoken_amount(claimed, metric, signed=True)
    if math.isnan(claimed.low):
        return f"{lead}{amount}, without an interval"
    interval = f"{lead}{amount}, 95% interval {spoken_interval(claimed, metric, signed=True)}"
    if claimed.verdict != UNDECIDED:
        return interval
    return ", ".join([interval, *why_undecided(item.estimate.judgement, metric)])


def _short(results: StudyResults) -> str:
    """Count the verdicts on accuracy."""
    sentences = []
    for group in _group_names(results):
        for kind, items in _items(results, group, HEADLINE_ACCURACY, "").items():
            sentences.append(_counted(group, kind, [item.estimate.verdict for item in items]))
    return " ".join(sentences)


def _counted(group: str, kind: _Kind, verdicts: Sequence[str]) -> str:
    first, second = _sides(kind)
    count = "1 comparison" if len(verdicts) == 1 else f"{len(verdicts)} comparisons"
    total = f"{count}, for {scope_words(kind.scope)}"
    lead = f"{_heading(group, kind)},"
    counts = [
        f"{word} accurate than {second}" + (f" in {verdicts.count(verdict)}" if len(verdicts) > 1 else "")
        for verdict, word in ((HIGHER, "more"), (LOWER, "less"))
        if verdict in verdicts
    ]
    if not counts:
        return f"{lead} it is undecided which backbone is more accurate ({total})."
    undecided = verdicts.count(UNDECIDED)
    rest = f", and undecided in {undecided}" if undecided else ""
    of_all = f" of {total}" if len(verdicts) > 1 else f" ({total})"
    return f"{lead} {first} is {' and '.join(counts)}{of_all}{rest}."
