"""The layout of scorecards: order, positions, marks and reasons."""

import math
from dataclasses import replace

import pytest

from hf_sslgen.reporting.page.page_scorecard import Card, card_of, cards_shown_first
from hf_sslgen.reporting.scorecard_values import AveragePanel, Mark, Measure, Panel, Score, Scorecard, ScoreRow

MEASURES = (
    Measure("Accuracy", "headline_accuracy", "", "Accuracy", "higher"),
    Measure("Prediction confidence", "confidence_gap", "", "Confidence gap", None),
)


def row(name: str, accuracy: float, gap: float, *marks: Mark, half: float = 0.05, reason: str = "") -> ScoreRow:
    low, high = (math.nan, math.nan) if reason else (accuracy - half, accuracy + half)
    scores = (
        Score("accuracy", accuracy, low, high, 100, 1, reason, marks=marks),
        Score("confidence_gap", gap, gap - 0.01, gap + 0.01, 100, 1),
    )
    return ScoreRow(name, name, "untrained" if name == "control" else "simclr", name == "control", (name,), scores)


def panel(domain: str, *rows: ScoreRow) -> Panel:
    return Panel(domain, "similar", "linear", "100%", "accuracy", 100, (0,), rows)


def card(*rows: ScoreRow) -> Card:
    return card_of(panel("digits", *rows), MEASURES)


def test_all_cards_list_the_backbones_as_their_average_ranks_them() -> None:
    a, b, control = row("a", 0.9, 0.0), row("b", 0.8, 0.0), row("control", 0.5, 0.0)
    panels = panel("digits", a, b, control), panel("letters", b, a, control)
    average = AveragePanel("", ("digits", "letters"), "linear", "100%", (b, a, control))
    shown, others = cards_shown_first(Scorecard(MEASURES, panels, (average,)), ("linear", "100%"))
    assert [[each.name for each in one.rows] for one in shown] == [["b", "a", "control"]] * 3
    assert shown[-1] == average and others == []


@pytest.mark.parametrize("gaps", [(0.02, 0.08), (-0.08, -0.02), (-0.03, 0.05)])
def test_zero_is_where_a_gap_of_zero_would_be(gaps: tuple[float, float]) -> None:
    """By the positions of two other values on the same track."""
    drawn = card(*(row(name, 0.9, gap) for name, gap in zip("ab", gaps, strict=True)))
    accuracy, confidence = drawn.columns
    first, second = (each.cells[1].at for each in drawn.rows)
    assert accuracy.zero is None and confidence.zero is not None
    assert first is not None and second is not None and 0 < confidence.zero < 100
    share = (confidence.zero - first) / (second - first)
    assert gaps[0] + share * (gaps[1] - gaps[0]) == pytest.approx(0.0, abs=2e-5)


def test_dots_are_coloured_by_what_may_be_said() -> None:
    rows = row("a", 0.9, 0.0, Mark.TIED), row("b", 0.8, 0.0), row("control", 0.5, 0.0)
    assert [each.standing for each in card(*rows).rows] == ["tied", "behind", "control"]
    leader = replace(rows[0], scores=(replace(rows[0].scores[0], marks=(Mark.LEADS,)), rows[0].scores[1]))
    assert [each.standing for each in card(leader, *rows[1:]).rows] == ["leads", "behind", "control"]
    unranked = row("a", 0.9, 0.0), *rows[1:]
    assert [each.standing for each in card(*unranked).rows] == ["", "", "control"]
    untold = card(row("a", 0.9, 0.0, Mark.UNTOLD, reason="only 6 groups of images"), *rows[1:])
    assert untold.rows[0].standing == "tied" and untold.rows[0].marks[0][1] == "can't tell"


def test_a_card_says_once_why_accuracies_have_no_interval() -> None:
    reason = "only 6 groups of images; an interval needs 10"
    assert card(row("a", 0.9, 0.0), row("b", 0.8, 0.0)).notes == []
    without = card(*(row(name, 0.9, 0.0, reason=reason) for name in "ab"))
    assert without.notes == [f"Accuracy without an interval: {reason}."]
