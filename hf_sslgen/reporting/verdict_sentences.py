"""The sentences of a verdict: who is ahead on one domain, over many, or on each of a few."""

from collections.abc import Sequence

from hf_sslgen.reporting.verdict_ranking import ranked_sentence
from hf_sslgen.reporting.verdict_words import (
    UNTOLD,
    Speaker,
    accuracy_words,
    interval_words,
    lead_clause,
    luck_words,
    place_name,
    points_words,
    where_words,
)
from hf_sslgen.reporting.vocabulary import format_decimals
from hf_sslgen.study.inference.backbone_ranking.ranking import RankedBackbone, Ranking
from hf_sslgen.study.inference.leads import Lead, Leads, best_control, trained_of

LEVEL = 0.02
"""Two backbones whose accuracies differ by no more than this, with 95% confidence, are level."""


def main_lead(ranking: Ranking, leads: Leads) -> Lead | None:
    """Return the lead that the sentence on a ranking is about: that of its best backbone over the untrained control
    unless it is shown to be above it, else over the runner-up. None if there is neither."""
    best, *others = trained_of(ranking)
    control = best_control(ranking)
    if control is not None and not (others and leads.beats_control(ranking, best)):
        return leads.lead(ranking, best, control)
    return leads.lead(ranking, best, others[0]) if others else None


def sentence_on(ranking: Ranking, speaker: Speaker, leads: Leads) -> str:
    """Say who is ahead in a ranking of at least two backbones."""
    best, *others = trained_of(ranking)
    control = best_control(ranking)
    lead = main_lead(ranking, leads)
    assert lead is not None
    is_over_control = control is not None and lead.second == control.contestant.name
    if control is not None and not leads.beats_control(ranking, best):
        return _not_above(ranking, best, control, lead, speaker)
    other = control if control is not None and is_over_control else others[0]
    before, after = where_words(ranking)
    if other is not control and not speaker.have_twins([each.contestant.name for each in trained_of(ranking)]):
        return ranked_sentence(ranking, lead, speaker, leads)
    name, value = speaker.name(lead.first), accuracy_words(best.value, ranking.metric)
    second, of_second = speaker.name(lead.second), accuracy_words(other.value, ranking.metric)
    if other is control:
        return speaker.sentence(f"{before}{name} gets {value}{after}, {second} {of_second}; {lead_clause(lead)}")
    if differing := speaker.differing(lead.first, lead.second):
        second += f", which {differing}"
    if value == of_second:
        note = f" (difference {interval_words(lead.low, lead.high)} points)" if lead.has_interval else ""
        return speaker.sentence(f"{before}{name} and {second} tie{after} at {value}{note}")
    if not lead.is_claimed and lead.has_interval and max(abs(lead.low), abs(lead.high)) <= LEVEL:
        most = points_words(max(abs(lead.low), abs(lead.high)))
        level = f"{before}{name} and {second} are level{after}: {value} against {of_second}"
        return speaker.sentence(f"{level}; the difference is probably at most {most}")
    if points_words(lead.value) != points_words(round(best.value, 3) - round(other.value, 3)):
        value, of_second = (f"{format_decimals(100.0 * each.value, 2)}%" for each in (best, other))
    numbers = f"{value} against {of_second} for {second}"
    if lead.is_claimed:
        return speaker.sentence(f"{before}{name} leads{after}: {numbers}; {lead_clause(lead)}")
    opening = f"{before}there is no clear winner" if before else f"no clear winner{after}"
    ahead = f"the most accurate is {name}: {numbers}; {lead_clause(lead)}"
    return f"{speaker.sentence(opening)} {speaker.sentence(ahead)}"


def _not_above(ranking: Ranking, best: RankedBackbone, control: RankedBackbone, lead: Lead, speaker: Speaker) -> str:
    """Say that the untrained control is not beaten, which matters more than who is ahead of whom."""
    before, after = where_words(ranking)
    is_alone = len(trained_of(ranking)) == 1
    name, value = speaker.name(lead.first), accuracy_words(best.value, ranking.metric)
    verb = "clearly beat" if lead.value > 0 else "beat"
    subject = f"{name} does not {verb}" if is_alone else f"no backbone {verb}s"
    numbers = f"{value} against" if is_alone else f"{name} gets {value} against"
    numbers += f" {accuracy_words(control.value, ranking.metric)}"
    if lead.value > 0 and lead.has_interval:
        numbers += f", which {luck_words(lead)} ({interval_words(lead.low, lead.high)})"
    return speaker.sentence(f"{before}{subject} {speaker.name(lead.second)}{after}: {numbers}")


def sentence_on_each(rankings: Sequence[Ranking], speaker: Speaker, leads: Leads) -> str:
    """Say who is ahead on each of several domains that are too few to average over."""
    ahead: dict[str, list[str]] = {}
    for ranking in rankings:
        best = trained_of(ranking)[0].contestant.name
        ahead.setdefault(best, []).append(place_name(ranking.domains[0]))
    found = [main_lead(ranking, leads) for ranking in rankings]
    sure = [place_name(r.domains[0]) for r, lead in zip(rankings, found, strict=True) if lead and lead.is_ahead]
    count = len(rankings)
    both = "both" if count == 2 else f"all {count}"
    if len(ahead) == 1:
        (name,) = ahead
        return speaker.sentence(f"{speaker.name(name)} leads on {both} domains; {_how_sure(sure, count)}")
    if count == 2:
        (first, (on_first, *_)), (second, (on_second, *_)) = ahead.items()
        leading = f"{speaker.name(first)} leads on {on_first}, {speaker.name(second)} on {on_second}"
        return speaker.sentence(f"{leading}; {_how_sure(sure, count)}")
    name, places = max(ahead.items(), key=lambda item: len(item[1]))
    leading = f"no backbone leads everywhere: {speaker.name(name)} does on {len(places)} of {count} domains"
    return speaker.sentence(f"{leading}; {_how_sure(sure, count)}")


def _how_sure(sure: Sequence[str], count: int) -> str:
    if not sure or len(sure) == count:
        leads = "both leads" if count == 2 else f"all {count} leads"
        return f"{leads} {'are more than luck' if sure else 'could be luck'}"
    if len(sure) == 1:
        return f"only the lead on {sure[0]} is more than luck"
    return f"only {len(sure)} of the leads are more than luck"


def setting_sentence(setting: str, ranking: Ranking, speaker: Speaker, leads: Leads) -> str:
    """Say in short who is ahead under another protocol or label budget."""
    lead = main_lead(ranking, leads)
    assert lead is not None
    best = trained_of(ranking)[0]
    name, value = speaker.name(lead.first), accuracy_words(best.value, ranking.metric)
    if not leads.beats_control(ranking, best):
        clause = f"{name} is best with {value}, but not clearly above {speaker.name(lead.second)}"
    elif lead.has_interval:
        clause = f"{name} leads with {value}, which {luck_words(lead)}"
    else:
        clause = f"{name} leads with {value}; {UNTOLD}"
    return speaker.sentence(f"{setting}: {clause}")
