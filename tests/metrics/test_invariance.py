import itertools
import json
import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_sslgen.metrics import invariance, representation_guards

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
    assert result.recall_at_1 == pytest.approx(1 / 100, abs=0.005)


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


def test_constant_representation():
    z = np.full((300, 16), 0.37) * (1 + 1e-7 * np.random.default_rng(0).normal(size=(300, 16)))
    result = invariance(z, z[::-1])
    assert result.cosine == pytest.approx(1.0)
    assert np.isnan(result.invariance)
    assert result.reason.startswith("chance cosine is 1")
    guards = representation_guards(z)
    assert (guards.effective_rank, guards.dead_dimension_share, guards.collapsed) == (1.0, 1.0, True)


def test_rank_one_representation_is_caught_by_recall_and_guards_not_by_cosine():
    generator = np.random.default_rng(0)
    z = np.outer(np.where(np.arange(256) % 2, 1.0, -1.0) * generator.uniform(0.5, 2.0, 256), generator.normal(size=64))
    result = invariance(z, 1.7 * z)
    assert result.invariance == pytest.approx(1.0)
    assert result.recall_at_1 == pytest.approx(1 / 128)
    guards = representation_guards(z)
    assert guards.effective_rank == pytest.approx(1.0)
    assert guards.collapsed is True
    assert representation_guards(z, stage="fine-tuned").collapsed is False


def test_exactly_constant_features_tie_with_every_rival():
    result = invariance(np.ones((20, 4)), np.ones((20, 4)), gallery_size=10)
    assert result.per_sample_recall_at_1 == pytest.approx(np.full(20, 0.1))


@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e200])
@pytest.mark.parametrize("shape", [(400, 3), (20, 60)])
def test_effective_rank_agrees_with_singular_values(shape, scale):
    z = np.random.default_rng(0).normal(size=shape) + 5.0
    share = np.linalg.svd(z - z.mean(axis=0), compute_uv=False) ** 2
    share /= share.sum()
    share = share[share > 1e-20]
    guards = representation_guards(scale * z)
    assert guards.effective_rank == pytest.approx(np.exp(-(share * np.log(share)).sum()))
    assert guards.effective_rank <= min(shape[0] - 1, shape[1])
    assert (guards.collapsed, guards.dead_dimension_share) == (False, 0.0)


def test_orthogonal_directions_of_equal_variance_have_their_number_as_rank():
    z = np.concatenate([np.eye(6), -np.eye(6)])
    assert representation_guards(z).effective_rank == pytest.approx(6.0)


def test_dead_dimensions_up_to_float32_rounding():
    generator = np.random.default_rng(0)
    z = generator.normal(size=(100, 8))
    z[:, 1] = 0.0
    z[:, 4] = 1e6 * (1 + 1e-7 * generator.normal(size=100))
    z[:, 6] *= 1e-9  # small, but it varies
    guards = representation_guards(z)
    assert guards.dead_dimension_share == 0.25
    assert guards.effective_rank == pytest.approx(
        representation_guards(np.delete(z, [1, 4], axis=1)).effective_rank, rel=1e-6
    )


def test_too_few_samples_for_a_rank():
    guards = representation_guards([[1.0, 2.0], [3.0, 5.0]])
    assert np.isnan([guards.effective_rank, guards.dead_dimension_share]).all()
    assert (guards.collapsed, guards.reason) == (False, "2 samples cannot show a rank of 2")


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
    json.dumps(representation_guards(z).to_dict())


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


def test_guard_errors():
    with pytest.raises(ValueError, match="stage must be 'pretrained' or 'fine-tuned', got 'probe'"):
        representation_guards(np.ones((4, 2)), stage="probe")
    with pytest.raises(ValueError, match=r"features must have shape \(N, D\)"):
        representation_guards(np.ones(4))
