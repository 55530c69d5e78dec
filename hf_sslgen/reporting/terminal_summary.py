"""The end of a run in a terminal: leaderboard, verdict, what backbones cost and where the rest is, in 25 lines."""

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path

from hf_sslgen.metrics.catalogue.rows import HEADLINE_ACCURACY, METRICS
from hf_sslgen.names import printable, shorten
from hf_sslgen.reporting.cost_table import cost_rows, machine_words
from hf_sslgen.reporting.scorecard import scorecard
from hf_sslgen.reporting.scorecard_values import AveragePanel, Measure, Panel, Score, Scorecard, ScoreRow
from hf_sslgen.reporting.terminal_tables import align
from hf_sslgen.reporting.verdict import main_setting, verdict
from hf_sslgen.reporting.verdict_remarks import RemarkKind
from hf_sslgen.reporting.vocabulary import MISSING, format_interval, format_value, setting_words, words
from hf_sslgen.study.inference.study_results import StudyResults

MOST_LINES = 25
MOST_ROWS = 9
WIDTH = 80
PLACE_WIDTH = 14

FIRST_REMARKS = (RemarkKind.CONFOUND, RemarkKind.COST)
"""The remarks before the table of costs."""

SHOWN_REMARKS = (
    *(RemarkKind.TWIN, RemarkKind.WEAKNESS),
    *(RemarkKind.UNCERTAIN, RemarkKind.SETTLE, RemarkKind.ELSEWHERE),
)
"""The remarks after it, those that matter most first."""


def terminal_summary(results: StudyResults, page: Path) -> str:
    """Return the summary of a study as plain text of at most 25 lines and, but for paths, 80 columns.

    Args:
        page: the page that was written.
    """
    said = verdict(results)
    card = scorecard(results)
    lines = [*_leaderboard(results, card), "", *_wrapped(said.sentence)]
    where = ["", f"Report: {page}", f"Numbers: {page.parent.parent / 'results.csv'} (as tables here: --verbose)"]
    costs = _costs(results, card)
    for kind in (*FIRST_REMARKS, None, *SHOWN_REMARKS):
        found = [costs] if kind is None else [_wrapped(r.text, "- ") for r in said.further if r.kind is kind]
        for block in found:
            if len(lines) + len(block) + len(where) <= MOST_LINES:
                lines += block
    return "\n".join(printable(line) for line in [*lines, *where])


def _wrapped(text: str, bullet: str = "") -> list[str]:
    return textwrap.wrap(
        text, WIDTH, initial_indent=bullet, subsequent_indent=" " * len(bullet), break_on_hyphens=False
    )


def _costs(results: StudyResults, card: Scorecard) -> list[str]:
    """Return a table of what the backbones cost, if it was measured."""
    rows = cost_rows(results, card.names)
    measured = [row.cost for row in rows if row.cost is not None]
    if not measured:
        return []
    header = ["", "parameters", "GMACs", "images/s", "memory", "weights", ""]
    table = [
        [row.short_name, row.parameters, row.multiply_adds, row.throughput, row.memory, row.file_size, ""]
        for row in rows[:MOST_ROWS]
    ]
    return _fitting(f"Cost of a pass on {machine_words(measured)}", [header, *table], len(rows), keep=4)


def _leaderboard(results: StudyResults, card: Scorecard) -> list[str]:
    """Return a heading and a row per backbone: on one domain with the four measurements, on several with each
    domain's accuracy."""
    setting = main_setting(results.cells)
    panels = [panel for panel in card.panels if (panel.protocol, panel.labels) == setting]
    averages = [a for a in card.averages if (a.protocol, a.labels) == setting and not a.group]
    if len(panels) > 1 and averages:
        return _of_domains(averages[0], panels)
    return [line for panel in panels[:1] for line in _of_measurements(panel, card)]


def _of_measurements(panel: Panel, card: Scorecard) -> list[str]:
    unit = "episodes" if panel.protocol == "few-shot" else "test images"
    setting = setting_words(panel.protocol, panel.labels)
    title = f"{panel.domain}, {setting}: {words(panel.accuracy).phrase}, {panel.num_images:,} {unit}"
    header = ["", "accuracy %", *(_title(measure) for measure in card.measures[1:])]
    table = [
        [row.short_name, _with_interval(row.scores[0]), *(_value(score) for score in row.scores[1:]), _marks(row)]
        for row in panel.rows[:MOST_ROWS]
    ]
    return _fitting(title, [[*header, ""], *table], len(panel.rows), keep=2)


def _of_domains(average: AveragePanel, panels: Sequence[Panel]) -> list[str]:
    title = f"{len(panels)} domains, {setting_words(average.protocol, average.labels)}: accuracy %"
    by_name = [{row.name: row for row in panel.rows} for panel in panels]
    table = [
        [
            row.short_name,
            _with_interval(row.scores[0]),
            *(_value(rows[row.name].scores[0]) for rows in by_name),
            _marks(row),
        ]
        for row in average.rows[:MOST_ROWS]
    ]
    header = ["", "mean", *(shorten(panel.domain, PLACE_WIDTH) for panel in panels), ""]
    return _fitting(title, [header, *table], len(average.rows), keep=2)


def _fitting(title: str, table: list[list[str]], num_rows: int, keep: int) -> list[str]:
    """Align a table, without the last columns before the marks where the terminal has no room for them.

    Args:
        keep: columns that always stay.
    """
    dropped = 0
    while True:
        lines = align(table, 1, len(table[0]) - 1)
        if max(map(len, lines)) <= WIDTH - 2 or len(table[0]) <= keep + 1:
            break
        table = [[*row[:-2], row[-1]] for row in table]
        dropped += 1
    more = [f"  ... and {num_rows - len(table) + 1} more on the page"] if num_rows > len(table) - 1 else []
    title += f" ({dropped} more columns on the page)" if dropped else ""
    return [shorten(title, WIDTH), *(f"  {line}" for line in lines), *more]


def _title(measure: Measure) -> str:
    return METRICS[measure.metric].terminal_title or words(measure.metric).title.split()[0].lower()


def _value(score: Score | None) -> str:
    return MISSING if score is None else format_value(score.value, score.metric)


def _with_interval(score: Score | None) -> str:
    if score is None:
        return MISSING
    metric = "accuracy" if score.metric == HEADLINE_ACCURACY else score.metric
    interval = "" if math.isnan(score.low) else f" {format_interval(score.low, score.high, metric)}"
    return f"{format_value(score.value, metric)}{interval}"


def _marks(row: ScoreRow) -> str:
    return "control" if row.is_control else ", ".join(row.marks)
