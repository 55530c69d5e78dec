"""What is said after a verdict: what it rests on, what is uncertain, the biggest weakness, what would settle it."""

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from hf_sslgen.metrics.catalogue.rows import HEADLINE_ACCURACY
from hf_sslgen.metrics.run_variance import MIN_RUNS
from hf_sslgen.reporting.confound_words import control_sentences, field_sentences
from hf_sslgen.reporting.table_rows import domains_of, settings_of
from hf_sslgen.reporting.verdict_cost import cost_sentences
from hf_sslgen.reporting.verdict_sentences import main_lead, sentence_on, setting_sentence
from hf_sslgen.reporting.verdict_weakness import weakness
from hf_sslgen.reporting.verdict_words import Speaker, comparison_clause, points_words
from hf_sslgen.reporting.vocabulary import setting_words, words
from hf_sslgen.study.inference.backbone_ranking.ranking import RankedBackbone, Ranking
from hf_sslgen.study.inference.judgement import HIGHER, LOWER, Judgement
from hf_sslgen.study.inference.leads import Lead, Leads, trained_of
from hf_sslgen.study.inference.scopes import PRETRAINING, WEIGHTS
from hf_sslgen.study.inference.study_results import StudyResults
from hf_sslgen.study.inference.target_groups import MIN_DOMAINS, GroupDifference
from hf_sslgen.zoo.backbone_registry import UNTRAINED

MOST_ELSEWHERE = 3
"""At most so many sentences on domains, and on other settings."""

HOPELESS = 20.0
"""A lead that needs more than so many times the images is not worth settling."""

PLACES = {"similar": " like the source", "different": " unlike the source"}


class Judged(Protocol):
    """A difference on a domain or over a group of them, with what may be claimed of it."""

    @property
    def judgement(self) -> Judgement: ...
    @property
    def verdict(self) -> str: ...


class RemarkKind(StrEnum):
    """What a remark is about, in the order of remarks."""

    BASIS = "basis"
    CONFOUND = "confound"
    COST = "cost"
    TWIN = "twin"
    ELSEWHERE = "elsewhere"
    UNCERTAIN = "uncertain"
    WEAKNESS = "weakness"
    SETTLE = "settle"


@dataclass(frozen=True)
class Remark:
    """A sentence after the verdict."""

    kind: RemarkKind
    text: str


def remarks_on(
    results: StudyResults, rankings: Sequence[Ranking], speaker: Speaker, leads: Leads
) -> tuple[Remark, ...]:
    """Return the remarks on a verdict.

    Args:
        rankings: what the verdict is about: one, or those of several domains that it does not average over.
    """
    main = rankings[0]
    elsewhere = [] if len(rankings) == 1 else [sentence_on(ranking, speaker, leads) for ranking in rankings]
    elsewhere = [*elsewhere[:MOST_ELSEWHERE], *_other_settings(results, main, speaker, leads)[:MOST_ELSEWHERE]]
    lead = main_lead(main, leads)
    assert lead is not None
    found = {
        RemarkKind.BASIS: [_basis(results, rankings)],
        RemarkKind.CONFOUND: _confounded(rankings, speaker),
        RemarkKind.COST: cost_sentences(main, speaker, leads) if len(rankings) == 1 else [],
        RemarkKind.TWIN: _twins(results, rankings, speaker, leads),
        RemarkKind.ELSEWHERE: elsewhere,
        RemarkKind.UNCERTAIN: [_scope(main, lead)],
        RemarkKind.WEAKNESS: weakness(results, rankings, speaker, leads)[:1],
        RemarkKind.SETTLE: [_settling(main, lead)] if len(rankings) == 1 else [],
    }
    return tuple(Remark(kind, text) for kind, texts in found.items() for text in texts)


def _basis(results: StudyResults, rankings: Sequence[Ranking]) -> str:
    main = rankings[0]
    domains = {domain for ranking in rankings for domain in ranking.domains}
    of = main.protocol, main.labels
    cells = [cell for cell in results.cells if (cell.protocol, cell.labels) == of and cell.domain in domains]
    seeds = len({cell.seed for cell in cells})
    numbers = {cell.domain: number.n for cell in cells if (number := cell.number("accuracy")) is not None}
    unit = "episodes" if main.protocol == "few-shot" else "test images"
    images = f"{sum(numbers.values()):,} {unit}" + (f" of {len(domains)} domains" if len(domains) > 1 else "")
    runs = "1 seed" if seeds == 1 else f"{seeds} seeds"
    return f"The verdict compares {words(main.metric).phrase} ({setting_words(*of)}) on {images}, with {runs}."


def _other_settings(results: StudyResults, main: Ranking, speaker: Speaker, leads: Leads) -> list[str]:
    """Say who is ahead in each other setting that was ranked on as many domains."""
    settings = dict.fromkeys(s for domain in domains_of(results.cells) for s in settings_of(results.cells, domain))
    found = []
    for setting in settings:
        if setting == (main.protocol, main.labels):
            continue
        ranked = [r for r in results.rankings if (r.protocol, r.labels) == setting and trained_of(r)]
        same = [r for r in ranked if r.domains == main.domains] or [r for r in ranked if r.is_over_domains]
        if same:
            found.append(setting_sentence(setting_words(*setting), same[0], speaker, leads))
    return found


def _confounded(rankings: Sequence[Ranking], speaker: Speaker) -> list[str]:
    """Say in what else the backbones differ, in one remark."""
    shown = {each.contestant.name: each.contestant.role for ranking in rankings for each in ranking.backbones}
    trained, controls = (
        speaker.known(name for name, role in shown.items() if (role == UNTRAINED) == is_control)
        for is_control in (False, True)
    )
    sentences = [*field_sentences(trained), *control_sentences(trained, controls)]
    return [" ".join(sentences)] if sentences else []


def _twins(results: StudyResults, rankings: Sequence[Ranking], speaker: Speaker, leads: Leads) -> list[str]:
    """Say how the best self-supervised backbone compares with its supervised twin, unless the verdict has said so.

    Without a twin, it is compared with a supervised backbone that differs in more, which is said.
    """
    ranking = rankings[0]
    roles = {each.contestant.role for each in ranking.backbones}
    if not {"ssl", "supervised"} <= roles:
        return []
    pair = _best_pair(results, ranking)
    if pair is None:
        return ["No supervised backbone here is a twin, with the same architecture, source data and pretraining seed."]
    first, second = pair
    if len(rankings) > 1 or ranking.is_over_domains:
        return [_on_group(g, speaker, first, second) for g in results.groups if _is_pair(g, ranking, first, second)]
    lead = main_lead(ranking, leads)
    if lead is not None and {lead.first, lead.second} == {first.contestant.name, second.contestant.name}:
        return []
    names = speaker.name(first.contestant.name), speaker.name(second.contestant.name)
    clause = comparison_clause(*names, leads.lead(ranking, first, second))
    return [speaker.sentence(clause + _also_differing(first, second, speaker))]


def _also_differing(first: RankedBackbone, second: RankedBackbone, speaker: Speaker) -> str:
    differing = speaker.differing(first.contestant.name, second.contestant.name)
    return f". The second {differing}" if differing else ""


def _best_pair(results: StudyResults, ranking: Ranking) -> tuple[RankedBackbone, RankedBackbone] | None:
    """Return the best self-supervised backbone that has a supervised twin, and the best of its twins; if none has one,
    the best pair that was compared although it differs in more."""
    twins = {(d.first, d.second) for d in results.targets if not d.confounded_by}
    others = {(d.first, d.second) for d in results.targets if d.confounded_by}
    return _best_of(twins, ranking) or _best_of(others, ranking)


def _best_of(compared: Collection[tuple[str, str]], ranking: Ranking) -> tuple[RankedBackbone, RankedBackbone] | None:
    trained = trained_of(ranking)
    return next(
        (
            (first, second)
            for first in trained
            if first.contestant.role == "ssl"
            for second in trained
            if second.contestant.role == "supervised"
            and any((a, b) in compared for a in _names(first) for b in _names(second))
        ),
        None,
    )


def _names(each: RankedBackbone) -> tuple[str, ...]:
    """Return the names under which differences list a contestant."""
    contestant = each.contestant
    return (contestant.name, contestant.objective) if contestant.are_runs else (contestant.name,)


def _is_pair(g: GroupDifference, ranking: Ranking, first: RankedBackbone, second: RankedBackbone) -> bool:
    of = g.comparison
    setting = HEADLINE_ACCURACY, ranking.protocol, ranking.labels
    sides = of.first in _names(first) and of.second in _names(second)
    return (of.metric, of.protocol, of.labels) == setting and sides and of.source == first.contestant.source


def _on_group(g: GroupDifference, speaker: Speaker, first: RankedBackbone, second: RankedBackbone) -> str:
    """Say how a self-supervised backbone compares with its twin on the domains of a group."""
    estimate: Judged = g if g.n != 1 else g.members[0]
    claimed = estimate.judgement.claimed
    is_claimed = estimate.verdict in (HIGHER, LOWER)
    lead = Lead("", "", g.value, claimed.low, claimed.high, claimed.scope, is_claimed, math.nan)
    clause = comparison_clause(speaker.name(first.contestant.name), speaker.name(second.contestant.name), lead)
    where = f"on {'1 domain' if g.n == 1 else f'{g.n} domains'}{PLACES.get(g.group, '')}"
    if 1 < g.n < MIN_DOMAINS:
        sure = sum(member.verdict in (HIGHER, LOWER) for member in g.members)
        luck = ("this could be luck on both", "more than luck on one of them", "more than luck on both")[sure]
        clause = f"{clause.partition(';')[0]}; {luck}"
    return speaker.sentence(f"{where}, {clause}{_also_differing(first, second, speaker)}")


def _scope(ranking: Ranking, lead: Lead) -> str:
    """Say what the verdict applies to."""
    if not lead.has_interval:
        return (
            f"There is no interval, because {lead.reason}."
            if len(lead.reason.split()) < 20
            else "There is no interval."
        )
    if lead.scope == PRETRAINING:
        domains = "other domains like these and " if ranking.is_over_domains else ""
        return f"This applies to {domains}these objectives pretrained again."
    if ranking.is_over_domains:
        return "This applies to other domains like these, but not to backbones pretrained again."
    if lead.scope == WEIGHTS:
        return "This applies to these weights and images like these; training again could change the order."
    return "This applies to these backbones trained again, but not pretrained again."


def _settling(ranking: Ranking, lead: Lead) -> str:
    """Say what would decide an undecided lead, or extend a decided one."""
    if lead.is_claimed:
        if lead.scope == WEIGHTS:
            return f"To learn whether it holds for backbones trained again, run a study with {MIN_RUNS} seeds or more."
        if lead.scope != PRETRAINING:
            return f"To learn whether it holds for the objectives, pretrain each {MIN_RUNS} times or more."
        return "Other domains may give a different answer."
    if not lead.has_interval or math.isnan(lead.detectable):
        return "More domains might settle it." if ranking.is_over_domains else "More test images might settle it."
    if lead.excludes_zero:
        return "Fewer backbones or somewhat more images would settle it, since the verdict is adjusted for all pairs."
    finds = f"differences of about {points_words(lead.detectable)}"
    if ranking.is_over_domains:
        return f"More domains might settle it: with these {len(ranking.domains)}, only {finds} or more are detectable."
    more = "test images" if lead.scope == WEIGHTS else "test images and seeds"
    ratio = (lead.detectable / lead.value) ** 2 if lead.value else math.inf
    if ratio > HOPELESS:
        return f"To settle so small a lead would take over {HOPELESS:.0f} times the {more}; choose by other criteria."
    if ratio < 1.5:
        return f"Somewhat more {more} would probably settle it."
    enough = f"About {ratio:.0f} times the {more} would probably settle it"
    return f"{enough}; with these, only {finds} or more are detectable."
