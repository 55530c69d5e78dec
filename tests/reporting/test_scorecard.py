"""Scorecards: stored values, ranked rows, and marks that claim no more than the ranking."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fake_study import SELF_SUPERVISED, SUPERVISED, UNTRAINED, FakeBackbone, Setting, Study, write_study
from simulated_cells import equal_backbones, simulated_cell

from hf_sslgen.reporting.results_csv import results_frame
from hf_sslgen.reporting.scorecard import scorecard
from hf_sslgen.reporting.scorecard_values import Mark, Panel
from hf_sslgen.study.cells.cell_folder import read_cells
from hf_sslgen.study.inference.study_results import StudyResults, infer


def test_every_score_of_one_run_is_that_of_results_csv(results: StudyResults) -> None:
    frame = results_frame(results)
    cells = frame[frame["kind"] == "cell"]
    card = scorecard(results)
    assert [panel.domain for panel in card.panels] == ["photo-patches", "specimen-patches"]
    assert [measure.metric for measure in card.measures] == [
        *("headline_accuracy", "confidence_gap", "gini", "lift", "invariance")
    ]
    compared = 0
    for panel in card.panels:
        for row in panel.rows:
            for measure, score in zip(card.measures, row.scores, strict=True):
                protocol = "pretrained" if measure.metric == "invariance" else panel.protocol
                stored = cells[
                    (cells["domain"] == panel.domain)
                    & (cells["backbone"] == row.name)
                    & (cells["protocol"] == protocol)
                    & (cells["metric"] == (score.metric if score else ""))
                    & (cells["transform"] == measure.transform)
                ]
                if score is None:
                    assert measure.metric == "lift" and panel.domain == "specimen-patches"
                    continue
                (expected,) = stored[["value", "low", "high", "n"]].to_numpy().tolist()
                assert [score.value, score.low, score.high, score.n] == expected
                assert len(score.cells) == score.num_runs == 1
                compared += 1
    assert compared == 2 * 3 * 4 + 3


def test_rows_are_ranked_with_the_control_last(results: StudyResults) -> None:
    for panel in scorecard(results).panels:
        values = [row.scores[0].value for row in panel.rows if not row.is_control]
        assert values == sorted(values, reverse=True)
        assert [row.is_control for row in panel.rows] == [False, False, True]
        assert [row.short_name for row in panel.rows][-1] == "untrained"
    assert scorecard(StudyResults((), (), (), (), ())).panels == ()


def marks_of(panel: Panel) -> dict[str, tuple[Mark, ...]]:
    return {row.name: row.marks for row in panel.rows}


def test_marks_say_what_the_ranking_tells_apart() -> None:
    cells = equal_backbones(np.random.default_rng(0), 4, 2000, levels=(0.0, 0.5, 0.55, -0.6))
    objectives = {"backbone-0": "untrained", "backbone-1": "simclr", "backbone-2": "byol", "backbone-3": "supervised"}
    cells = [replace(c, provenance=c.provenance | {"objective": objectives[c.backbone]}) for c in cells]
    assert marks_of(scorecard(infer(cells)).panels[0]) == {
        "backbone-2": (Mark.TIED,),
        "backbone-1": (Mark.TIED,),
        "backbone-3": (Mark.BELOW_CONTROL,),
        "backbone-0": (),
    }
    assert marks_of(scorecard(infer(cells[1:])).panels[0])["backbone-2"] == (Mark.TIED,)
    without = [cell for cell in cells if cell.backbone != "backbone-1"]
    assert marks_of(scorecard(infer(without)).panels[0])["backbone-2"] == (Mark.LEADS,)
    alone = [cell for cell in cells if cell.backbone == "backbone-1"]
    assert marks_of(scorecard(infer(alone)).panels[0]) == {"backbone-1": ()}
    equal = [replace(c, identity=c.identity | {"backbone": f"{c.backbone}-again"}) for c in without]
    assert not any(Mark.LEADS in marks for marks in marks_of(scorecard(infer(without + equal)).panels[0]).values())


def test_several_runs_are_averaged_and_judged_in_the_widest_scope(tmp_path: Path) -> None:
    backbones = [replace(SUPERVISED, accuracy=0.6), SELF_SUPERVISED, UNTRAINED]
    settings = [Setting("pretrained"), Setting("linear", seeds=(0, 1, 2)), Setting("finetune")]
    domains = [("similar-a", "similar"), ("similar-b", "similar"), ("different-a", "different")]
    write_study(tmp_path, backbones, domains, settings=settings)
    results = infer(list(read_cells(tmp_path)))
    card = scorecard(results)
    panel = card.panels[0]
    assert (panel.protocol, panel.seeds, panel.num_images) == ("linear", (0, 1, 2), 240)
    row = next(row for row in panel.rows if row.name == SELF_SUPERVISED.name)
    stored = [
        c.number("accuracy")
        for c in results.cells
        if (c.backbone, c.domain, c.protocol) == (row.name, panel.domain, "linear")
    ]
    accuracy, gap = row.scores[:2]
    assert accuracy.value == pytest.approx(np.mean([number.value for number in stored]))
    assert (accuracy.num_runs, accuracy.scope, gap.num_runs, gap.scope) == (3, "training", 3, "")
    ranking = next(r for r in results.rankings if (r.domains, r.protocol) == ((panel.domain,), "linear"))
    place = next(each for each in ranking.backbones if each.contestant.name == row.name)
    assert (accuracy.low, accuracy.high) == (place.interval.low, place.interval.high)
    assert row.scores[-1].num_runs == 1  # the encoder as published is one cell for all seeds
    averages = {(panel.protocol, panel.group): panel for panel in card.averages}
    assert set(averages) == {("linear", ""), ("linear", "similar"), ("finetune", ""), ("finetune", "similar")}
    average = next(r for r in averages["linear", ""].rows if r.name == row.name).scores[0]
    over = next(r for r in results.rankings if r.is_over_domains and r.protocol == "linear")
    expected = next(each for each in over.backbones if each.contestant.name == row.name)
    assert (average.value, average.low, average.n) == (expected.value, expected.interval.low, 3)
    of_group = next(r for r in averages["linear", "similar"].rows if r.name == row.name).scores[0]
    assert np.isnan(of_group.low) and of_group.reason == "not testable: 2 domains; 3 are needed"


def test_an_encoder_without_a_probe_has_a_row_without_accuracy(results: StudyResults) -> None:
    encoders = infer([cell for cell in results.cells if cell.protocol == "pretrained"])
    (first, *_) = scorecard(encoders).panels
    assert first.protocol == "pretrained" and all(row.scores[0] is None for row in first.rows)
    assert all(row.scores[-1] is not None for row in first.rows)


def test_an_objective_that_lacks_a_run_on_a_domain_is_shown_run_by_run(tmp_path: Path) -> None:
    runs = [
        FakeBackbone(f"{objective}-{seed}", objective, 0.7, 0.7, source="in1k", pretraining_seed=seed)
        for objective in ("simclr", "supervised")
        for seed in (0, 1)
    ]
    write_study(tmp_path, runs, [("digits", "different"), ("letters", "different")], settings=[Setting("linear")])
    cells = [c for c in read_cells(tmp_path) if (c.backbone, c.domain) != ("simclr-1", "letters")]
    whole, part = scorecard(infer(cells)).panels
    assert {row.short_name: len(row.backbones) for row in whole.rows} == {"SimCLR": 2, "supervised": 2}
    assert {row.name for row in part.rows} == {"supervised", "simclr-0"}


def test_hostile_names_stay_apart_and_printable(make_study: Callable[..., Study], tmp_path: Path) -> None:
    names = ("x" * 300 + "\x1b[2Ja", "x" * 300 + "\x1b[2Jb", "<script>\n")
    card = scorecard(infer(make_study(tmp_path, names=names).cells))
    shown = [row.short_name for row in card.panels[0].rows]
    assert len(set(shown)) == 3 and all(name.isprintable() and len(name) <= 24 for name in shown)


def test_intervals_over_a_group_of_domains_end_where_the_number_does() -> None:
    """Accuracies of 99%, 98% and 50% have a Student's t interval over domains from 13 to 152%."""
    shares = {"digits": 0.99, "maps": 0.98, "signs": 0.5, "photos": 0.7}
    cells = [
        simulated_cell(
            np.arange(200) < 200 * share, name, domain, group="similar" if domain == "photos" else "different"
        )
        for domain, share in shares.items()
        for name in ("first", "second")
    ]
    (average,) = (each for each in scorecard(infer(cells)).averages if each.group == "different")
    for row in average.rows:
        score = row.scores[0]
        assert score is not None and 0.1 < score.low < 0.15 and score.high == 1.0
