"""Notes on the findings: the scope of verdicts, how they were adjusted together, and what could not be tested."""

import math
from collections.abc import Sequence

from hf_sslgen.reporting.vocabulary import scope_words
from hf_sslgen.study.inference.judgement import Judgement
from hf_sslgen.study.inference.study_results import StudyResults
from hf_sslgen.study.inference.target_groups import MIN_DOMAINS


def finding_notes(results: StudyResults) -> list[str]:
    """Return the notes, each a paragraph; none if nothing is compared with a supervised twin."""
    sizes = {
        group: max(g.n for g in results.groups if g.group == group) for group in {g.group for g in results.groups}
    }
    if not sizes:
        return []
    small = [group for group, size in sizes.items() if size < MIN_DOMAINS]
    headlines = [j for j in all_judgements(results) if j.is_headline]
    notes = [
        "A comparison is one pair of backbones under one protocol and label budget. It is over the domains of a group "
        "or, if these are too few, on one domain.",
        "Undecided means that the interval includes zero or is unavailable. It also means that a verdict did not "
        "survive adjustment.",
        f"{_counted(headlines)} Intervals are not adjusted. All other differences of this report are exploratory.",
        *_scope_notes(headlines),
    ]
    if len(small) < len(sizes):
        notes.append("Intervals over domains are Student’s t intervals and apply to domains of that kind.")
    if small:
        notes.append(
            f"Fewer than {MIN_DOMAINS} domains of a kind say nothing about other domains of that kind. "
            "Those intervals apply only to images like these."
        )
    if small or set(sizes) != {"similar", "different"}:
        notes.append(
            "Whether similar and different domains differ from each other is not tested. The test needs at "
            f"least {MIN_DOMAINS} of each."
        )
    return notes


def all_judgements(results: StudyResults) -> list[Judgement]:
    """Return the judgement of every difference on the page, each once."""
    return [
        *(d.judgement for d in results.targets),
        *(g.judgement for g in results.groups),
        *(i.judgement for i in results.interactions),
    ]


def _counted(headlines: Sequence[Judgement]) -> str:
    num_tested = sum(not math.isnan(judgement.adjusted_p_value) for judgement in headlines)
    if num_tested == 0:
        return "No headline verdict is tested, because none has an interval."
    if num_tested == 1:
        return "A single headline verdict has an interval, so it needs no adjustment."
    return (
        f"The {num_tested} headline verdicts with an interval are adjusted together (Holm). If there were no "
        "true differences, a report like this would claim one in at most about 5% of cases."
    )


def _scope_notes(headlines: Sequence[Judgement]) -> list[str]:
    """Return the wider scopes that could not be tested, with the reason and the number of verdicts affected."""
    reasons: dict[tuple[str, str], int] = {}
    for judgement in headlines:
        for scoped in judgement.wider:
            key = scoped.scope, scoped.reason.removeprefix("not testable: ")
            reasons[key] = reasons.get(key, 0) + 1
    return [
        f"Not testable for {scope_words(scope)} in {count} of {len(headlines)} headline verdicts. Reason: {reason}."
        for (scope, reason), count in reasons.items()
    ]
