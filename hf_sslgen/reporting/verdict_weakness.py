"""What is wrong with the backbone that a verdict puts first, the gravest first."""

from collections.abc import Sequence

from hf_sslgen.reporting.table_rows import Row, collapsed_rows, rows_of
from hf_sslgen.reporting.verdict_words import Speaker, accuracy_words, place_name, points_words
from hf_sslgen.study.inference.backbone_averages import average_over_runs
from hf_sslgen.study.inference.backbone_ranking.ranking import Ranking
from hf_sslgen.study.inference.cautions import CautionKind
from hf_sslgen.study.inference.leads import Leads, best_control, trained_of
from hf_sslgen.study.inference.study_results import StudyResults
from hf_sslgen.zoo.backbone_registry import UNTRAINED

BADLY_CALIBRATED = 0.05
"""Share of images from which confidence counts as too high or too low."""

WIDE = 0.1
"""An accuracy that may be off by more than this was measured on few images."""


def weakness(results: StudyResults, rankings: Sequence[Ranking], speaker: Speaker, leads: Leads) -> list[str]:
    """Return sentences on what was found to be wrong, the gravest first.

    Args:
        rankings: what the verdict is about: one, or those of several domains that it does not average over.
    """
    found: list[str] = []
    for ranking in rankings:
        place = "" if ranking.is_over_domains else f" on {place_name(ranking.domains[0])}"
        found += _below_control(ranking, speaker, leads, place)
        found += _below_on_domains(ranking, speaker, leads)
    for ranking in rankings:
        rows = [row for domain in ranking.domains for row in _leaders_rows(results, ranking, domain)]
        found += _collapsed(rows, speaker)
        found += _cautioned(results, ranking, speaker)
        found += _calibration(rows, speaker)
        found += _few_images(ranking, speaker)
    if all(best_control(ranking) is None for ranking in rankings):
        found.append("No untrained control was measured, so this does not show what pretraining adds.")
    return found


def _leaders_rows(results: StudyResults, ranking: Ranking, domain: str) -> list[Row]:
    own = trained_of(ranking)[0].contestant.backbones
    rows = rows_of(results.cells, domain, (ranking.protocol, ranking.labels))
    return [row for row in rows if row.cell.backbone in own]


def _below_control(ranking: Ranking, speaker: Speaker, leads: Leads, place: str) -> list[str]:
    """Name the backbones that do not beat the control, unless the verdict itself says that none does."""
    control, trained = best_control(ranking), trained_of(ranking)
    if control is None:
        return []
    behind = [each for each in trained if not leads.beats_control(ranking, each)]
    if not behind or behind[0] is trained[0]:
        return []
    names = [speaker.name(each.contestant.name) for each in behind]
    is_shown = leads.lead(ranking, trained[0], control).is_ahead
    if is_shown and len(trained) > 2 and len(names) == len(trained) - 1:
        best = speaker.name(trained[0].contestant.name)
        return [speaker.sentence(f"only {best} clearly beats {speaker.name(control.contestant.name)}{place}")]
    subject = names[0] if len(names) == 1 else f"{len(names)} of {len(trained)} backbones"
    verb = "does" if len(names) == 1 else "do"
    return [speaker.sentence(f"{subject} {verb} not clearly beat {speaker.name(control.contestant.name)}{place}")]


def _below_on_domains(ranking: Ranking, speaker: Speaker, leads: Leads) -> list[str]:
    """Name the domains of an average on which backbones score no higher than the control, those of all backbones
    first, then those of the leader, then those where the control is not clearly beaten."""
    if not ranking.is_over_domains:
        return []
    leader = trained_of(ranking)[0].contestant.name
    found: list[tuple[int, str]] = []
    for own in leads.on_domains(ranking):
        control, trained = best_control(own), trained_of(own)
        if control is None:
            continue
        on, whom = f"on {place_name(own.domains[0])}", speaker.name(control.contestant.name)
        below = [each.contestant.name for each in trained if each.value <= control.value]
        value = accuracy_words(control.value, own.metric)
        unsure = [each for each in trained if not leads.beats_control(own, each)]
        if trained and len(below) == len(trained):
            worst = min(each.value for each in trained)
            text = f"{on}, no backbone scores above {whom} ({value})"
            found.append(
                (0, f"{text}; one is {points_words(control.value - worst)} below" if worst < control.value else text)
            )
        elif leader in below:
            found.append((1, f"{on}, {speaker.name(leader)} does not score above {whom} ({value})"))
        elif unsure:
            verb = "does" if len(unsure) == 1 else "do"
            found.append((2, f"{on}, {len(unsure)} of {len(trained)} backbones {verb} not clearly beat {whom}"))
    return [speaker.sentence(text) for _, text in sorted(found, key=lambda each: each[0])]


def _collapsed(rows: Sequence[Row], speaker: Speaker) -> list[str]:
    names = dict.fromkeys(row.cell.backbone for row, _ in collapsed_rows(rows) if row.objective != UNTRAINED)
    return [f"The features of {speaker.name(name)} have collapsed to almost one direction." for name in names]


def _cautioned(results: StudyResults, ranking: Ranking, speaker: Speaker) -> list[str]:
    """Return what the leader's cautions say, but for the control's, which are told above."""
    leader = trained_of(ranking)[0].contestant
    kinds = {
        caution.kind
        for caution in results.cautions
        if caution.backbone in (*leader.backbones, leader.name)
        and (caution.protocol, caution.labels) == (ranking.protocol, ranking.labels)
        and caution.domain in ranking.domains
    }
    name = speaker.name(leader.name)
    sentences = {
        CautionKind.BELOW_LINEAR_PROBE: f"fine-tuning made {name} worse than a linear probe: it was trained badly",
        CautionKind.NOT_CONVERGED: f"the linear fit of {name} stopped before it converged",
        CautionKind.GRID_END: f"the best setting of {name} is at the end of its grid; a better one may lie beyond",
    }
    return [speaker.sentence(text) for kind, text in sentences.items() if kind in kinds]


def _calibration(rows: Sequence[Row], speaker: Speaker) -> list[str]:
    """Say where the leader's confidence is off: the mean gap, or the calibration error beyond what chance explains."""
    worst, text = BADLY_CALIBRATED, ""
    for domain in dict.fromkeys(row.cell.domain for row in rows):
        own = [row for row in rows if row.cell.domain == domain]
        name = speaker.name(own[0].cell.backbone)
        gaps = average_over_runs([[n for row in own if (n := row.number("confidence_gap")) is not None]])
        if gaps is not None and abs(gaps.value) >= worst and (gaps.low > 0 or gaps.high < 0):
            worst, kind = abs(gaps.value), "over" if gaps.value > 0 else "under"
            text = f"{name} is {kind}confident by {points_words(gaps.value)} on {place_name(domain)}"
        errors = average_over_runs([[n for row in own if (n := row.number("expected_calibration_error")) is not None]])
        expected = average_over_runs([[n for row in own if (n := row.number("ece_if_calibrated")) is not None]])
        if errors is not None and expected is not None and errors.value - expected.value >= worst:
            worst = errors.value - expected.value
            off = f"{points_words(errors.value)} on {place_name(domain)}"
            text = (
                f"the calibration error of {name} is {off}; chance alone would make it {points_words(expected.value)}"
            )
    return [speaker.sentence(text)] if text else []


def _few_images(ranking: Ranking, speaker: Speaker) -> list[str]:
    """Say how vaguely the leader's accuracy is known, if it is."""
    best = trained_of(ranking)[0]
    off = max(best.value - best.interval.low, best.interval.high - best.value)
    if not off > WIDE:
        return []
    if ranking.is_over_domains:
        return ["The domains are few and differ widely, so the mean says little about another domain."]
    name = speaker.name(best.contestant.name)
    return [speaker.sentence(f"there are few test images: the accuracy of {name} may be off by {points_words(off)}")]
