"""What a faster backbone than the most accurate one would cost in accuracy."""

import math

from hf_sslgen.reporting.verdict_words import Speaker, points_words
from hf_sslgen.study.inference.backbone_ranking.ranking import Ranking
from hf_sslgen.study.inference.leads import Leads, trained_of

MUCH_FASTER = 2.0
"""So many times as fast as another is more than what timings on a shared machine vary by."""


def cost_sentences(ranking: Ranking, speaker: Speaker, leads: Leads) -> list[str]:
    """Name the most accurate of the backbones that are much faster than the best, and what it loses; nothing if none
    is, or none was timed. Only backbones above the untrained control count."""
    best, *others = trained_of(ranking)
    own = best.tradeoffs.images_per_second
    if math.isnan(own):
        return []
    name = speaker.name(best.contestant.name)
    for other in others:
        ratio = other.tradeoffs.images_per_second / own
        if ratio >= MUCH_FASTER and leads.beats_control(ranking, other):
            lost = leads.lead(ranking, best, other)
            much = "as accurate" if round(1000 * lost.value) == 0 else f"{points_words(lost.value)} less accurate"
            sure = "" if lost.is_claimed else ", which could be luck"
            faster = speaker.name(other.contestant.name)
            return [speaker.sentence(f"{faster} is {ratio:.1f} times as fast here as {name} and {much}{sure}")]
    return []
