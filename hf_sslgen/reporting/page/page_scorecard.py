"""Lay out the scorecard of a page: cards with a row for each backbone, and heat maps of differences by domain.

Both are tables of HTML that style sheets draw, so that they can be read aloud, found, printed and shown without a
script.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from hf_sslgen.metrics.catalogue.metric import Part
from hf_sslgen.reporting.confound_words import listed
from hf_sslgen.reporting.page.fitting import fitted_interval, fitted_value
from hf_sslgen.reporting.page.glossary_terms import term_of
from hf_sslgen.reporting.scorecard_values import AveragePanel, Mark, Measure, Panel, Score, Scorecard, ScoreRow
from hf_sslgen.reporting.table_rows import Setting
from hf_sslgen.reporting.vocabulary import MISSING, group_words, scope_words, setting_words, words

FEW_DOMAINS = 3
"""Up to this many domains have a card each at the top; more are averaged there."""

SHORT_PARTS = {
    Part.CONFIDENCE.value: "Confidence",
    Part.CONCENTRATION.value: "Attribution",
    Part.INVARIANCE.value: "Invariance",
}
"""Titles of the measurements that a narrow column has room for."""

MARKS = {
    Mark.LEADS: ("★", "leads", "Told apart from all others"),
    Mark.TIED: ("≈", "tied", "Best, or not told apart from the best"),
    Mark.UNTOLD: ("?", "can't tell", "Best, or not told apart from the best because there is no interval"),
    Mark.NOT_ABOVE_CONTROL: (
        "▽",
        "not above untrained",
        "Not shown to be more accurate than the untrained control",
    ),
    Mark.BELOW_CONTROL: ("▼", "below untrained", "Less accurate than the untrained control"),
}
"""A sign, a word and its meaning."""

DIRECTIONS = {"higher": "↑ higher is better", "lower": "↓ lower is better", None: "no better direction"}
OWN_DIRECTIONS = {"confidence_gap": "0 is best, + overconfident"}
HAS_ZERO = ("confidence_gap",)
"""Numbers whose tracks show zero, because it is the best value."""


@dataclass(frozen=True)
class CardCell:
    """A number of a card. Positions are percentages of its track; None where there is nothing to draw."""

    text: str
    value: str | None
    interval: str
    at: float | None
    start: float | None
    width: float | None
    note: str
    cell: str


@dataclass(frozen=True)
class CardRow:
    """A backbone of a card; `standing` is how its accuracy is drawn: leads, tied, behind, control, or empty."""

    row: ScoreRow
    standing: str
    marks: list[tuple[str, str, str]]
    cells: list[CardCell]


@dataclass(frozen=True)
class CardColumn:
    """A measurement of a card; `control` and `zero` are where the untrained control and zero lie on its track."""

    part: str
    title: str
    unit: str
    direction: str
    term: str
    control: float | None
    zero: float | None


@dataclass(frozen=True)
class Card:
    """A table of the four measurements on one domain, or averaged over several; `notes` explain absent intervals."""

    title: str
    about: str
    domain: str
    protocol: str
    labels: str
    columns: list[CardColumn]
    rows: list[CardRow]
    notes: list[str]


def cards_shown_first(card: Scorecard, main: Setting) -> tuple[list[Panel | AveragePanel], list[Panel]]:
    """Return the panels at the top of the page, and the others.

    At the top is the setting that the verdict is about: a few domains each and their average, or the averages over
    many domains and over those of each group. All list the backbones in one order, that of the average.

    Args:
        main: the setting of the verdict.
    """
    of_main = [panel for panel in card.panels if (panel.protocol, panel.labels) == main]
    averages = [each for each in card.averages if (each.protocol, each.labels) == main]
    overall = [each for each in averages if not each.group]
    if len(of_main) <= FEW_DOMAINS or not averages:
        shown = _in_one_order([*of_main, *overall], overall or of_main)
        return shown, [panel for panel in card.panels if panel not in of_main]
    return _in_one_order(averages, overall or averages), list(card.panels)


def _in_one_order(
    panels: Sequence[Panel | AveragePanel], ranked: Sequence[Panel | AveragePanel]
) -> list[Panel | AveragePanel]:
    """List the backbones of all panels as the first of `ranked` does, so that rows can be compared across panels."""
    places = {row.name: place for place, row in enumerate(ranked[0].rows)} if ranked else {}
    return [
        replace(panel, rows=tuple(sorted(panel.rows, key=lambda row: places.get(row.name, len(places)))))
        for panel in panels
    ]


def card_of(panel: Panel | AveragePanel, measures: Sequence[Measure]) -> Card:
    """Lay out one panel; a measurement that it lacks has no column."""
    measured = [i for i in range(len(measures)) if any(row.scores[i] is not None for row in panel.rows)]
    scales = {
        i: _Scale.over((row.scores[i] for row in panel.rows), 0.0 if measures[i].metric in HAS_ZERO else None)
        for i in measured
    }
    columns = [_column(measures[i], panel, i, scales[i]) for i in measured]
    rows = [
        CardRow(
            row,
            _standing(row, panel.rows),
            [MARKS[mark] for mark in row.marks],
            [_cell(row.scores[i], scales[i], isinstance(panel, AveragePanel)) for i in measured],
        )
        for row in panel.rows
    ]
    setting = setting_words(panel.protocol, panel.labels)
    if isinstance(panel, AveragePanel):
        kind = f"domains {group_words(panel.group)}" if panel.group else "domains"
        title, domain = f"Mean of {len(panel.domains)} {kind}", ""
        about = f"{setting}; {', '.join(panel.domains)}"
    else:
        title, domain = panel.domain, panel.domain
        unit = "episodes" if panel.protocol.startswith("few-shot") else "test images"
        about = f"{group_words(panel.group)}; {setting}; {panel.num_images:,} {unit}"
        if panel.group == "unstated":
            about = f"{setting}; {panel.num_images:,} {unit}"
    return Card(title, about, domain, panel.protocol, panel.labels, columns, rows, _notes(panel))


def _standing(row: ScoreRow, rows: Sequence[ScoreRow]) -> str:
    if row.is_control:
        return "control"
    if Mark.LEADS in row.marks:
        return "leads"
    if _is_tied(row):
        return "tied"
    return "behind" if any(Mark.LEADS in other.marks or _is_tied(other) for other in rows) else ""


def _is_tied(row: ScoreRow) -> bool:
    return Mark.TIED in row.marks or Mark.UNTOLD in row.marks


def _notes(panel: Panel | AveragePanel) -> list[str]:
    """Say why accuracies of a card have no interval, and what else its backbones differ in."""
    scores = [row.scores[0] for row in panel.rows]
    reasons = [score.reason for score in scores if score is not None and math.isnan(score.low) and score.reason]
    notes = [f"Accuracy without an interval: {reason}." for reason in dict.fromkeys(reasons)]
    if panel.differing:
        notes.append(f"Not all of these are twins: they differ, or may differ, in {listed(panel.differing)}.")
    return notes


def _column(measure: Measure, panel: Panel | AveragePanel, index: int, scale: "_Scale") -> CardColumn:
    found = [row.scores[index] for row in panel.rows if row.is_control]
    control = next((score.value for score in found if score is not None and not math.isnan(score.value)), None)
    part = SHORT_PARTS.get(measure.part, measure.part)
    unit = words(measure.metric).unit.strip()
    return CardColumn(
        part,
        measure.title if measure.title != part else "",
        unit,
        OWN_DIRECTIONS.get(measure.metric, DIRECTIONS[measure.better]),
        term_of(measure.metric),
        None if control is None else scale.place(control),
        scale.place(0.0) if measure.metric in HAS_ZERO else None,
    )


@dataclass(frozen=True)
class _Scale:
    """From values to percentages of a track."""

    low: float
    high: float

    @classmethod
    def over(cls, scores: Iterable[Score | None], shown: float | None = None) -> "_Scale":
        """Return the scale on which all values and intervals have room, and one more value if given."""
        found = [score for score in scores if score is not None and not math.isnan(score.value)]
        ends = [end for s in found for end in (s.value, s.low, s.high) if not math.isnan(end)]
        if not ends:
            return cls(0.0, 1.0)
        ends += [] if shown is None else [shown]
        margin = (max(ends) - min(ends)) * 0.06 or max(abs(ends[0]), 1e-9) * 0.1
        return cls(min(ends) - margin, max(ends) + margin)

    def place(self, value: float) -> float:
        return round(100 * (value - self.low) / (self.high - self.low), 2)


def _cell(score: Score | None, scale: _Scale, is_average: bool) -> CardCell:
    if score is None or math.isnan(score.value):
        reason = "" if score is None else score.reason
        return CardCell(MISSING, None, "", None, None, None, reason or "not measured", "")
    start = width = None
    note = ""
    if math.isnan(score.low) or math.isnan(score.high):
        note = f"no interval: {score.reason}" if score.reason else "no interval"
    else:
        start = scale.place(score.low)
        width = round(scale.place(score.high) - start, 2)
    if score.scope:
        note = f"for {scope_words(score.scope)}"
    # Over domains, the interval is wide because domains differ, which says little about the backbones of one table.
    bounds = (math.nan, math.nan) if is_average else (score.low, score.high)
    return CardCell(
        fitted_value(score.value, *bounds, score.metric),
        repr(float(score.value)),
        fitted_interval(score.low, score.high, score.metric),
        scale.place(score.value),
        start,
        width,
        "; ".join(part for part in (_counted(score), note) if part),
        score.cells[0] if score.cells else "",
    )


def _counted(score: Score) -> str:
    runs = f", mean of {score.num_runs} runs" if score.num_runs > 1 else ""
    return f"n = {score.n:,}{runs}"
