import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import entropy

from hf_sslgen.metrics import attribution_concentration, noise_null

pytestmark = pytest.mark.filterwarnings("error")

QUANTUS = json.loads((Path(__file__).parent / "reference_values" / "quantus.json").read_text())["cases"]
SEVEN = (
    "gini",
    "effective_area",
    "participation_ratio",
    "top_10_percent_mass",
    "area_at_80_percent_mass",
    "entropy",
    "spread",
)
CLONING_KEEPS = ("gini", "effective_area", "participation_ratio", "top_10_percent_mass", "area_at_80_percent_mass")

finite_maps = arrays(
    np.float64,
    st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 5)),
    elements=st.integers(-4, 4).map(float),
)


def gini_by_pairs(a):
    """Half the mean absolute difference of all pairs, relative to the mean."""
    a = a.ravel()
    return np.abs(a[:, None] - a[None, :]).mean() / (2.0 * a.mean())


def spread_by_covariance(a):
    h, w = a.shape
    centres = np.array([[(i + 0.5) / h, (j + 0.5) / w] for i in range(h) for j in range(w)])

    def trace(weights):
        return np.trace(np.cov(centres.T, aweights=weights, ddof=0))

    return np.sqrt(trace(a.ravel()) / trace(np.ones(h * w)))


def taken_greedily(a, cells):
    """Mass of the strongest `cells` cells, the last one counted fractionally."""
    taken = 0.0
    for mass in sorted((a / a.sum()).ravel(), reverse=True):
        taken += mass * min(1.0, cells)
        cells -= min(1.0, cells)
    return taken


def area_holding(a, level):
    """Share of cells, strongest first, that hold `level` of the mass, the last one counted fractionally."""
    held = cells = 0.0
    for mass in sorted((a / a.sum()).ravel(), reverse=True):
        part = min(1.0, (level - held) / mass) if mass > 0.0 else 0.0
        if part <= 1e-12:
            break
        held += part * mass
        cells += part
    return cells / a.size


def numbers(result, names=SEVEN):
    return np.stack([vars(result)[f"per_sample_{name}"] for name in names])


def blob(size, sigma, centre=0.5):
    x = (np.arange(size) + 0.5) / size
    profile = np.exp(-0.5 * ((x - centre) / sigma) ** 2)
    return np.outer(profile, profile)


def test_uniform_and_single_cell():
    uniform, single = np.full((7, 5), 3.0), np.zeros((7, 5))
    single[2, 1] = 4.0
    result = attribution_concentration([uniform, single])
    assert result.per_sample_gini.tolist() == pytest.approx([0.0, 34 / 35], abs=1e-12)
    assert result.per_sample_spread.tolist() == pytest.approx([1.0, 0.0], abs=1e-12)
    assert result.gini == pytest.approx(17 / 35)
    assert result.spread == pytest.approx(0.5)


def test_many_maps_are_measured_as_few_are():
    maps = np.random.default_rng(0).normal(size=(3000, 7, 7))  # more than two blocks
    whole = numbers(attribution_concentration(maps))
    parts = [numbers(attribution_concentration(maps[start : start + 100])) for start in range(0, 3000, 100)]
    np.testing.assert_allclose(whole, np.concatenate(parts, axis=1), rtol=1e-12)


def test_closed_forms_of_every_number():
    uniform, single, two_level = np.full((4, 5), 0.3), np.zeros((4, 5)), np.ones((4, 5))
    single[3, 0] = 2.0
    two_level[:2] = 4.0  # ten cells of 4 and ten of 1: 80% of the mass in half of the cells
    result = attribution_concentration([uniform, single, two_level])
    nats = -0.8 * np.log(0.08) - 0.2 * np.log(0.02)
    np.testing.assert_allclose(
        numbers(result, SEVEN[:-1]).T,
        [
            [0.0, 1.0, 1.0, 0.1, 0.8, np.log(20)],
            [0.95, 0.05, 0.05, 1.0, 0.04, 0.0],
            [0.3, np.exp(nats) / 20, 1 / (20 * 10 * (0.08**2 + 0.02**2)), 0.16, 0.5, nats],
        ],
        atol=1e-12,
    )
    # rows at 1/8 and 3/8 (p = .4 each), 5/8 and 7/8 (.1 each): mean .35, variance .2^2 + 1/64; columns as uniform
    of_columns = 0.08
    expected = np.sqrt((0.04 + 1 / 64 + of_columns) / (5 / 64 + of_columns))
    assert result.per_sample_spread[2] == pytest.approx(expected)


@pytest.mark.parametrize("case", QUANTUS)
def test_agrees_with_quantus(case):
    np.testing.assert_allclose(attribution_concentration(case["maps"]).per_sample_gini, case["gini"], atol=2e-5)


def test_the_noise_null_is_that_of_its_grid():
    null = noise_null(7, 9, num_maps=2000)
    assert (null.n, null.n_undefined) == (2000, 0)
    assert null.gini == pytest.approx(np.sqrt(0.5), abs=0.01)  # which it reaches as the grid grows
    assert null.spread == pytest.approx(1.0, abs=0.03)
    # of the n cells the rectified half-normal takes E[a]^2 / E[a^2] = 1 / pi as n grows
    assert null.participation_ratio == pytest.approx(1 / np.pi, abs=0.015)
    assert null.gini == noise_null(7, 9, num_maps=2000, seed=0).gini != noise_null(7, 9, num_maps=2000, seed=1).gini


def test_intervals_cover_and_vanish_where_nothing_varies():
    whole = np.random.default_rng(1).gamma(0.5, size=(6000, 4, 4)) * blob(4, 0.3)
    truth = attribution_concentration(whole)
    samples = [attribution_concentration(each) for each in whole.reshape(60, 100, 4, 4)]
    for name in ("gini", "spread", "area_at_80_percent_mass"):
        covered = [s.intervals[name].low <= vars(truth)[name] <= s.intervals[name].high for s in samples]
        assert 0.85 <= np.mean(covered) <= 1.0
        width = np.mean([s.intervals[name].high - s.intervals[name].low for s in samples])
        sd = np.std([vars(s)[name] for s in samples])
        assert width == pytest.approx(2 * 1.984 * sd, rel=0.35)
    same = attribution_concentration(np.tile(blob(5, 0.2), (20, 1, 1)) * np.arange(1, 21)[:, None, None])
    assert all(np.isnan(same.intervals[name].low) for name in SEVEN)
    assert same.intervals["zero_map_rate"].high == pytest.approx(1.0 - 0.025 ** (1 / 20))


def test_noise_has_the_gini_of_a_blob_but_not_its_spread():
    noise = attribution_concentration(np.random.default_rng(0).normal(size=(400, 14, 14)))
    assert noise.gini == pytest.approx(np.sqrt(0.5), abs=0.005)
    assert noise.spread == pytest.approx(1.0, abs=0.01)
    centred = attribution_concentration(blob(14, 0.16)[None])
    assert centred.gini == pytest.approx(0.7, abs=0.03)
    assert centred.spread == pytest.approx(0.55, abs=0.01)


def test_spread_of_a_narrow_blob_is_its_standard_deviation():
    # two axes of variance sigma^2 against two of 1/12
    assert attribution_concentration(blob(100, 0.05)[None]).spread == pytest.approx(0.05 * np.sqrt(12), rel=1e-3)


def test_gini_does_not_see_where_mass_lies_and_spread_does():
    near, far = np.zeros((6, 6)), np.zeros((6, 6))
    near[2, 2] = near[2, 3] = far[0, 0] = far[5, 5] = 1.0
    result = attribution_concentration([near, far])
    assert result.per_sample_gini[0] == result.per_sample_gini[1]
    assert result.per_sample_spread[0] < 0.5 < 1.4 < result.per_sample_spread[1]


@settings(max_examples=100, deadline=None)
@given(finite_maps, st.sampled_from(["positive", "absolute"]))
def test_agrees_with_independent_definitions(maps, sign):
    result = attribution_concentration(maps, sign)
    rectified = np.maximum(maps, 0.0) if sign == "positive" else np.abs(maps)
    for a, (gini, area, ratio, top, area_80, nats, spread) in zip(rectified, numbers(result).T, strict=True):
        if a.sum() == 0.0:
            assert np.isnan([gini, area, ratio, top, area_80, nats, spread]).all()
            continue
        assert gini == pytest.approx(gini_by_pairs(a), abs=1e-12)
        assert nats == pytest.approx(entropy(a.ravel()), abs=1e-12)
        assert area == pytest.approx(np.exp(entropy(a.ravel())) / a.size)
        assert ratio == pytest.approx(a.sum() ** 2 / (a.size * np.square(a).sum()))
        assert top == pytest.approx(taken_greedily(a, a.size / 10))
        assert area_80 == pytest.approx(area_holding(a, 0.8))
        if a.size > 1:
            assert spread == pytest.approx(spread_by_covariance(a), abs=1e-7)
        else:
            assert np.isnan(spread)
    assert result.n_undefined == int((rectified.sum(axis=(1, 2)) == 0).sum())


@settings(max_examples=60, deadline=None)
@given(finite_maps, st.sampled_from([1e-320, 1e-30, 0.3, 7.0, 1e30, 4e307]))
def test_scale_invariance(maps, scale):
    result, scaled = attribution_concentration(maps), attribution_concentration(maps * scale)
    np.testing.assert_allclose(numbers(scaled)[:-1], numbers(result)[:-1], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(scaled.per_sample_spread, result.per_sample_spread, atol=1e-7)


@settings(max_examples=40, deadline=None)
@given(finite_maps, st.integers(2, 3))
def test_cloning_every_cell_changes_entropy_and_spread_alone(maps, k):
    cloned = attribution_concentration(maps.repeat(k, axis=1).repeat(k, axis=2))
    result = attribution_concentration(maps)
    np.testing.assert_allclose(numbers(cloned, CLONING_KEEPS), numbers(result, CLONING_KEEPS), atol=1e-12)
    np.testing.assert_allclose(cloned.per_sample_entropy, result.per_sample_entropy + 2 * np.log(k), atol=1e-12)


def test_cloning_changes_the_spread_of_a_single_cell():
    single = np.zeros((1, 3, 3))
    single[0, 1, 1] = 1.0
    assert attribution_concentration(single).spread == 0.0
    # one of three cells on either axis: a third of the whole image's standard deviation, on a grid of nine cells
    variance, whole = (1 / 9 - 1 / 81) / 12, (1 - 1 / 81) / 12
    cloned = attribution_concentration(single.repeat(3, axis=1).repeat(3, axis=2))
    assert cloned.spread == pytest.approx(np.sqrt(variance / whole))


@settings(max_examples=30, deadline=None)
@given(finite_maps, st.randoms(use_true_random=False))
def test_order_of_samples_and_of_cells(maps, random):
    order, cells = list(range(len(maps))), list(range(maps[0].size))
    random.shuffle(order)
    random.shuffle(cells)
    result, reordered = attribution_concentration(maps), attribution_concentration(maps[order])
    np.testing.assert_allclose(numbers(reordered), numbers(result)[:, order], atol=1e-12)
    assert reordered.gini == pytest.approx(result.gini, nan_ok=True)
    shuffled = attribution_concentration(maps.reshape(len(maps), -1)[:, cells].reshape(maps.shape))
    np.testing.assert_allclose(numbers(shuffled)[:-1], numbers(result)[:-1], atol=1e-12)


@settings(max_examples=40, deadline=None)
@given(finite_maps)
def test_spread_does_not_change_by_flips_and_transposition(maps):
    spread = attribution_concentration(maps).per_sample_spread
    for moved in (maps[:, ::-1], maps[:, :, ::-1], maps.transpose(0, 2, 1)):
        np.testing.assert_allclose(attribution_concentration(moved).per_sample_spread, spread, atol=1e-7)


def test_zero_maps_are_counted_and_left_out():
    maps = np.stack([np.zeros((3, 3)), -np.ones((3, 3)), np.eye(3)])
    positive, absolute = attribution_concentration(maps), attribution_concentration(maps, sign="absolute")
    assert (positive.zero_map_rate, positive.n, positive.n_undefined) == (2 / 3, 3, 2)
    assert positive.gini == positive.per_sample_gini[2] == pytest.approx(2 / 3)
    assert (absolute.zero_map_rate, absolute.n_undefined) == (1 / 3, 1)
    assert absolute.gini == pytest.approx(1 / 3)
    assert positive.reason == ""


def test_numbers_that_cannot_be_had_have_a_reason():
    nothing = attribution_concentration(np.zeros((2, 3, 3)))
    assert np.isnan([nothing.gini, nothing.spread]).all()
    assert (nothing.zero_map_rate, nothing.reason) == (1.0, "every map is all-zero after the sign rule")
    one_cell = attribution_concentration(np.ones((2, 1, 1)))
    assert (one_cell.gini, one_cell.n_undefined, one_cell.reason) == (0.0, 0, "a 1 x 1 grid has no spread")
    assert np.isnan(one_cell.spread)


def test_half_precision_tensor_that_requires_gradient():
    maps = torch.ones(2, 4, 4, dtype=torch.float16, requires_grad=True)
    assert attribution_concentration(maps).gini == 0.0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.ones((3, 3)),), r"maps must have shape \(N, h, w\), got shape \(3, 3\)"),
        ((np.full((1, 2, 2), np.nan),), r"maps must be finite, but maps\[0, 0, 0\] is nan"),
        ((np.full((1, 2, 2), -np.inf),), r"maps\[0, 0, 0\] is -inf"),
        ((np.ones((0, 2, 2)),), "maps must not be empty"),
        ((np.ones((1, 2, 2)), "negative"), "sign must be 'positive' or 'absolute', got 'negative'"),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        attribution_concentration(*arguments)


def test_numbers_of_concentration_need_not_agree_on_which_map_is_the_more_concentrated():
    peaked, split = [[8, 1, 1], [1, 1, 1], [1, 1, 1]], [[3, 3, 3], [3, 0, 0], [0, 0, 0]]
    result = attribution_concentration([peaked, split])
    gini, strongest = result.per_sample_gini, result.per_sample_top_10_percent_mass
    np.testing.assert_allclose(gini, [7 / 18, 5 / 9])
    np.testing.assert_allclose(strongest, [0.45, 0.225])


def test_spread_exceeds_that_of_a_uniform_map_where_evidence_lies_in_opposite_corners():
    corners = np.zeros((7, 7))
    corners[[0, 0, -1, -1], [0, -1, 0, -1]] = 1.0
    assert attribution_concentration([corners]).spread == pytest.approx(1.5)
