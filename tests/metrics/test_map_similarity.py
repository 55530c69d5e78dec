"""Likeness of maps against SciPy's rank correlation and scikit-image's structural similarity."""

import numpy as np
import pytest
from scipy.stats import spearmanr
from skimage.metrics import structural_similarity

from hf_sslgen.metrics import map_similarity

pytestmark = pytest.mark.filterwarnings("error")


def pairs(shape, seed=0, decimals=None):
    generator = np.random.default_rng(seed)
    first = generator.normal(size=(5, *shape))
    second = 0.6 * first + 0.8 * generator.normal(size=(5, *shape))
    return (first, second) if decimals is None else (first.round(decimals), second.round(decimals))


@pytest.mark.parametrize("shape", [(2, 2), (7, 7), (14, 14), (5, 9)])
@pytest.mark.parametrize("decimals", [None, 0])
def test_rank_correlation_is_scipys_with_ties(shape, decimals):
    first, second = pairs(shape, decimals=decimals)
    found = map_similarity(first, second).per_sample_rank_correlation
    for a, b, value in zip(first, second, found, strict=True):
        if not np.isnan(value):
            assert value == pytest.approx(spearmanr(np.abs(a).ravel(), np.abs(b).ravel()).statistic)
    assert np.isfinite(found).sum() >= 3


@pytest.mark.parametrize("shape", [(3, 3), (5, 9), (7, 7), (14, 14), (70, 71)])
def test_structural_similarity_is_that_of_scikit_image(shape):
    first, second = pairs(shape)
    window = min(7, *shape)
    found = map_similarity(first, second).per_sample_structural_similarity
    for a, b, value in zip(np.abs(first), np.abs(second), found, strict=True):
        expected = structural_similarity(a / a.max(), b / b.max(), win_size=window, data_range=1.0)
        assert value == pytest.approx(expected, abs=1e-9)


def test_an_even_window_by_hand():
    x, y = np.array([0.0, 1.0, 2.0, 4.0]) / 4, np.array([3.0, 1.0, 0.0, 3.0]) / 3
    covariance = np.cov(x, y)
    expected = (2 * x.mean() * y.mean() + 1e-4) * (2 * covariance[0, 1] + 9e-4)
    expected /= (x.mean() ** 2 + y.mean() ** 2 + 1e-4) * (np.trace(covariance) + 9e-4)
    result = map_similarity(4 * x.reshape(1, 2, 2), 30 * y.reshape(1, 2, 2))
    assert result.structural_similarity == pytest.approx(expected)


@pytest.mark.parametrize("sign", ["absolute", "positive"])
def test_equal_maps_are_at_one_whatever_their_scale(sign):
    maps, _ = pairs((7, 7))
    result = map_similarity(maps, 1e-200 * maps, sign)
    assert (result.rank_correlation, result.structural_similarity) == pytest.approx((1.0, 1.0))


def test_the_sign_rule():
    maps, _ = pairs((7, 7))
    assert map_similarity(maps, -maps).rank_correlation == pytest.approx(1.0)
    assert map_similarity(maps, -maps, "positive").rank_correlation < 0
    with pytest.raises(ValueError, match="sign must be 'positive' or 'absolute', got 'both'"):
        map_similarity(maps, maps, "both")


def test_maps_that_are_undefined_are_left_out_and_counted():
    first, second = pairs((7, 7))
    first[1] = 0.0
    second[3] = 0.0
    first[4] = 2.0  # the same everywhere: no ranks, but a structure
    result = map_similarity(first, second)
    assert np.isnan(result.per_sample_rank_correlation).tolist() == [False, True, False, True, True]
    assert np.isnan(result.per_sample_structural_similarity).tolist() == [False, True, False, True, False]
    assert (result.n, result.n_undefined, result.reason) == (5, 3, "")
    kept = map_similarity(first[[0, 2]], second[[0, 2]])
    assert result.rank_correlation == pytest.approx(kept.rank_correlation)


@pytest.mark.parametrize(
    ("maps", "reason"),
    [
        (np.zeros((3, 4, 4)), "no image has two maps that are not all-zero"),
        (np.ones((3, 1, 1)), "a 1 x 1 grid has no window of two cells squared"),
        (np.ones((3, 4, 4)), "a map of every image is the same everywhere"),
    ],
)
def test_where_there_is_no_number_a_reason_says_so(maps, reason):
    result = map_similarity(maps, maps)
    assert np.isnan(result.rank_correlation)
    assert result.n_undefined == 3
    assert result.reason.startswith(reason)


def test_shapes_that_differ_are_refused():
    with pytest.raises(ValueError, match=r"must have one shape, got \(2, 3, 3\) and \(2, 3, 4\)"):
        map_similarity(np.ones((2, 3, 3)), np.ones((2, 3, 4)))
    with pytest.raises(ValueError, match=r"must have one shape, got \(2, 3, 3\) and \(1, 3, 3\)"):
        map_similarity(np.ones((2, 3, 3)), np.ones((1, 3, 3)))
