import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_sslgen.metrics import invariance, representation_guards

pytestmark = pytest.mark.filterwarnings("error")


# --- each failure is caught by the guard meant for it ---


@pytest.mark.parametrize("noise", [0.0, 1e-7])
def test_constant_representation(noise):
    z = np.full((300, 16), 0.37) * (1 + noise * np.random.default_rng(0).normal(size=(300, 16)))
    result = invariance(z, z[::-1])
    assert result.cosine == pytest.approx(1.0)
    assert np.isnan(result.invariance)
    assert result.reason.startswith("chance cosine is 1")
    guards = representation_guards(z)
    assert (guards.covariance_effective_rank, guards.dead_dimension_share, guards.collapsed) == (1.0, 1.0, True)


def test_anisotropic_representation_is_caught_by_chance_not_by_the_guards():
    generator = np.random.default_rng(0)
    z = generator.normal(size=(400, 32)) + 10.0
    result = invariance(z, generator.normal(size=(400, 32)) + 10.0)
    assert result.cosine > 0.98
    assert result.invariance == pytest.approx(0.0, abs=0.05)
    assert result.distance_invariance == pytest.approx(0.0, abs=0.05)
    guards = representation_guards(z)
    assert guards.covariance_effective_rank > 25
    assert not guards.collapsed


def test_rank_one_representation_is_caught_by_recall_and_guards_not_by_cosine():
    generator = np.random.default_rng(0)
    z = np.outer(np.where(np.arange(256) % 2, 1.0, -1.0) * generator.uniform(0.5, 2.0, 256), generator.normal(size=64))
    result = invariance(z, 1.7 * z)
    assert result.invariance == pytest.approx(1.0)
    assert result.recall_at_1 == pytest.approx(1 / 128)
    guards = representation_guards(z)
    assert guards.covariance_effective_rank == pytest.approx(1.0)
    assert guards.collapsed is True
    assert representation_guards(z, stage="fine-tuned").collapsed is False


# --- values ---


@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e200])
@pytest.mark.parametrize("shape", [(400, 3), (20, 60)])
def test_the_covariance_rank_agrees_with_singular_values(shape, scale):
    z = np.random.default_rng(0).normal(size=shape) + 5.0
    share = np.linalg.svd(z - z.mean(axis=0), compute_uv=False) ** 2
    share /= share.sum()
    share = share[share > 1e-20]
    guards = representation_guards(scale * z)
    assert guards.covariance_effective_rank == pytest.approx(np.exp(-(share * np.log(share)).sum()))
    assert guards.covariance_effective_rank <= min(shape[0] - 1, shape[1])
    assert (guards.collapsed, guards.dead_dimension_share) == (False, 0.0)


def test_orthogonal_directions_of_equal_variance_have_their_number_as_rank():
    z = np.concatenate([np.eye(6), -np.eye(6)])
    assert representation_guards(z).covariance_effective_rank == pytest.approx(6.0)


def test_dead_dimensions_up_to_float32_rounding():
    generator = np.random.default_rng(0)
    z = generator.normal(size=(100, 8))
    z[:, 1] = 0.0
    z[:, 4] = 1e6 * (1 + 1e-7 * generator.normal(size=100))
    z[:, 6] *= 1e-9  # small, but it varies
    guards = representation_guards(z)
    assert guards.dead_dimension_share == 0.25
    assert guards.covariance_effective_rank == pytest.approx(
        representation_guards(np.delete(z, [1, 4], axis=1)).covariance_effective_rank, rel=1e-6
    )


def test_too_few_samples_for_a_rank():
    guards = representation_guards([[1.0, 2.0], [3.0, 5.0]])
    assert np.isnan([guards.covariance_effective_rank, guards.rankme, guards.dead_dimension_share]).all()
    assert (guards.collapsed, guards.reason) == (False, "2 samples cannot show a rank of 2")


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1e-150, 1.0, 1e150]))
def test_rotation_scale_origin_and_order_change_no_rank(seed, scale):
    generator = np.random.default_rng(seed)
    z = generator.normal(size=(30, 4)) * [3.0, 1.0, 0.5, 0.1]
    rotation, _ = np.linalg.qr(generator.normal(size=(4, 4)))
    moved = scale * (generator.permutation(z) @ rotation + generator.normal(size=4))
    assert representation_guards(moved).covariance_effective_rank == pytest.approx(
        representation_guards(z).covariance_effective_rank
    )


def test_two_equal_directions_are_just_not_collapsed():
    z = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    assert representation_guards(z * [1.0, 1.0]).covariance_effective_rank == pytest.approx(2.0)
    many = np.concatenate([z] * 3)
    assert representation_guards(many * [1.0, 0.9]).collapsed
    three = np.concatenate([np.eye(3), -np.eye(3)] * 2)
    assert not representation_guards(three * [1.0, 0.9, 0.5]).collapsed


def test_one_dimension_has_rank_one():
    guards = representation_guards(np.arange(10.0)[:, None])
    assert (guards.covariance_effective_rank, guards.dead_dimension_share, guards.collapsed) == (1.0, 0.0, True)
    assert guards.rankme == pytest.approx(1.0, abs=1e-5)


def test_json():
    values = json.loads(json.dumps(representation_guards(torch.eye(4).half()).to_dict()))
    assert values["covariance_effective_rank"] == pytest.approx(3.0)


def test_guard_errors():
    with pytest.raises(ValueError, match="stage must be 'pretrained' or 'fine-tuned', got 'probe'"):
        representation_guards(np.ones((4, 2)), stage="probe")
    with pytest.raises(ValueError, match=r"features must have shape \(N, D\)"):
        representation_guards(np.ones(4))


# --- RankMe ---


@pytest.mark.parametrize("scale", [1e-200, 1.0, 1e200])
@pytest.mark.parametrize("shape", [(60, 8), (12, 30)])
def test_rankme_is_that_of_its_definition(shape, scale):
    z = np.random.default_rng(0).normal(size=shape) + 2.0
    singular_values = np.sqrt(np.linalg.eigvalsh(z @ z.T if shape[0] < shape[1] else z.T @ z))
    p = singular_values / np.abs(singular_values).sum() + 1e-7
    assert representation_guards(scale * z).rankme == pytest.approx(np.exp(-(p * np.log(p)).sum()), rel=1e-6)


def test_rankme_of_orthogonal_features_is_their_number_and_of_nothing_is_one():
    z = np.concatenate([np.eye(6), -np.eye(6)])
    assert representation_guards(z).rankme == pytest.approx(6.0, rel=1e-5)
    assert representation_guards(np.zeros((12, 4))).rankme == 1.0
    constant = representation_guards(np.full((12, 4), 0.3))
    assert constant.rankme == pytest.approx(1.0, abs=1e-4)


def test_the_two_ranks_weigh_singular_values_differently_and_only_one_sees_the_mean():
    z = np.concatenate([np.eye(3), -np.eye(3)] * 2) * [3.0, 1.0, 1.0]
    guards = representation_guards(z)
    for rank, shares in ((guards.rankme, [3, 1, 1]), (guards.covariance_effective_rank, [9, 1, 1])):
        q = np.array(shares) / np.sum(shares)
        assert rank == pytest.approx(np.exp(-(q * np.log(q)).sum()), rel=1e-5)
    far = representation_guards(z + 1e4)
    assert far.covariance_effective_rank == pytest.approx(guards.covariance_effective_rank)
    assert far.rankme == pytest.approx(1.0, abs=0.01)


# --- known collapses, as the documentation has them ---


def equal_directions(count, num_samples=1000, dimensions=512, kept=0.95):
    """Features in `count` equal directions, and versions of them that are correlated by `kept`."""
    generator = np.random.default_rng(count)
    directions = np.linalg.qr(generator.normal(size=(dimensions, count)))[0].T
    latent, noise = generator.normal(size=(2, num_samples, count))
    return latent @ directions, (kept * latent + np.sqrt(1 - kept**2) * noise) @ directions


@pytest.mark.parametrize(("count", "least", "most"), [(1, 0, 0.02), (3, 0.1, 0.2), (5, 0.55, 0.7), (10, 0.95, 1)])
def test_few_equal_directions_have_their_number_as_rank_and_little_recall(count, least, most):
    z, z_t = equal_directions(count)
    result, guards = invariance(z, z_t), representation_guards(z)
    assert guards.covariance_effective_rank == pytest.approx(count, rel=0.02)
    assert guards.rankme == pytest.approx(count, rel=0.02)
    assert guards.collapsed == (count == 1)
    assert result.invariance > 0.75
    assert least <= result.recall_at_1 <= most


def test_faint_noise_hides_a_collapse_from_rankme_but_not_from_the_covariance():
    z, _ = equal_directions(1)
    guards = representation_guards(z + 0.002 * np.random.default_rng(1).normal(size=z.shape))
    assert guards.rankme > 20
    assert guards.covariance_effective_rank < 1.05
    assert guards.collapsed


def test_features_near_one_point_are_seen_by_rankme_but_not_by_the_covariance():
    generator = np.random.default_rng(0)
    guards = representation_guards(generator.normal(size=(300, 64)) + 1000 * generator.normal(size=64))
    assert guards.rankme < 2
    assert guards.covariance_effective_rank > 45


@pytest.mark.parametrize("decay", [1.0, 1.5, 2.0])
@pytest.mark.parametrize("num_samples", [10, 20, 100])
def test_healthy_spectra_are_hardly_ever_called_collapsed(decay, num_samples):
    scales = np.arange(1.0, 257.0) ** (-decay / 2)
    generator = np.random.default_rng(0)
    called = [representation_guards(generator.normal(size=(num_samples, 256)) * scales).collapsed for _ in range(40)]
    assert np.mean(called) <= 0.075


def test_fewer_than_ten_samples_are_not_judged():
    z = np.outer(np.arange(9.0), np.ones(4))
    guards = representation_guards(z)
    assert guards.covariance_effective_rank == pytest.approx(1.0)
    assert (guards.collapsed, guards.reason) == (False, "collapse is judged from 10 samples on, and there are 9")
    assert representation_guards(np.outer(np.arange(10.0), np.ones(4))).collapsed
