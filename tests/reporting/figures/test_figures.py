"""Figures render to something, cope with what is missing, and keep a backbone's looks."""

import io
from dataclasses import replace

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from hf_sslgen.analysis.numbers import Number
from hf_sslgen.metrics import expected_calibration_error, risk_coverage
from hf_sslgen.reporting.figures.charts import accuracy_bars, invariance_by_transform
from hf_sslgen.reporting.figures.checkpoint_figures import write_checkpoint_figures
from hf_sslgen.reporting.figures.concentration_distributions import concentration_of_records
from hf_sslgen.reporting.figures.error_sheet import error_sheet
from hf_sslgen.reporting.figures.figure_style import backbone_styles, figure_png
from hf_sslgen.reporting.figures.forest import group_forest
from hf_sslgen.reporting.figures.overlays import attribution_overlays, draw_map
from hf_sslgen.reporting.figures.reliability_diagrams import (
    confident_predictions,
    reliability_before_and_after,
    reliability_of_cells,
)
from hf_sslgen.reporting.figures.risk_coverage_curves import risk_coverage_of_cells
from hf_sslgen.reporting.page.findings import comparison_name
from hf_sslgen.reporting.table_rows import shown_in_figures
from hf_sslgen.study.pictures.picture_choice import WrongPrediction

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
        "reliability": reliability_of_cells(probes),
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
    figure_png(accuracy_bars(study.cells), dpi=30)
    assert dict(matplotlib.rcParams) == before


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
    drawn = [text.get_text() for axes in invariance_by_transform(cells).axes for text in axes.texts]
    assert drawn.count("– undefined") == sum(n.metric == "invariance" for cell in cells for n in cell.numbers)
    for figure in (accuracy_bars(cells), invariance_by_transform(cells)):
        assert any("–" in text.get_text() for axes in figure.axes for text in axes.texts)
        figure_png(figure, dpi=30)


def test_nothing_to_draw_says_so(study) -> None:
    pretrained = [cell for cell in study.cells if cell.protocol == "pretrained"]
    for figure in (
        accuracy_bars(pretrained),
        invariance_by_transform(study.cells, stage="fine-tuned"),
        reliability_of_cells(pretrained[:1]),
        risk_coverage_of_cells(pretrained[:1]),
        attribution_overlays({}),
    ):
        assert len(figure.texts) == 1
        figure_png(figure, dpi=30)


def test_map_without_positive_evidence_is_labelled(probes) -> None:
    figure = attribution_overlays({cell.backbone: cell.examples() for cell in probes}, max_images=3)
    labels = [text.get_text() for axes in figure.axes for text in axes.texts]
    assert labels == ["no positive\nevidence"]  # the untrained control's second map


def test_the_box_of_an_object_is_outlined_on_every_picture_of_it(probes) -> None:
    examples = {cell.backbone: cell.examples() for cell in probes}
    figure = attribution_overlays(examples, max_images=6)
    *pictures, _ = figure.axes  # the last is the scale
    boxes = next(iter(examples.values()))["boxes"]
    columns = 1 + len(examples)
    assert len(pictures) == 6 * columns and np.isnan(boxes[5]).all()
    for index, axes in enumerate(pictures):
        drawn = [patch.get_bbox().extents for patch in axes.patches]
        if index // columns == 5:
            assert drawn == []
        else:
            np.testing.assert_allclose(drawn, [boxes[index // columns] * 64 - 0.5], atol=0.8)


@pytest.mark.parametrize("gray", [0, 60, 128, 200, 255])
def test_more_evidence_is_lighter_on_any_picture(gray: int) -> None:
    image = np.full((40, 40, 3), gray, dtype=np.uint8)
    evidence = np.broadcast_to(np.linspace(0, 1, 40), (40, 40))
    figure = Figure(figsize=(1, 1))
    draw_map(figure.add_axes((0, 0, 1, 1)), image, evidence)
    figure.axes[0].set_axis_off()
    red, green, blue = pixels(figure)[25].T
    lightness = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    at = lightness[[2, 16, 24, 32, 47]]
    assert (np.diff(at[1:]) > 5).all() and at[-1] - at[0] > 60


def test_titles_name_objectives_that_names_do_not_tell(probes) -> None:
    objectives = {cell.backbone: cell.objective for cell in probes} | {probes[0].backbone: "masked image modelling"}
    figure = attribution_overlays({cell.backbone: cell.examples() for cell in probes}, objectives=objectives)
    told = [text.get_text() for text in figure.texts if "(" in text.get_text()]
    assert len(told) == 1 and told[0].endswith("\n(masked image modelling)")


def test_maps_without_predictions_have_the_true_class_alone(study) -> None:
    cell = next(c for c in study.cells if c.protocol == "pretrained" and c.domain == "photo-patches")
    records = {cell.backbone: cell.records()}
    figure = attribution_overlays({cell.backbone: cell.examples()}, cell.provenance["class_names"], records, 3)
    captions = [text.get_text() for text in figure.texts if ":" in text.get_text()]
    references = cell.records().query("transform == ''").set_index("sample_id")["reference"]
    expected = [cell.provenance["class_names"][int(references[s])] for s in cell.examples()["sample_ids"][:3]]
    assert captions == [f"true: {name}" for name in expected]


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
    assert pretrained.domain == "photo-patches"
    looked_at = ["attribution.png", "concentration.png", "invariance_pretrained.png"]
    assert [path.name for path in write_checkpoint_figures(pretrained, tmp_path / "figures")] == looked_at
    other = next(cell for cell in study.cells if cell.domain != "photo-patches" and cell.protocol == "pretrained")
    write_checkpoint_figures(other, tmp_path / "others")
    assert [path.name for path in (tmp_path / "others").iterdir()] == ["invariance_pretrained.png"]


def test_errors_have_their_picture_and_words() -> None:
    errors = [WrongPrediction(0, 0, 1, 0.9912), WrongPrediction(1, 1, 0, 0.5)]
    images = [Image.new("RGB", (40, 30), colour) for colour in ("red", "blue")]
    figure = error_sheet(errors, images, ["$cat$", "dog"])
    shown = [axes for axes in figure.axes if axes.images]
    assert [axes.get_title("left").splitlines()[2] for axes in shown] == ["99.1% sure", "50.0% sure"]
    assert [tuple(axes.images[0].get_array()[0, 0]) for axes in shown] == [(255, 0, 0), (0, 0, 255)]
    assert pixels(figure).std() > 5


def test_reliability_of_one_checkpoint_has_a_panel_after_scaling(probes) -> None:
    name, records = probes[0].backbone, probes[0].records()
    figure = reliability_before_and_after(probes[0])
    before, after = (axes for axes in figure.axes if axes.get_visible() and axes.get_title("left"))
    assert after.get_title("left").startswith("scaled, temperature 1.30")
    scaled = expected_calibration_error(records["confidence_after_temperature"], records["correct"])
    assert f"ECE {100 * scaled.expected_calibration_error:.1f} pt" in after.get_title("left")
    assert before.get_title("left").startswith(name)
    unscaled = replace(probes[0], numbers=tuple(n for n in probes[0].numbers if n.metric != "temperature"))
    alone = reliability_before_and_after(unscaled)
    assert len([axes for axes in alone.axes if axes.get_title("left")]) == 1


def test_calibration_and_areas_that_a_cell_holds_are_not_computed_again(probes) -> None:
    """Numbers that its records do not give show which of both is printed."""
    stated = {
        "expected_calibration_error": 0.123,
        "ece_if_calibrated": 0.045,
        "expected_calibration_error_after_temperature": 0.067,
        "ece_if_calibrated_after_temperature": 0.089,
        "aurc": 0.2345,
        "excess_aurc": 0.0567,
    }
    others = tuple(number for number in probes[0].numbers if number.metric not in stated)
    cell = replace(probes[0], numbers=(*others, *(Number(name, value) for name, value in stated.items())))
    titles = [axes.get_title("left") for axes in reliability_before_and_after(cell).axes if axes.get_title("left")]
    assert [title.splitlines()[1] for title in titles] == [
        "ECE 12.3 pt (calibrated: 4.5 pt)",
        "ECE 6.7 pt (calibrated: 8.9 pt)",
    ]
    (legend,) = risk_coverage_of_cells([cell]).legends
    assert "AURC 23.45%, 5.67 points above the oracle" in legend.get_texts()[0].get_text()
    # A cell of fewer numbers still has its figures.
    predictions = confident_predictions(cell)
    bare = replace(cell, numbers=())
    measured = expected_calibration_error(*predictions)
    title = reliability_of_cells([bare]).axes[0].get_title("left")
    assert f"ECE {100 * measured.expected_calibration_error:.1f} pt" in title
    (legend,) = risk_coverage_of_cells([bare]).legends
    assert f"AURC {100 * risk_coverage(*predictions).aurc:.2f}%" in legend.get_texts()[0].get_text()


def test_real_pairs_stand_between_means_and_transforms(study) -> None:
    cells = [cell for cell in study.cells if cell.domain == "photo-patches"]
    labels = [label.get_text() for label in invariance_by_transform(cells).axes[0].get_yticklabels()]
    assert labels[3] == "real pairs (another picture)" and labels[4] == "rotation 20" and len(labels) == 8


def test_concentration_has_lift_and_control_where_they_are_measured(study, probes) -> None:
    records = {cell.backbone: cell.records() for cell in probes}
    grids = dict.fromkeys(records, (7, 7))
    figure = concentration_of_records(records, grids)
    titles = [axes.get_xlabel().partition("\n")[0] for axes in figure.axes]
    assert titles == ["Gini coefficient", "Spatial spread", "Lift on the object"]
    assert "re-initialised control" in [text.get_text() for text in figure.legends[0].get_texts()]
    lift = figure.axes[2]
    means = [line.get_xdata()[0] for line in lift.lines if line.get_marker() in ("o", "s", "^")]
    assert means == pytest.approx([table["lift"].mean() for table in records.values()])
    assert any(list(line.get_xdata()) == [1, 1] for line in lift.lines)  # chance
    for patch, table in zip(
        [patch for patch in lift.patches if patch.get_linestyle() != "solid"], records.values(), strict=True
    ):
        values, edges, _ = patch.get_data()
        heights = patch.get_data().baseline - values
        control = table["control_lift"].dropna()
        assert np.average((edges[:-1] + edges[1:]) / 2, weights=heights) == pytest.approx(control.mean(), abs=0.05)
    plain = {c.backbone: c.records() for c in study.cells if (c.domain, c.protocol) == ("specimen-patches", "linear")}
    assert len(concentration_of_records(plain, grids).axes) == 2


def test_forest_draws_every_target_and_the_mean_of_its_group(large_results) -> None:
    groups = [g for g in large_results.groups if g.comparison.metric == "headline_accuracy"]
    figure = group_forest(groups, {g.comparison: comparison_name(large_results, g.comparison) for g in groups})
    (axes,) = figure.axes
    drawn = [float(x) for line in axes.lines for x in line.get_xdata()]
    for group in groups:
        for value in (*(member.value for member in group.members), group.value, group.low, group.high):
            assert any(abs(x - 100 * value) < 1e-9 for x in drawn)
    assert len({label.get_text() for label in axes.get_yticklabels()}) == len({g.comparison for g in groups}) == 8
    figure_png(figure, dpi=30)
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
