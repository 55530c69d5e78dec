"""The sentence of a verdict where no twins are compared: which backbone serves these images, or which ones do."""

import math

from hf_sslgen.reporting.verdict_words import (
    UNTOLD,
    Speaker,
    accuracy_words,
    interval_words,
    lead_clause,
    luck_words,
    points_words,
    where_words,
)
from hf_sslgen.study.inference.backbone_ranking.ranking import RankedBackbone, Ranking
from hf_sslgen.study.inference.leads import Lead, Leads, trained_of

MOST_NAMED = 3
"""So many backbones that can't be told apart are named; more are counted."""


def ranked_sentence(ranking: Ranking, lead: Lead, speaker: Speaker, leads: Leads) -> str:
    """Say which backbone leads a ranking of at least two, or which can't be told apart from the most accurate.

    Args:
        lead: that of the most accurate over the runner-up.
    """
    best, runner_up, *_ = trained = trained_of(ranking)
    before, after = where_words(ranking)
    tied = [each for each in trained if each is best or not leads.lead(ranking, best, each).is_claimed]
    name, second = speaker.name(lead.first), speaker.name(lead.second)
    if not lead.has_interval:
        others = f"{accuracy_words(runner_up.value, ranking.metric)} for {second}"
        return speaker.sentence(
            f"{before}the most accurate{after} is {name}: {_with_interval(best, ranking)} against {others}; {UNTOLD}"
        )
    if len(tied) == 1:
        against = f"{accuracy_words(runner_up.value, ranking.metric)} for {second}"
        if differing := speaker.differing(lead.first, lead.second):
            against += f", which {differing}"
        opening = speaker.sentence(f"{before}{name} leads{after}: {_with_interval(best, ranking)} against {against}")
        return f"{opening} {speaker.sentence(lead_clause(lead))}"
    if len(tied) <= MOST_NAMED:
        named = [f"{speaker.name(each.contestant.name)} ({_with_interval(each, ranking, ', {}')})" for each in tied]
        opening = f"{before}{', '.join(named[:-1])} and {named[-1]} can't be told apart{after}"
        bounds = interval_words(lead.low, lead.high)
        between = "" if len(tied) == 2 else f" between {name} and {second}"
        closing = f"the difference of {points_words(lead.value)}{between} {luck_words(lead)} ({bounds})"
        return f"{speaker.sentence(opening)} {speaker.sentence(closing)}"
    which = "all" if len(tied) == len(trained) else f"{len(tied)} of"
    opening = f"{before}{which} {len(trained)} backbones can't be told apart{after}"
    closing = f"the most accurate is {name} with {_with_interval(best, ranking)}; {lead_clause(lead)}"
    if len(tied) < len(trained):
        opening = f"{before}{len(tied)} of {len(trained)} backbones can't be told apart from the most accurate{after}"
        closing = f"that is {name} with {_with_interval(best, ranking)}; {lead_clause(lead)}"
    return f"{speaker.sentence(opening)} {speaker.sentence(closing)}"


def _with_interval(each: RankedBackbone, ranking: Ranking, form: str = " ({})") -> str:
    """Return an accuracy with its interval, such as `98.1% (96.7 to 99.1)`; `form` is that of the interval."""
    value = accuracy_words(each.value, ranking.metric)
    if math.isnan(each.interval.low):
        return value
    return value + form.format(interval_words(each.interval.low, each.interval.high))
