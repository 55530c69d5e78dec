"""The verdict of a study in plain sentences: which backbone, by how much, how sure, and what is wrong with it.

The first sentence is about the main setting: of those measured on most domains, the linear probe with all labels comes
first. Where it says that a backbone leads, it also says whether this could be luck: whether the ranking tells it apart
from the runner-up.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from hf_sslgen.reporting.table_rows import Setting, collapsed_rows, domains_of, rows_of, settings_of, shown_accuracy
from hf_sslgen.reporting.verdict_remarks import Remark, RemarkKind, remarks_on
from hf_sslgen.reporting.verdict_sentences import main_lead, sentence_on, sentence_on_each
from hf_sslgen.reporting.verdict_words import Speaker, accuracy_words, place_name
from hf_sslgen.study.cells.cell_folder import PRETRAINED_PROTOCOL, Cell
from hf_sslgen.study.inference.backbone_averages import average_over_runs
from hf_sslgen.study.inference.leads import Leads, trained_of
from hf_sslgen.study.inference.study_results import StudyResults


@dataclass(frozen=True)
class Verdict:
    """The answer to a person's question.

    Attributes:
        sentence: the verdict itself.
        further: short sentences on what it rests on, what is uncertain, the biggest weakness, what would settle it.
        leader: full name of the backbone that is ahead in the main setting; None if the verdict names none.
        is_decided: whether what the sentence says of the leader is more than luck.
    """

    sentence: str
    further: tuple[Remark, ...] = ()
    leader: str | None = None
    is_decided: bool = False


def verdict(results: StudyResults) -> Verdict:
    """Return the verdict of a study, whatever it measured."""
    if not results.cells:
        return Verdict("Nothing has been measured yet.")
    setting = main_setting(results.cells)
    speaker, leads = Speaker(results.cells), Leads(results)
    rankings = [r for r in results.rankings if (r.protocol, r.labels) == setting and trained_of(r)]
    if not rankings:
        return _uncompared(results, setting, speaker)
    over = [ranking for ranking in rankings if ranking.is_over_domains]
    about = (over or rankings)[:1] if over or len(rankings) == 1 else rankings
    further = remarks_on(results, about, speaker, leads)
    if len(about) > 1:
        return Verdict(sentence_on_each(about, speaker, leads), further)
    (ranking,) = about
    lead = main_lead(ranking, leads)
    assert lead is not None
    return Verdict(sentence_on(ranking, speaker, leads), further, lead.first, lead.is_ahead)


def main_setting(cells: Sequence[Cell]) -> Setting:
    """Return the protocol and label budget that the first sentence is about."""
    counts: dict[Setting, int] = {}
    for domain in domains_of(cells):
        for setting in settings_of(cells, domain):
            counts[setting] = counts.get(setting, 0) + (setting[0] != PRETRAINED_PROTOCOL)
    return max(counts, key=lambda setting: counts[setting])


def _uncompared(results: StudyResults, setting: Setting, speaker: Speaker) -> Verdict:
    """Return the verdict where nothing is compared: a single backbone, controls only, or no accuracy."""
    further = []
    for domain in domains_of(results.cells):
        for row, _ in collapsed_rows(rows_of(results.cells, domain, setting)):
            text = f"The features of {speaker.name(row.cell.backbone)} have collapsed to almost one direction."
            further.append(Remark(RemarkKind.WEAKNESS, text))
    text = "To compare, measure another backbone and an untrained control on the same images."
    remarks = (*further[:1], Remark(RemarkKind.SETTLE, text))
    cells = [cell for cell in results.cells if (cell.protocol, cell.labels) == setting]
    measured = [(cell, number) for cell in cells if (number := cell.number(shown_accuracy(cell))) is not None]
    if not measured:
        return Verdict("No accuracy was measured, so nothing can be said about which backbone is better.", remarks)
    first, metric = measured[0][0], measured[0][1].metric
    same = [n for cell, n in measured if (cell.backbone, cell.domain) == (first.backbone, first.domain)]
    average = average_over_runs([same])
    assert average is not None
    text = f"{speaker.name(first.backbone)} gets {accuracy_words(average.value, metric)} on {place_name(first.domain)}"
    if average.low == average.low:
        text += f" ({accuracy_words(average.low, metric)} to {accuracy_words(average.high, metric)})"
    return Verdict(speaker.sentence(f"{text}; it was not compared with anything"), remarks)
