import json
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.covariance import LedoitWolf
from sklearn.decomposition import PCA

from hf_sslgen.metrics import fit_whitening, whitened_cosine

pytestmark = pytest.mark.filterwarnings("error")

REFERENCES = json.loads((Path(__file__).parent / "reference_values" / "ssl_invariances.json").read_text())["cases"]


def training(n=200, d=6, seed=0):
    generator = np.random.default_rng(seed)
    basis, _ = np.linalg.qr(generator.normal(size=(d, d)))
    return generator.normal(size=(n, d)) * np.linspace(1.0, 3.0, d) @ basis + 5.0


def coordinates(whitening, features):
    return (features - whitening.mean) / whitening.scale @ whitening.projection


@pytest.mark.parametrize("case", REFERENCES)
def test_agrees_with_the_formula_of_ericsson_gouk_and_hospedales(case):
    whitening = fit_whitening(case["training_features"], case["dimension"])
    result = whitened_cosine(whitening, case["features"], case["transformed_features"])
    assert whitening.shrinkage == pytest.approx(case["shrinkage"], rel=1e-9)
    np.testing.assert_allclose(result.per_sample_whitened_cosine, case["shrunk"], atol=1e-9)
    assert result.whitened_cosine == pytest.approx(np.mean(case["shrunk"]))
    if len(case["training_features"]) >= 1000:  # with so many samples, the sample covariance is shrunk by little
        np.testing.assert_allclose(result.per_sample_whitened_cosine, case["empirical"], atol=0.02)


@pytest.mark.parametrize(("n", "d", "dimension"), [(40, 6, 128), (60, 30, 10), (500, 8, 3), (33, 8, 8)])
def test_covariance_and_shrinkage_agree_with_scikit_learn(n, d, dimension):
    x = training(n, d)
    whitening = fit_whitening(x, dimension)
    components = PCA(min(dimension, d), svd_solver="full").fit_transform(x)
    reference = LedoitWolf().fit(components)
    assert whitening.shrinkage == pytest.approx(reference.shrinkage_)
    assert (whitening.dimension, whitening.n, whitening.reason) == (min(dimension, d), n, "")
    np.testing.assert_allclose(whitening.mean, x.mean(axis=0))
    # whitened inner products are those by the inverse covariance, whatever basis they are taken in
    whitened = coordinates(whitening, x[:20])
    np.testing.assert_allclose(
        whitened @ whitened.T, components[:20] @ np.linalg.inv(reference.covariance_) @ components[:20].T, atol=1e-8
    )


def test_training_features_are_white():
    x = training(50000, 5)
    np.testing.assert_allclose(np.cov(coordinates(fit_whitening(x), x).T), np.eye(5), atol=0.02)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from([1e-300, 1e-3, 1.0, 1e290]))
def test_rotation_scale_origin_and_order_change_nothing(seed, scale):
    generator = np.random.default_rng(seed)
    x, z, noise = training(60, 4, seed), training(12, 4, seed + 1), generator.normal(size=(12, 4))
    expected = whitened_cosine(fit_whitening(x, 3), z, z + noise).per_sample_whitened_cosine
    rotation, _ = np.linalg.qr(generator.normal(size=(4, 4)))
    origin, order = generator.normal(size=4), generator.permutation(12)

    def move(features):
        return scale * (features @ rotation + origin)

    whitening = fit_whitening(move(generator.permutation(x)), 3)
    result = whitened_cosine(whitening, move(z[order]), move((z + noise)[order]))
    np.testing.assert_allclose(result.per_sample_whitened_cosine, expected[order], atol=1e-7)


def test_known_levels():
    # A large common mean and one strong direction make raw cosines near 1.
    generator = np.random.default_rng(0)
    strength = np.array([30.0] + [1.0] * 15)
    x, z, z_t = (generator.normal(size=(n, 16)) * strength + 100.0 for n in (4000, 1000, 1000))
    raw = (z * z_t).sum(axis=1) / np.linalg.norm(z, axis=1) / np.linalg.norm(z_t, axis=1)
    assert raw.mean() > 0.98
    unrelated = whitened_cosine(fit_whitening(x), z, z_t)
    assert unrelated.whitened_cosine == pytest.approx(0.0, abs=0.03)
    assert unrelated.intervals["whitened_cosine"].low < 0.0 < unrelated.intervals["whitened_cosine"].high
    same = whitened_cosine(fit_whitening(x), z, z)
    assert same.whitened_cosine == pytest.approx(1.0)
    assert np.isnan(same.intervals["whitened_cosine"].low)  # nothing varies


def test_unchanged_samples_and_those_without_direction_are_counted():
    whitening = fit_whitening(training())
    z, z_t = training(5, seed=1), training(5, seed=2)
    z[1] = whitening.mean
    z_t[3] = whitening.mean
    result = whitened_cosine(whitening, z, z_t, unchanged=[0, 0, 0, 0, 1])
    assert np.isnan(result.per_sample_whitened_cosine).tolist() == [False, True, False, True, True]
    assert (result.n, result.n_undefined, result.reason) == (5, 3, "")
    assert result.whitened_cosine == pytest.approx(result.per_sample_whitened_cosine[[0, 2]].mean())
    nothing = whitened_cosine(whitening, z, z_t, unchanged=[1] * 5)
    assert (nothing.n_undefined, nothing.reason) == (
        5,
        "every sample is unchanged or has no direction after whitening",
    )
    assert np.isnan(nothing.whitened_cosine)


def test_what_lies_outside_the_training_space_has_no_direction():
    basis, _ = np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))
    x = training(40, 2) @ basis[:2]
    whitening = fit_whitening(x, 2)
    offsets = np.array([[0.0, 0.0, 7.0], [1.0, 0.0, 7.0]]) @ basis
    result = whitened_cosine(whitening, whitening.mean + offsets, x[:2])
    assert np.isnan(result.per_sample_whitened_cosine).tolist() == [True, False]


@pytest.mark.parametrize(
    ("x", "dimension", "reason"),
    [
        (np.eye(7), 2, "7 training samples are too few to whiten 2 dimensions: 8 are needed"),
        (training(23, 6), 128, "23 training samples are too few to whiten 6 dimensions: 24 are needed"),
        ([[1.0]], 1, "1 training samples are too few"),
        (np.full((40, 5), 0.1), 5, "the training features don't vary"),
        (np.zeros((40, 5)), 5, "the training features don't vary"),
        (np.full((40, 5), 1e300), 5, "the training features don't vary"),
    ],
)
def test_an_unusable_whitening_gives_nan_with_its_reason(x, dimension, reason):
    whitening = fit_whitening(x, dimension)
    assert whitening.reason.startswith(reason)
    result = whitened_cosine(whitening, np.eye(5), np.eye(5))
    assert np.isnan([result.whitened_cosine, *result.per_sample_whitened_cosine]).all()
    assert (result.n_undefined, result.reason) == (5, whitening.reason)


def test_one_dimension_is_whitened_to_signs():
    whitening = fit_whitening([[1.0], [2.0], [3.0], [6.0]], 1)
    result = whitened_cosine(whitening, [[1.0], [5.0]], [[9.0], [4.0]])
    assert result.per_sample_whitened_cosine.tolist() == [-1.0, 1.0]


def test_a_dimension_without_variance_is_no_obstacle():
    x = np.concatenate([training(100, 3), np.ones((100, 2))], axis=1)
    z, z_t = training(6, 3, seed=1), training(6, 3, seed=2)
    both = [np.concatenate([part, np.ones((6, 2))], axis=1) for part in (z, z_t)]
    result = whitened_cosine(fit_whitening(x, 3), *both)
    alone = whitened_cosine(fit_whitening(x[:, :3], 3), z, z_t)
    np.testing.assert_allclose(result.per_sample_whitened_cosine, alone.per_sample_whitened_cosine, atol=1e-9)


def test_features_of_another_backbone_are_refused():
    with pytest.raises(ValueError, match=r"features must have the whitening's 6 dimensions, got shape \(2, 4\)"):
        whitened_cosine(fit_whitening(training()), np.ones((2, 4)), np.ones((2, 4)))


def test_half_precision_tensors_and_json():
    x = torch.tensor(training())
    result = whitened_cosine(fit_whitening(x.half()), x.bfloat16(), x.half(), unchanged=torch.zeros(200))
    assert result.whitened_cosine > 0.98
    assert json.loads(json.dumps(result.to_dict()))["n"] == 200
    assert json.loads(json.dumps(fit_whitening(x).to_dict()))["dimension"] == 6
