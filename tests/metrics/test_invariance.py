import itertools
import json
import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_sslgen.metrics import invariance, invariance_statistic

pytestmark = pytest.mark.filterwarnings("error")


def cos(a, b):
    return a @ b / (np.linalg.norm(a) * np.linalg.norm(b))


def chance_by_loops(z, z_t, groups):
    n = len(z)
    chance = np.full(n, np.nan)
    for i in range(n):
        others = [cos(z[i], z_t[j]) for j in range(n) if j != i and groups[i] == groups[j]]
        if others:
            chance[i] = np.mean(others)
    return chance


def recall_by_enumeration(z, z_t, gallery_size):
    """Every gallery there is, with ties sharing the credit."""
    n = len(z)
    similarity = np.array([[round(cos(z[i], z_t[j]), 9) for j in range(n)] for i in range(n)])
    recall = np.zeros(n)
    for i in range(n):
        others = [j for j in range(n) if j != i]
        galleries = list(itertools.combinations(others, min(gallery_size, n) - 1))
        for gallery in galleries:
            rivals = similarity[i, list(gallery)]
            if (rivals <= similarity[i, i]).all():
                recall[i] += 1.0 / (1 + (rivals == similarity[i, i]).sum())
        recall[i] /= len(galleries)
    return recall


def pair(n, d, seed=0, noise=0.5):
    generator = np.random.default_rng(seed)
    z = generator.normal(size=(n, d))
    return z, z + noise * generator.normal(size=(n, d))


def per_sample(result):
    return np.stack([result.per_sample_cosine, result.per_sample_chance_cosine, result.per_sample_recall_at_1])


# --- against independent computations ---


@pytest.mark.parametrize("num_groups", [1, 4])
def test_cosines_agree_with_double_loops(num_groups):
    z, z_t = pair(17, 5)
    groups = np.arange(17) % num_groups
    result = invariance(z, z_t, groups=groups if num_groups > 1 else None)
    cosine = [cos(a, b) for a, b in zip(z, z_t, strict=True)]
    chance = chance_by_loops(z, z_t, groups)
    np.testing.assert_allclose(result.per_sample_cosine, cosine)
    np.testing.assert_allclose(result.per_sample_chance_cosine, chance)
    assert result.cosine == pytest.approx(np.mean(cosine))
    assert result.chance_cosine == pytest.approx(np.mean(chance))
    assert result.invariance == pytest.approx((np.mean(cosine) - np.mean(chance)) / (1 - np.mean(chance)))
    assert (result.n, result.n_undefined, result.n_without_chance, result.reason) == (17, 0, 0, "")


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 7), st.integers(2, 7), st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_recall_agrees_with_every_gallery_enumerated(n, gallery_size, block_size, seed):
    # entries in {-1, 0, 1} and 2 dimensions: most queries have ties
    generator = np.random.default_rng(seed)
    z, z_t = generator.integers(-1, 2, (n, 2)), generator.integers(-1, 2, (n, 2))
    z[:, 0] += 3 * (z == 0).all(axis=1)
    z_t[:, 0] += 3 * (z_t == 0).all(axis=1)
    result = invariance(z, z_t, gallery_size=gallery_size, block_size=block_size)
    np.testing.assert_allclose(result.per_sample_recall_at_1, recall_by_enumeration(z, z_t, gallery_size), atol=1e-9)
    assert result.gallery_size == min(gallery_size, n)


def test_recall_agrees_with_drawn_galleries_at_full_size():
    z, z_t = pair(400, 6, noise=1.0)
    result = invariance(z, z_t, gallery_size=32)
    unit, unit_t = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (z, z_t))
    similarity = unit @ unit_t.T
    better = similarity > np.diag(similarity)[:, None]
    generator = np.random.default_rng(1)
    for i in (0, 7, 99):
        others = np.delete(better[i], i)
        hits = [not generator.choice(others, 31, replace=False).any() for _ in range(3000)]
        assert result.per_sample_recall_at_1[i] == pytest.approx(np.mean(hits), abs=0.035)
    assert 0.1 < result.recall_at_1 < 0.9


def distances_by_loops(z, z_t, groups):
    """Own squared distance, and mean squared distance to others' transformed versions, within groups."""
    n = len(z)
    chance = np.full(n, np.nan)
    for i in range(n):
        others = [np.square(z[i] - z_t[j]).sum() for j in range(n) if j != i and groups[i] == groups[j]]
        if others:
            chance[i] = np.mean(others)
    return np.square(z - z_t).sum(axis=1), chance


@pytest.mark.parametrize("num_groups", [1, 4])
def test_distance_form_agrees_with_double_loops(num_groups):
    z, z_t = pair(17, 5)
    z_t += 3.0
    groups = np.arange(17) % num_groups
    result = invariance(z, z_t, groups=groups)
    own, chance = distances_by_loops(z, z_t, groups)
    assert result.distance_invariance == pytest.approx(1 - own.mean() / chance.mean())
    np.testing.assert_allclose(result.per_sample_relative_distance, own / chance.mean())


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 8), st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_candidate_chance_and_ranks_agree_with_double_loops(n, block_size, seed):
    generator = np.random.default_rng(seed)
    z, z_t = generator.integers(-2, 3, (2, n, 2)) + np.array([0.5, 0.0])
    result = invariance(z, z_t, block_size=block_size)
    similarity = np.array([[round(cos(z[i], z_t[j]), 9) for j in range(n)] for i in range(n)])
    for i in range(n):
        others = [j for j in range(n) if j != i]
        assert result.per_sample_candidate_chance_cosine[i] == pytest.approx(similarity[others, i].mean(), abs=1e-8)
        rivals = similarity[i, others]
        farther = (rivals < similarity[i, i]).mean() + (rivals == similarity[i, i]).mean() / 2
        assert result.per_sample_rank_auc[i] == pytest.approx(farther)


def test_an_image_is_never_paired_with_itself():
    # Every image but its own counterpart is orthogonal: a mean over all pairs would see a trace of the own one.
    result = invariance(np.eye(5), np.eye(5))
    assert result.chance_cosine == 0.0
    np.testing.assert_array_equal(result.per_sample_chance_cosine, np.zeros(5))
    np.testing.assert_array_equal(result.per_sample_candidate_chance_cosine, np.zeros(5))
    assert (result.distance_invariance, result.rank_auc, result.recall_at_1) == (1.0, 1.0, 1.0)


# --- known levels ---


def test_identity_transform_is_fully_invariant():
    z, _ = pair(50, 8)
    result = invariance(z, 3.0 * z)
    assert [result.invariance, result.cosine, result.recall_at_1] == pytest.approx([1.0, 1.0, 1.0])


def test_unrelated_features_are_at_chance():
    generator = np.random.default_rng(0)
    z, z_t = generator.normal(size=(2, 1500, 32)) + 0.5  # an offset, so that raw cosine is far from zero
    result = invariance(z, z_t, gallery_size=100)
    assert result.cosine > 0.15
    assert result.invariance == pytest.approx(0.0, abs=0.02)
    assert result.distance_invariance == pytest.approx(0.0, abs=0.02)
    assert result.recall_at_1 == pytest.approx(1 / 100, abs=0.005)
    assert result.rank_auc == pytest.approx(0.5, abs=0.03)


def test_opposite_features_have_negative_invariance():
    z, _ = pair(50, 8)
    assert invariance(z, -z).invariance < -0.9


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1e-200, 0.01, 1.0, 1e200]))
def test_rotation_scale_and_order_change_nothing(seed, scale):
    generator = np.random.default_rng(seed)
    z, z_t = generator.integers(-2, 3, (2, 12, 3)) + np.array([0.5, 0.0, 0.0])
    groups = generator.integers(0, 3, 12)
    result = per_sample(invariance(z, z_t, groups, gallery_size=5))
    rotation, _ = np.linalg.qr(generator.normal(size=(3, 3)))
    rotated = per_sample(invariance(scale * (z @ rotation), scale * (z_t @ rotation), groups, gallery_size=5))
    np.testing.assert_allclose(rotated, result, atol=1e-9)
    order = generator.permutation(12)
    permuted = per_sample(invariance(z[order], z_t[order], groups[order], gallery_size=5, block_size=5))
    np.testing.assert_allclose(permuted, result[:, order], atol=1e-9)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1e-150, 1.0, 1e150]))
def test_distance_form_does_not_change_with_origin_rotation_and_unit(seed, scale):
    generator = np.random.default_rng(seed)
    z, z_t = pair(12, 3, seed)
    rotation, _ = np.linalg.qr(generator.normal(size=(3, 3)))
    origin = 100.0 * generator.normal(size=3)
    result = invariance(z, z_t)
    moved = invariance(scale * (z @ rotation + origin), scale * (z_t @ rotation + origin))
    assert moved.distance_invariance == pytest.approx(result.distance_invariance, abs=1e-9)
    np.testing.assert_allclose(moved.per_sample_relative_distance, result.per_sample_relative_distance, atol=1e-9)


def test_a_large_origin_takes_no_digits_of_the_distances():
    z, z_t = np.round(np.stack(pair(50, 4)) * 2**20) / 2**20  # so that adding the origin is exact
    expected = invariance(z, z_t).distance_invariance
    assert invariance(z + 2.0**20, z_t + 2.0**20).distance_invariance == pytest.approx(expected, abs=1e-9)


def test_an_undefined_sample_does_not_set_the_unit():
    z, z_t = pair(10, 3)
    expected = invariance(z[1:], z_t[1:])
    z[0] = 1e300
    result = invariance(z, z_t, unchanged=np.arange(10) == 0)
    assert result.distance_invariance == pytest.approx(expected.distance_invariance)
    assert result.invariance == pytest.approx(expected.invariance)


def test_one_direction_of_different_lengths_has_distances_but_no_chance_corrected_cosine():
    lengths = np.array([1.0, 2.0, 4.0])[:, None]
    result = invariance(lengths * [1.0, 1.0], lengths * [1.0, 1.0])
    assert np.isnan(result.invariance)
    assert (result.distance_invariance, result.reason[:18]) == (1.0, "chance cosine is 1")


@pytest.mark.parametrize("value", [0.1, 0.37, 1e-300, 1e300])
def test_equal_features_have_no_distances_to_compare(value):
    result = invariance(np.full((9, 7), value), np.full((9, 7), value))
    assert np.isnan([result.distance_invariance, *result.per_sample_relative_distance]).all()
    assert result.rank_auc == 0.5


def test_rounding_is_no_distance():
    z, z_t = 0.37 * (1.0 + 1e-15 * np.random.default_rng(0).normal(size=(2, 30, 7)))
    assert (z != z_t).any()
    result = invariance(z, z_t)
    assert np.isnan([result.invariance, result.distance_invariance]).all()
    assert result.per_sample_rank_auc.tolist() == [0.5] * 30


# --- intervals ---


def population(kind, n, generator):
    """Features, transformed features and groups of n images."""
    groups = generator.integers(0, 5, n)
    if kind == "anisotropic":
        z = generator.normal(size=(n, 16)) + 0.8
        return z, z + 1.5 * generator.normal(size=(n, 16)), None
    centres = np.random.default_rng(99).normal(size=(5, 16)) * 1.5
    spreads = np.array([0.3, 0.6, 0.9, 1.2, 1.5])
    z = centres[groups] + spreads[groups, None] * generator.normal(size=(n, 16))
    return z, z + 0.5 * generator.normal(size=(n, 16)), groups


@pytest.mark.parametrize("kind", ["anisotropic", "classes"])
def test_intervals_of_both_invariances_cover(kind):
    generator = np.random.default_rng(0)
    names = ("invariance", "distance_invariance", "cosine", "recall_at_1")
    samples = [invariance(*population(kind, 200, generator), gallery_size=32) for _ in range(160)]
    values = {name: np.array([vars(sample)[name] for sample in samples]) for name in names}
    for name in names[:3]:  # recall@1 is compared with the same images' galleries, not with others'
        bounds = np.array([sample.intervals[name] for sample in samples])
        truth = values[name].mean()
        covered = ((bounds[:, 0] <= truth) & (truth <= bounds[:, 1])).mean()
        assert 0.89 <= covered <= 0.99, name
        width = np.mean(bounds[:, 1] - bounds[:, 0])
        assert width == pytest.approx(2 * 1.972 * values[name].std(ddof=1), rel=0.2), name
    assert not {"chance_cosine", "rank_auc"} & set(samples[0].intervals)


def test_interval_of_invariance_is_that_of_a_bootstrap_of_pairs():
    z, z_t, _ = population("anisotropic", 300, np.random.default_rng(3))
    unit, unit_t = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in (z, z_t))
    distance = 1.0 - unit @ unit_t.T
    generator = np.random.default_rng(0)
    values = []
    for _ in range(1000):
        w = np.bincount(generator.integers(300, size=300), minlength=300)
        pairs = np.outer(w, w) - np.diag(w**2)  # a copy of an image is no other image
        values.append(1.0 - (w @ np.diag(distance) / 300) / ((pairs * distance).sum() / pairs.sum()))
    low, high = np.quantile(values, [0.025, 0.975])
    interval = invariance(z, z_t).intervals["invariance"]
    assert interval.low == pytest.approx(low, abs=0.15 * (high - low))
    assert interval.high == pytest.approx(high, abs=0.15 * (high - low))


@pytest.mark.parametrize(("num_groups", "num_alone"), [(1, 0), (3, 0), (2, 4)])
def test_linearised_statistic_has_the_derivatives_of_the_weighted_ratio(num_groups, num_alone):
    z, z_t = pair(24, 4)
    groups = np.arange(24) % num_groups
    groups[:num_alone] = 100 + np.arange(num_alone)
    result = invariance(z, z_t, groups=groups)
    distance = np.array([[1.0 - cos(z[i], z_t[j]) for j in range(24)] for i in range(24)])

    def exact(w):
        own = w @ np.diag(distance) / w.sum()
        chance = []
        for g in range(num_groups):  # those alone in their group have no chance pair
            member = np.where(groups == g, w, 0.0)
            pairs = np.outer(member, member) - np.diag(member**2)
            chance.append((member.sum(), (pairs * distance).sum() / pairs.sum()))
        sizes, means = np.transpose(chance)
        return 1.0 - own / (sizes @ means / sizes.sum())

    statistic = invariance_statistic(
        result.per_sample_cosine, result.per_sample_chance_cosine, result.per_sample_candidate_chance_cosine, groups
    )
    ones, h = np.ones(24), 1e-5
    assert statistic(ones[None])[0] == pytest.approx(exact(ones)) == pytest.approx(result.invariance)
    for i in range(24):
        step = np.where(np.arange(24) == i, h, 0.0)
        expected = (exact(ones + step) - exact(ones - step)) / (2 * h)
        found = (statistic((ones + step)[None])[0] - statistic((ones - step)[None])[0]) / (2 * h)
        assert found == pytest.approx(expected, abs=1e-8)


def test_no_interval_where_nothing_varies_or_too_little_is_known():
    z, z_t = pair(110, 8)
    perfect = invariance(z, 2.0 * z)
    assert all(np.isnan(perfect.intervals[name].low) for name in ("invariance", "cosine"))
    assert perfect.intervals["recall_at_1"] == pytest.approx((0.025 ** (1 / 110), 1.0))  # none of 110 was missed
    assert np.isnan(invariance(z[:99], z_t[:99]).intervals["invariance"].low)
    assert not np.isnan(invariance(z[:100], z_t[:100]).intervals["invariance"].low)
    for noise in (0.3, 1.2):
        found = invariance(*pair(60, 8, noise=noise))
        low, high = found.intervals["recall_at_1"]
        assert low < found.recall_at_1 < high


# --- what is left out ---


def test_unchanged_images_and_zero_vectors_take_no_part():
    z, z_t = pair(12, 4)
    z[3] = 0.0
    z_t[5] = 0.0
    unchanged = np.arange(12) == 8
    kept = np.setdiff1d(np.arange(12), [3, 5, 8])
    result, alone = invariance(z, z_t, unchanged=unchanged), invariance(z[kept], z_t[kept])
    np.testing.assert_allclose(per_sample(result)[:, kept], per_sample(alone))
    assert np.isnan(per_sample(result)[:, [3, 5, 8]]).all()
    assert (result.n, result.n_undefined, result.gallery_size) == (12, 3, 9)
    assert result.invariance == pytest.approx(alone.invariance)


def test_a_group_of_one_has_no_chance_but_keeps_its_cosine():
    z, z_t = pair(5, 4)
    result = invariance(z, z_t, groups=[0, 0, 7, 1, 1])
    assert np.isnan(result.per_sample_chance_cosine).tolist() == [False, False, True, False, False]
    assert not np.isnan(result.per_sample_cosine).any()
    assert (result.n_undefined, result.n_without_chance) == (0, 1)
    assert result.chance_cosine == pytest.approx(np.mean(result.per_sample_chance_cosine[[0, 1, 3, 4]]))


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"unchanged": [1, 1, 1]}, "0 of 3 samples are defined"),
        ({"unchanged": [1, 0, 1]}, "1 of 3 samples are defined"),
        ({"groups": [0, 1, 2]}, "every sample is alone in its group"),
    ],
)
def test_no_chance_pair_gives_nan_with_a_reason(options, reason):
    result = invariance(*pair(3, 4), **options)
    assert np.isnan([result.invariance, result.chance_cosine]).all()
    assert result.reason.startswith(reason)


# --- collapse ---


def test_exactly_constant_features_tie_with_every_rival():
    result = invariance(np.ones((20, 4)), np.ones((20, 4)), gallery_size=10)
    assert result.per_sample_recall_at_1 == pytest.approx(np.full(20, 0.1))


# --- form ---


def test_similarities_are_never_held_whole():
    z, z_t = pair(5000, 4)
    tracemalloc.start()
    invariance(z, z_t, block_size=512)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 5000 * 5000 * 8 / 10


def test_tensors_and_json():
    z = torch.randn(10, 4, generator=torch.Generator().manual_seed(0))
    result = invariance(z.half(), z.bfloat16(), groups=torch.zeros(10, dtype=torch.int64))
    assert result.cosine == pytest.approx(1.0, abs=1e-3)
    values = json.loads(json.dumps(result.to_dict()))
    assert values["gallery_size"] == 10
    assert not any(name.startswith("per_sample") for name in values)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((np.ones((3, 2)), np.ones((3, 4))), {}, r"must have one shape, got \(3, 2\) and \(3, 4\)"),
        ((np.ones((3, 2)), np.ones((4, 2))), {}, r"must have one shape, got \(3, 2\) and \(4, 2\)"),
        ((np.ones(3), np.ones(3)), {}, r"features must have shape \(N, D\), got shape \(3,\)"),
        ((np.ones((1, 2)), [[1.0, np.inf]]), {}, r"transformed_features must be finite, but .*\[0, 1\] is inf"),
        ((np.ones((2, 2)), np.ones((2, 2))), {"groups": [0]}, "features and groups must have the same length"),
        ((np.ones((2, 2)), np.ones((2, 2))), {"unchanged": [0]}, "features and unchanged must have the same length"),
        ((np.ones((2, 2)), np.ones((2, 2))), {"unchanged": [0, 5]}, r"unchanged must be boolean, .*\[1\] is 5"),
        ((np.ones((2, 2)), np.ones((2, 2))), {"gallery_size": 1}, "gallery_size must be an integer of at least 2"),
        ((np.ones((2, 2)), np.ones((2, 2))), {"block_size": 0}, "block_size must be an integer of at least 1"),
    ],
)
def test_errors(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        invariance(*arguments, **options)
