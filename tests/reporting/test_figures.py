"""Figures render to something, cope with what is missing, and keep a backbone's looks."""

import io
import re
from dataclasses import replace

import matplotlib
import numpy as np
import pytest
from PIL import Image

from hf_sslgen.reporting.answers import scope_name
from hf_sslgen.reporting.checkpoint import write_checkpoint_figures
from hf_sslgen.reporting.figures import (
    accuracy_bars,
    attribution_overlays,
    backbone_styles,
    figure_png,
    figure_svg,
    invariance_by_transform,
    reliability_diagrams,
)
from hf_sslgen.reporting.forest import group_forest
from hf_sslgen.reporting.rows import shown_in_figures

NAN = float("nan")


def pixels(figure) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(figure_png(figure, dpi=50))).convert("RGB"), dtype=float)


@pytest.fixture(scope="module")
def probes(study):
    return [c for c in study.cells if c.domain == "photo-patches" and c.protocol == "linear"]


@pytest.fixture(scope="module")
def figures(study, probes):
    records = {cell.backbone: cell.records() for cell in probes}
    return {
        "accuracy": accuracy_bars(study.cells),
        "reliability": reliability_diagrams(records),
        "invariance": invariance_by_transform(study.cells),
        "overlays": attribution_overlays({c.backbone: c.examples() for c in probes}, ["<b>", "b"], records, 2),
    }


@pytest.mark.parametrize("name", ["accuracy", "reliability", "invariance", "overlays"])
def test_figure_is_not_blank(figures, name: str) -> None:
    drawn = pixels(figures[name])
    assert drawn.std() > 5
    assert (drawn < 250).any(axis=2).mean() > 0.02


def test_drawing_changes_no_global_setting(study) -> None:
    before = dict(matplotlib.rcParams)
    figure_svg(accuracy_bars(study.cells), "first")
    assert dict(matplotlib.rcParams) == before


def test_svg_ids_are_unique_to_their_figure_and_reproducible(study) -> None:
    first, second = (figure_svg(accuracy_bars(study.cells), name) for name in ("first", "second"))
    ids = [set(re.findall(r'\bid="([^"]+)"', text)) for text in (first, second)]
    assert ids[0] and not ids[0] & ids[1]
    for text, known in zip((first, second), ids, strict=True):
        assert set(re.findall(r"(?:url\(#|href=\"#)([^)\"]+)", text)) <= known
    assert first == figure_svg(accuracy_bars(study.cells), "first")
    assert "http" not in first and "resnet50" not in first


def test_a_backbone_looks_the_same_everywhere_and_like_no_other() -> None:
    names = [f"backbone-{index}" for index in range(20)]
    styles = backbone_styles(names)
    assert len({(s.color, s.marker, s.hatch) for s in styles.values()}) == 20
    assert len({s.color for s in list(styles.values())[:8]}) == 8


def test_numbers_that_are_nan_are_drawn_as_missing(study) -> None:
    cells = [
        replace(cell, numbers=tuple(replace(n, value=NAN, low=NAN, high=NAN) for n in cell.numbers))
        for cell in study.cells
    ]
    for figure in (accuracy_bars(cells), invariance_by_transform(cells)):
        assert any("–" in text.get_text() for axes in figure.axes for text in axes.texts)
        figure_png(figure, dpi=30)


def test_nothing_to_draw_says_so(study) -> None:
    pretrained = [cell for cell in study.cells if cell.protocol == "pretrained"]
    for figure in (
        accuracy_bars(pretrained),
        invariance_by_transform(study.cells, stage="fine-tuned"),
        reliability_diagrams({pretrained[0].backbone: pretrained[0].records()}),
        attribution_overlays({}),
    ):
        assert len(figure.texts) == 1
        figure_png(figure, dpi=30)


def test_map_without_positive_evidence_is_labelled(probes) -> None:
    figure = attribution_overlays({cell.backbone: cell.examples() for cell in probes}, max_images=3)
    labels = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert labels == ["no positive\nevidence"]  # the untrained control's second map


def test_overlays_match_images_by_sample_not_by_position(probes) -> None:
    examples = {cell.backbone: cell.examples() for cell in probes[:2]}
    first, second = examples
    expected = pixels(attribution_overlays(examples, max_images=2))
    shuffled = {name: array[[3, 1, 0, 2, 5, 4]] for name, array in examples[second].items()}
    assert np.array_equal(
        pixels(attribution_overlays({first: examples[first], second: shuffled}, max_images=2)), expected
    )


def test_names_with_formula_characters_are_written_as_they_are(study) -> None:
    cells = [
        replace(cell, identity={**cell.identity, "backbone": r"a$_{b$ \frac$", "domain": "50$ or $60"})
        for cell in study.cells[:2]
    ]
    for figure in (accuracy_bars(cells), invariance_by_transform(cells)):
        figure_png(figure, dpi=30)


def test_checkpoint_figures_are_the_ones_the_cell_has_numbers_for(study, probes, tmp_path) -> None:
    paths = write_checkpoint_figures(probes[0], tmp_path / "figures")
    names = {"accuracy", "reliability", "risk_coverage", "attribution", "concentration"}
    assert {path.stem for path in paths} == names
    pretrained = next(cell for cell in study.cells if cell.protocol == "pretrained")
    assert [path.name for path in write_checkpoint_figures(pretrained, tmp_path / "figures")] == [
        "invariance_pretrained.png"
    ]
    assert [path.name for path in (tmp_path / "figures").iterdir()] == ["invariance_pretrained.png"]


def test_forest_draws_every_target_and_the_mean_of_its_group(large_results) -> None:
    groups = [g for g in large_results.groups if g.scope.metric == "headline_accuracy"]
    figure = group_forest(groups, {g.scope: scope_name(large_results, g.scope) for g in groups})
    (axes,) = figure.axes
    drawn = [float(x) for line in axes.lines for x in line.get_xdata()]
    for group in groups:
        for value in (*(member.value for member in group.members), group.value, group.low, group.high):
            assert any(abs(x - 100 * value) < 1e-9 for x in drawn)
    assert len({label.get_text() for label in axes.get_yticklabels()}) == len({g.scope for g in groups}) == 8
    figure_svg(figure, "forest")
    assert len(group_forest([], {}).texts) == 1


def test_figures_show_one_run_of_each_objective_and_say_so(large_results) -> None:
    tuned = [c for c in large_results.cells if (c.domain, c.protocol) == ("similar-domain-0", "finetune")]
    shown, note = shown_in_figures(tuned)
    assert {(c.backbone, c.seed) for c in shown} == {
        ("resnet50-supervised-seed0", 0),
        ("resnet50-simclr-seed0", 0),
        ("resnet50-dino", 0),
        ("resnet50-untrained", 0),
    }
    assert "fine-tuning seeds and pretraining seeds" in note
    assert shown_in_figures(tuned[:1]) == (tuned[:1], "")
