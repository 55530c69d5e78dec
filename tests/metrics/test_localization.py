import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from hf_sslgen.metrics import attribution_localization

pytestmark = pytest.mark.filterwarnings("error")

QUANTUS = json.loads((Path(__file__).parent / "reference_values" / "quantus.json").read_text())["cases"]
NUMBERS = ("mass_accuracy", "lift", "pointing_game", "area_share")


def numbers(result):
    return np.stack([vars(result)[f"per_sample_{name}"] for name in NUMBERS])


def by_loops(a, coverage):
    """The four numbers of one non-negative map and the share of each cell that the object covers."""
    inside = total = 0.0
    peaks = []
    for row in range(a.shape[0]):
        for column in range(a.shape[1]):
            inside += a[row, column] * coverage[row, column]
            total += a[row, column]
            if a[row, column] == a.max():
                peaks.append(coverage[row, column])
    area = coverage.mean()
    if total == 0.0 or area == 0.0:
        return [np.nan] * 4
    return [inside / total, inside / total / area, np.mean(peaks), area]


@settings(max_examples=80, deadline=None)
@given(
    st.tuples(*[st.integers(1, 4)] * 3), st.tuples(*[st.integers(1, 3)] * 2), st.booleans(), st.integers(0, 2**32 - 1)
)
def test_masks_agree_with_double_loops(shape, finer, absolute, seed):
    generator = np.random.default_rng(seed)
    n, h, w = shape
    maps = generator.integers(-2, 3, shape)  # few values: zero maps and ties happen
    masks = generator.integers(0, 2, (n, h * finer[0], w * finer[1])) * generator.integers(0, 2, (n, 1, 1))
    result = attribution_localization(maps, masks, sign="absolute" if absolute else "positive")
    expected = []
    for a, mask in zip(np.abs(maps) if absolute else np.maximum(maps, 0), masks, strict=True):
        coverage = np.array(
            [
                [mask[i * finer[0] : (i + 1) * finer[0], j * finer[1] : (j + 1) * finer[1]].mean() for j in range(w)]
                for i in range(h)
            ]
        )
        expected.append(by_loops(a, coverage))
    np.testing.assert_allclose(numbers(result).T, expected, atol=1e-12)
    assert result.n_undefined == np.isnan(expected).any(axis=1).sum()
    assert result.lift == pytest.approx(
        np.nanmean(np.array(expected)[:, 1]) if result.n_undefined < n else np.nan, nan_ok=True
    )
    assert bool(result.reason) == (result.n_undefined == n)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.tuples(*[st.integers(1, 5)] * 2))
def test_boxes_agree_with_the_mask_of_their_pixels(seed, grid):
    generator = np.random.default_rng(seed)
    h, w = grid
    maps = generator.random((3, h, w))
    rows, columns = 12 * h, 12 * w  # box edges lie between pixels, not between cells
    masks, boxes = np.zeros((3, rows, columns), dtype=bool), []
    for mask in masks:
        y0, y1 = np.sort(generator.choice(rows + 1, 2, replace=False))
        x0, x1 = np.sort(generator.choice(columns + 1, 2, replace=False))
        mask[y0:y1, x0:x1] = True
        boxes.append([x0 / columns, y0 / rows, x1 / columns, y1 / rows])
    of_masks, of_boxes = attribution_localization(maps, masks), attribution_localization(maps, boxes=boxes)
    np.testing.assert_allclose(numbers(of_boxes), numbers(of_masks), rtol=1e-9)


@pytest.mark.parametrize("case", QUANTUS)
def test_agrees_with_quantus(case):
    result = attribution_localization(case["maps"], case["masks"])
    np.testing.assert_allclose(result.per_sample_mass_accuracy, case["mass_accuracy"], atol=1e-7)
    np.testing.assert_allclose(result.per_sample_pointing_game, case["pointing_game"])


def test_closed_forms():
    uniform, inside, outside = np.ones((4, 4)), np.zeros((4, 4)), np.zeros((4, 4))
    inside[0, 1], outside[3, 3] = 5.0, 0.1
    boxes = np.tile([0.0, 0.0, 0.5, 0.25], (3, 1))  # two cells of the first row: x comes first
    result = attribution_localization([uniform, inside, outside], boxes=boxes)
    np.testing.assert_allclose(
        numbers(result).T, [[0.125, 1.0, 0.125, 0.125], [1.0, 8.0, 1.0, 0.125], [0.0, 0.0, 0.0, 0.125]]
    )
    whole = attribution_localization([inside], boxes=[[0, 0, 1, 1]])
    assert [whole.mass_accuracy, whole.lift, whole.pointing_game, whole.area_share] == pytest.approx([1.0] * 4)


def test_ties_of_the_peak_count_fractionally():
    maps = [[[2.0, 2.0, 1.0, 2.0]]]
    assert attribution_localization(maps, [[[1, 0, 1, 0]]]).pointing_game == pytest.approx(1 / 3)
    assert attribution_localization(maps, [[[0.5, 0, 1, 1]]]).pointing_game == pytest.approx(1.5 / 3)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1e-310, 1e-300, 0.3, 1e300]))
def test_scale_order_and_finer_masks_change_nothing(seed, scale):
    generator = np.random.default_rng(seed)
    maps, masks = generator.random((5, 3, 4)), generator.random((5, 3, 4))
    result = numbers(attribution_localization(maps, masks))
    order = generator.permutation(5)
    finer = masks[order].repeat(2, axis=1).repeat(3, axis=2)
    np.testing.assert_allclose(
        numbers(attribution_localization(scale * maps[order], finer)), result[:, order], rtol=1e-9
    )


def test_large_masks_are_read_in_blocks():
    generator = np.random.default_rng(0)
    masks = generator.random((40, 224, 224)) < 0.3  # more than one block
    maps = generator.random((40, 7, 7))
    coverage = masks.reshape(40, 7, 32, 7, 32).mean(axis=(2, 4))
    result = attribution_localization(maps, masks)
    np.testing.assert_allclose(
        result.per_sample_mass_accuracy, (maps * coverage).sum(axis=(1, 2)) / maps.sum(axis=(1, 2))
    )
    bad = masks.astype(np.float32)
    bad[39, 5, 6] = np.nan
    with pytest.raises(ValueError, match=r"masks must be in \[0, 1\], but masks\[39, 5, 6\] is nan"):
        attribution_localization(maps, bad)


def test_zero_maps_and_empty_masks_are_counted_apart():
    maps = np.stack([np.zeros((2, 2)), np.eye(2), np.eye(2)])
    masks = np.stack([np.ones((2, 2)), np.zeros((2, 2)), np.ones((2, 2))])
    result = attribution_localization(maps, masks)
    assert (result.n, result.n_undefined, result.zero_map_rate, result.reason) == (3, 2, 1 / 3, "")
    assert (numbers(result)[:, 2] == 1.0).all()
    assert np.isnan(numbers(result)[:, :2]).all()
    nothing = attribution_localization(maps[:2], masks[:2])
    assert np.isnan([nothing.mass_accuracy, nothing.lift, nothing.pointing_game, nothing.area_share]).all()
    assert nothing.reason == "every map is all-zero after the sign rule, or its mask is empty"


def test_intervals():
    generator = np.random.default_rng(0)
    whole = generator.gamma(0.4, size=(8000, 4, 4))
    boxes = np.concatenate([0.5 * generator.random((8000, 2)), 0.55 + 0.45 * generator.random((8000, 2))], axis=1)
    truth = attribution_localization(whole, boxes=boxes)
    parts = [attribution_localization(whole[i::80], boxes=boxes[i::80]) for i in range(80)]
    for name in NUMBERS:
        covered = [part.intervals[name].low <= vars(truth)[name] <= part.intervals[name].high for part in parts]
        assert np.mean(covered) >= 0.88, name
        width = np.mean([part.intervals[name].high - part.intervals[name].low for part in parts])
        assert width == pytest.approx(2 * 1.984 * np.std([vars(part)[name] for part in parts]), rel=0.35), name
    hits = np.zeros((100, 1, 2))
    hits[:, 0, 0] = 1.0
    nearly_all = attribution_localization(hits, [[[1, 0]]] * 98 + [[[0, 1]]] * 2)
    expected = binomtest(98, 100).proportion_ci(0.95, method="exact")
    assert nearly_all.intervals["pointing_game"] == pytest.approx((expected.low, expected.high))
    enough = attribution_localization(hits, [[[1, 0]]] * 90 + [[[0, 1]]] * 10)
    assert enough.intervals["pointing_game"].low < 0.9 < enough.intervals["pointing_game"].high
    assert all(np.isnan(enough.intervals["area_share"]))  # every mask is half of the image


def test_half_precision_tensors_and_json():
    result = attribution_localization(torch.eye(2)[None].bfloat16(), boxes=torch.tensor([[0, 0, 0.5, 0.5]]).half())
    assert (result.mass_accuracy, result.lift) == (0.5, 2.0)
    values = json.loads(json.dumps(result.to_dict()))
    assert values["lift"] == 2.0
    assert not any(name.startswith("per_sample") for name in values)
