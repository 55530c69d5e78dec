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
    assert (guards.effective_rank, guards.dead_dimension_share, guards.collapsed) == (1.0, 1.0, True)


def test_anisotropic_representation_is_caught_by_chance_not_by_the_guards():
    generator = np.random.default_rng(0)
    z = generator.normal(size=(400, 32)) + 10.0
    result = invariance(z, generator.normal(size=(400, 32)) + 10.0)
    assert result.cosine > 0.98
    assert result.invariance == pytest.approx(0.0, abs=0.05)
    assert result.distance_invariance == pytest.approx(0.0, abs=0.05)
    guards = representation_guards(z)
    assert guards.effective_rank > 25
    assert not guards.collapsed


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


# --- values ---


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


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1e-150, 1.0, 1e150]))
def test_rotation_scale_origin_and_order_change_no_rank(seed, scale):
    generator = np.random.default_rng(seed)
    z = generator.normal(size=(30, 4)) * [3.0, 1.0, 0.5, 0.1]
    rotation, _ = np.linalg.qr(generator.normal(size=(4, 4)))
    moved = scale * (generator.permutation(z) @ rotation + generator.normal(size=4))
    assert representation_guards(moved).effective_rank == pytest.approx(representation_guards(z).effective_rank)


def test_two_equal_directions_are_just_not_collapsed():
    z = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    assert representation_guards(z * [1.0, 1.0]).effective_rank == pytest.approx(2.0)
    assert representation_guards(z * [1.0, 0.9]).collapsed
    assert not representation_guards(np.concatenate([np.eye(3), -np.eye(3)]) * [1.0, 0.9, 0.5]).collapsed


def test_one_dimension_has_rank_one():
    guards = representation_guards([[1.0], [2.0], [4.0]])
    assert (guards.effective_rank, guards.dead_dimension_share, guards.collapsed) == (1.0, 0.0, True)


def test_json():
    values = json.loads(json.dumps(representation_guards(torch.eye(4).half()).to_dict()))
    assert values["effective_rank"] == pytest.approx(3.0)


def test_guard_errors():
    with pytest.raises(ValueError, match="stage must be 'pretrained' or 'fine-tuned', got 'probe'"):
        representation_guards(np.ones((4, 2)), stage="probe")
    with pytest.raises(ValueError, match=r"features must have shape \(N, D\)"):
        representation_guards(np.ones(4))
