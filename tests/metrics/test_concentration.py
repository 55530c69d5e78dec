import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hf_sslgen.metrics import attribution_concentration

pytestmark = pytest.mark.filterwarnings("error")

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
    for a, gini, spread in zip(rectified, result.per_sample_gini, result.per_sample_spread, strict=True):
        if a.sum() == 0.0:
            assert np.isnan(gini)
            assert np.isnan(spread)
            continue
        assert gini == pytest.approx(gini_by_pairs(a), abs=1e-12)
        if a.size > 1:
            assert spread == pytest.approx(spread_by_covariance(a), abs=1e-7)
        else:
            assert np.isnan(spread)
    assert result.n_undefined == int((rectified.sum(axis=(1, 2)) == 0).sum())


@settings(max_examples=60, deadline=None)
@given(finite_maps, st.sampled_from([1e-320, 1e-30, 0.3, 7.0, 1e30, 4e307]))
def test_scale_invariance(maps, scale):
    result, scaled = attribution_concentration(maps), attribution_concentration(maps * scale)
    np.testing.assert_allclose(scaled.per_sample_gini, result.per_sample_gini, atol=1e-12)
    np.testing.assert_allclose(scaled.per_sample_spread, result.per_sample_spread, atol=1e-7)


@settings(max_examples=40, deadline=None)
@given(finite_maps, st.integers(2, 3))
def test_cloning_every_cell_keeps_the_gini(maps, k):
    cloned = maps.repeat(k, axis=1).repeat(k, axis=2)
    np.testing.assert_allclose(
        attribution_concentration(cloned).per_sample_gini, attribution_concentration(maps).per_sample_gini, atol=1e-12
    )


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
