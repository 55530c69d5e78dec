"""The standard pictures draw the numbers they are given, for one model or several, and refuse what they can't draw."""

import io
import subprocess
import sys
import warnings
from collections.abc import Callable
from typing import Any

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle, StepPatch
from PIL import Image

from hf_sslgen.metrics import (
    Estimate,
    attribution_concentration,
    expected_calibration_error,
    invariance,
    reliability_null_band,
    risk_coverage,
    top_label,
)
from hf_sslgen.reporting.figures.figure_style import figure_png
from hf_sslgen.reporting.plots import (
    backbone_styles,
    concentration_distribution,
    invariance_by_severity,
    reliability_diagram,
    risk_coverage_curves,
)

RNG = np.random.default_rng(0)
HOSTILE = r"a$_{b$ \frac$ " + "long " * 12


def predictions(accuracy: float, n: int = 400) -> tuple[np.ndarray, np.ndarray]:
    confidences = RNG.beta(5, 2, n)
    return confidences, RNG.random(n) < accuracy * np.sqrt(confidences)


def blobs(width: float, n: int = 60) -> np.ndarray:
    rows, columns = np.mgrid[0:7, 0:7]
    centres = RNG.uniform(1, 5, (n, 2))
    squared = (rows - centres[:, :1, None]) ** 2 + (columns - centres[:, 1:, None]) ** 2
    return np.exp(-squared / width) - 0.05


def estimates(*keys: tuple[str, str]) -> dict[tuple[str, str], Estimate]:
    return {key: Estimate(0.1 * index, 0.1 * index - 0.05, 0.1 * index + 0.05, 50) for index, key in enumerate(keys)}


MODELS = {"first": predictions(0.9), "second": predictions(0.5)}
CURVES = {name: risk_coverage(*model) for name, model in MODELS.items()}
CONCENTRATIONS = {name: attribution_concentration(blobs(width)) for name, width in (("first", 1.0), ("second", 6.0))}
NOISE = attribution_concentration(RNG.standard_normal((200, 7, 7)))
SEVERITIES = {"first": estimates(("rotation", "+20"), ("rotation", "-45"), ("jpeg", "60"), ("jpeg", "10"))}

PICTURES: dict[str, Callable[[dict[str, Any]], Figure]] = {
    "reliability": lambda names: reliability_diagram({name: MODELS[of] for name, of in names.items()}),
    "risk-coverage": lambda names: risk_coverage_curves({name: CURVES[of] for name, of in names.items()}),
    "concentration": lambda names: concentration_distribution(
        {name: CONCENTRATIONS[of] for name, of in names.items()}, NOISE
    ),
    "severity": lambda names: invariance_by_severity(dict.fromkeys(names, SEVERITIES["first"])),
}


def pixels(figure: Figure, dpi: int = 50) -> np.ndarray:
    buffer = io.BytesIO()
    figure.savefig(buffer, dpi=dpi)
    return np.asarray(Image.open(buffer).convert("RGB"), dtype=float)


@pytest.mark.parametrize("picture", PICTURES)
@pytest.mark.parametrize(
    "names",
    [{"first": "first"}, {"first": "first", "second": "second"}, {HOSTILE: "first", f"{HOSTILE}!": "second"}],
    ids=["one", "two", "hostile names"],
)
def test_a_picture_is_drawn_within_its_edges(picture: str, names: dict[str, str]) -> None:
    before = dict(matplotlib.rcParams)
    drawn = pixels(PICTURES[picture](names), dpi=100)
    assert dict(matplotlib.rcParams) == before
    assert (drawn < 250).any(axis=2).mean() > 0.02
    frame = np.concatenate([drawn[0], drawn[-1], drawn[:, 0], drawn[:, -1]])
    assert (frame > 250).all()  # nothing runs over the edge


@pytest.mark.parametrize("picture", PICTURES)
def test_two_models_differ_by_more_than_colour(picture: str) -> None:
    figure = PICTURES[picture]({"first": "first", "second": "second"})
    markers = {line.get_marker() for axes in figure.axes for line in axes.lines} - {"None", "", None, "|", "_"}
    assert {"o", "s"} <= markers


def test_reliability_draws_the_table_and_the_null_band() -> None:
    confidences, correct = MODELS["first"]
    figure = reliability_diagram({"first": (confidences, correct)}, num_bins=10)
    top, bottom = figure.axes
    table = expected_calibration_error(confidences, correct, num_bins=10)
    band = reliability_null_band(confidences, num_bins=10)
    filled = table.bin_counts > 0
    points = next(line for line in top.lines if line.get_marker() == "o")
    np.testing.assert_array_equal(points.get_xdata(), table.bin_confidence[filled])
    np.testing.assert_array_equal(points.get_ydata(), table.bin_accuracy[filled])
    boxes = [patch for patch in top.patches if isinstance(patch, Rectangle)]
    np.testing.assert_allclose([box.get_y() for box in boxes], band.low[filled])
    np.testing.assert_allclose([box.get_y() + box.get_height() for box in boxes], band.high[filled])
    shares = [patch.get_height() for patch in bottom.patches if isinstance(patch, Rectangle)]
    assert sum(shares) == pytest.approx(100)
    assert f"ECE {100 * table.expected_calibration_error:.1f} pt" in top.get_title("left")


def test_reliability_takes_the_result_of_top_label() -> None:
    top = top_label(RNG.dirichlet(np.ones(4), 80), RNG.integers(0, 4, 80))
    pair = top.per_sample_confidence, top.per_sample_correct
    assert np.array_equal(pixels(reliability_diagram({"a": top})), pixels(reliability_diagram({"a": pair})))


def test_risk_coverage_has_both_reference_orders() -> None:
    result = risk_coverage([0.9, 0.8, 0.7, 0.6, 0.5], [1, 0, 1, 1, 0])
    curve, oracle, random = risk_coverage_curves({"model": result}).axes[0].lines
    np.testing.assert_allclose(curve.get_xdata(), [20, 40, 60, 80, 100])
    np.testing.assert_allclose(curve.get_ydata(), [0, 50, 100 / 3, 25, 40])
    np.testing.assert_allclose(oracle.get_xdata(), [0, 60, 80, 100])
    np.testing.assert_allclose(oracle.get_ydata(), [0, 0, 25, 40])
    assert list(random.get_ydata()) == [40, 40]


@pytest.mark.parametrize("correct", [True, False])
def test_risk_coverage_of_all_right_or_all_wrong(correct: bool) -> None:
    lines = risk_coverage_curves({"model": risk_coverage([0.9, 0.8], [correct] * 2)}).axes[0].lines
    for line in lines:
        assert set(line.get_ydata()) == {0.0 if correct else 100.0}


def test_a_long_curve_keeps_its_ends_and_few_points() -> None:
    confidences = np.linspace(0.1, 0.9, 20_000)
    line = risk_coverage_curves({"model": risk_coverage(confidences, RNG.random(20_000) < 0.7)}).axes[0].lines[0]
    assert len(line.get_xdata()) <= 200
    assert line.get_xdata()[-1] == 100


def test_concentration_shows_means_noise_and_zero_maps() -> None:
    maps = blobs(2.0, 50)
    maps[:5] = -1
    result = attribution_concentration(maps)
    figure = concentration_distribution({"model": result}, NOISE, numbers=("gini",))
    (axes,) = figure.axes
    means = [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "o"]
    assert means == pytest.approx([result.gini])
    noise, model = (patch for patch in axes.patches if isinstance(patch, StepPatch))
    centres = [(patch.get_data().edges[:-1] + patch.get_data().edges[1:]) / 2 for patch in (noise, model)]
    heights = [patch.get_data().baseline - patch.get_data().values for patch in (noise, model)]
    for centre, height, expected in zip(centres, heights, (NOISE.gini, result.gini), strict=True):
        assert np.average(centre, weights=height) == pytest.approx(expected, abs=0.02)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["model\n10.0% of maps all-zero"]


def test_concentration_that_nobody_has_leaves_the_axes_their_room() -> None:
    """As the spread on a grid of one cell."""
    arrays = {"gini": np.zeros(5), "spread": np.full(5, np.nan)}
    figure = concentration_distribution({"a": arrays}, controls={"a": arrays})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure_png(figure)
    for axes in figure.axes:
        assert axes.get_xlim() == (0.0, pytest.approx(1.0, abs=0.05))
        assert all(0 < text.get_position()[0] < 1 for text in axes.texts)


def test_concentration_takes_arrays_and_a_null_for_each_grid() -> None:
    arrays = {"small": {"entropy": RNG.uniform(1, 3, 30)}, "large": {"entropy": RNG.uniform(2, 5, 30)}}
    figure = concentration_distribution(arrays, numbers=("entropy",))
    assert figure.axes[0].get_xlabel() == "Entropy (nats)"
    assert figure.axes[0].get_xlim()[1] > 4.5
    nulls = {
        name: attribution_concentration(RNG.standard_normal((50, size, size)))
        for name, size in (("first", 4), ("second", 14))
    }
    axes = concentration_distribution(CONCENTRATIONS, nulls).axes[1]
    spans = [np.ptp(np.flatnonzero(patch.get_data().values != patch.get_data().baseline)) for patch in axes.patches]
    assert spans[0] > spans[2]  # noise on a small grid spreads its spread more


def test_a_single_cell_has_no_spread_to_draw() -> None:
    figure = concentration_distribution({"model": attribution_concentration(np.ones((5, 1, 1)))})
    assert [text.get_text() for text in figure.axes[1].texts] == ["undefined for every map"]


def test_severities_stand_in_numeric_order_by_direction() -> None:
    keys = [("translation", f"{side} {share:g}") for side in ("right", "left") for share in (0.2, 0.05)]
    figure = invariance_by_severity({"model": estimates(*keys)})
    (axes,) = figure.axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0.05\nright", "0.2", "0.05\nleft", "0.2"]
    assert axes.get_xlabel() == "shift (share of the side)"
    drawn = [list(line.get_ydata()) for line in axes.lines if line.get_marker() == "o" and len(line.get_ydata())]
    assert drawn == [pytest.approx([0.1, 0.0]), pytest.approx([0.3, 0.2])]


def test_severity_takes_results_and_leaves_out_what_is_undefined() -> None:
    z = RNG.standard_normal((20, 4))
    moved = {("blur", str(sigma)): invariance(z, z + sigma * RNG.standard_normal(z.shape)) for sigma in (0.1, 2)}
    nothing = invariance(z, z, unchanged=np.ones(20))
    figure = invariance_by_severity({"model": {**moved, ("hue", "0.1"): nothing, ("blur", "9"): nothing}})
    (axes,) = figure.axes
    line = next(line for line in axes.lines if line.get_marker() == "o" and len(line.get_ydata()))
    assert list(line.get_ydata()) == [result.invariance for result in moved.values()]
    assert axes.get_title("left") == "blur"


def test_styles_are_those_of_the_caller() -> None:
    styles = backbone_styles(["other", "first"])
    (line,) = (line for line in risk_coverage_curves({"first": CURVES["first"]}, styles).axes[0].lines[:1])
    assert (line.get_color(), line.get_marker()) == (styles["first"].color, "s")


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: reliability_diagram({}), "models must map at least one name"),
        (lambda: risk_coverage_curves({}), "results must map at least one name"),
        (lambda: concentration_distribution({}), "results must map at least one name"),
        (lambda: invariance_by_severity({}), "results must map at least one name"),
        (lambda: reliability_diagram({"a": ([0.5, 1.5], [1, 0])}), r"confidences\[1\] is 1.5"),
        (lambda: reliability_diagram({"a": ([0.5], [1, 0])}), "same length"),
        (lambda: risk_coverage_curves(CURVES, backbone_styles(["first"])), "none for 'second'"),
        (lambda: concentration_distribution(CONCENTRATIONS, numbers=("ginny",)), "got ginny"),
        (lambda: concentration_distribution(CONCENTRATIONS, numbers=()), "got nothing"),
        (lambda: concentration_distribution({"a": {"gini": [0.1]}}), "values of 'spread', got gini"),
        (lambda: concentration_distribution({"a": {"gini": [0.1], "spread": [np.inf]}}), "finite or NaN"),
        (lambda: concentration_distribution(CONCENTRATIONS, {"first": NOISE}), "none for 'second'"),
        (lambda: invariance_by_severity({"a": {}}), "other than NaN for some"),
        (lambda: invariance_by_severity({"a": {"rotation": SEVERITIES["first"]["jpeg", "10"]}}), "got 'rotation'"),
    ],
)
def test_what_can_not_be_drawn_is_refused(draw: Callable[[], Figure], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        draw()


def test_pictures_need_neither_torch_nor_a_window() -> None:
    code = (
        "import sys, hf_sslgen.reporting.plots; print([m for m in ('torch', 'matplotlib.pyplot') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
