import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

from hf_sslgen.metrics import (
    apply_temperature,
    expected_calibration_error,
    fit_temperature,
    negative_log_likelihood,
    top_label,
)
from hf_sslgen.metrics import class_scores as module

pytestmark = pytest.mark.filterwarnings("error")


def simulated(n, temperature, num_classes=6, seed=0):
    """Logits whose softmax at `temperature` is the distribution that labels are drawn from."""
    generator = np.random.default_rng(seed)
    logits = 2.0 * temperature * generator.normal(size=(n, num_classes))
    cumulated = softmax(logits / temperature, axis=1).cumsum(axis=1)
    return logits, np.minimum((generator.random((n, 1)) > cumulated).sum(axis=1), num_classes - 1)


def likelihood(logits, references, temperature):
    return -log_softmax(logits / temperature, axis=1)[np.arange(len(references)), references].mean()


# --- fit ---


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 60), st.integers(2, 6), st.floats(-3, 3), st.integers(0, 2**32 - 1))
def test_fit_is_scipys_bounded_minimum(n, num_classes, log_scale, seed):
    generator = np.random.default_rng(seed)
    logits = np.exp(log_scale) * generator.normal(size=(n, num_classes))
    references = generator.integers(num_classes, size=n)
    fit = fit_temperature(logits, references)
    scipys = minimize_scalar(
        lambda b: likelihood(logits, references, np.exp(-b)),
        bounds=(-20, 20),
        method="bounded",
        options={"xatol": 1e-10},
    )
    assert fit.negative_log_likelihood_before == pytest.approx(likelihood(logits, references, 1.0))
    if fit.reason:
        assert np.isnan(fit.temperature)
        at_limit = pytest.approx(np.log(num_classes)), pytest.approx(0.0, abs=1e-9)  # NLL is flat long before its end
        assert abs(scipys.x) > 15 or scipys.fun in at_limit
        return
    assert fit.negative_log_likelihood_after == pytest.approx(scipys.fun, rel=1e-9)
    assert fit.negative_log_likelihood_after <= fit.negative_log_likelihood_before + 1e-12
    if abs(scipys.x) < 10:
        assert fit.temperature == pytest.approx(np.exp(-scipys.x), rel=1e-3)


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_a_known_temperature_is_recovered_and_calibrates_other_samples(temperature):
    fit = fit_temperature(*simulated(20_000, temperature, seed=1))
    assert fit.temperature == pytest.approx(temperature, rel=0.03)
    logits, references = simulated(20_000, temperature, seed=2)
    top = top_label(apply_temperature(logits, fit), references)
    ece = expected_calibration_error(top.per_sample_confidence, top.per_sample_correct)
    assert ece.expected_calibration_error < 2 * ece.ece_if_calibrated


def test_the_slope_of_the_likelihood_is_zero_at_the_fit():
    logits, references = simulated(500, 1.7)
    fit = fit_temperature(logits, references)
    p = softmax(logits / fit.temperature, axis=1)
    slope = (p * logits).sum(axis=1) - logits[np.arange(500), references]
    assert slope.mean() == pytest.approx(0.0, abs=1e-10)
    scores = negative_log_likelihood(apply_temperature(logits, fit.temperature), references)
    assert fit.negative_log_likelihood_after == pytest.approx(scores.mean, rel=1e-9)
    assert fit.n == 500


@settings(max_examples=20, deadline=None)
@given(st.floats(-1e3, 1e3), st.floats(1e-3, 1e3), st.randoms(use_true_random=False))
def test_shifts_and_order_change_nothing_and_scale_moves_through(shift, scale, random):
    logits, references = simulated(80, 1.3)
    fit = fit_temperature(logits, references)
    order = list(range(80))
    random.shuffle(order)
    other = fit_temperature((scale * logits + shift)[order], references[order])
    assert other.temperature == pytest.approx(scale * fit.temperature, rel=1e-6)
    assert other.negative_log_likelihood_after == pytest.approx(fit.negative_log_likelihood_after, rel=1e-7)


@pytest.mark.parametrize("scale", [1e-100, 1e-10, 1e10, 1e100])
def test_temperature_follows_logits_of_any_scale(scale):
    logits, references = simulated(50, 1.0)
    expected = fit_temperature(logits, references)
    fit = fit_temperature(scale * logits, references)
    assert fit.temperature == pytest.approx(scale * expected.temperature, rel=1e-6)
    assert fit.negative_log_likelihood_after == pytest.approx(expected.negative_log_likelihood_after, rel=1e-9)


SEPARABLE = "the true class has the largest logit in every sample"
UNINFORMED = "true classes have no larger logits than others on average"
CONSTANT = "all classes of a sample have the same logit"


@pytest.mark.parametrize(
    ("logits", "references", "reason"),
    [
        ([[2.0, 0.0], [0.0, 1.0]], [0, 1], SEPARABLE),
        ([[2.0, 2.0, 0.0], [0.0, 1.0, 0.0]], [0, 1], SEPARABLE),  # a tie of the true class is not wrong
        ([[0.0, 2.0], [1.0, 0.0]], [0, 1], UNINFORMED),
        ([[0.0, 1.0], [0.0, 1.0]], [0, 1], UNINFORMED),  # right half the time: a slope of exactly zero at T = infinity
        ([[0.3, 0.3, 0.3]] * 4, [0, 1, 2, 0], CONSTANT),
        ([[1e6, 1e6], [-3.0, -3.0]], [0, 1], CONSTANT),
        ([[5.0], [7.0]], [0, 0], CONSTANT),
        ([[1e-200, 0.0], [0.0, 1e-200]], [0, 0], CONSTANT),
        ([[1.0, 0.0]], [0], SEPARABLE),
        ([[1.0, 0.0]], [1], UNINFORMED),
        ([[1e308, -1e308], [-1e308, 1e308]], [0, 1], SEPARABLE),
        ([[1e308, -1e308], [-1e308, 1e308]], [1, 0], UNINFORMED),
    ],
)
def test_degenerate_data_has_no_temperature_and_a_reason(logits, references, reason):
    fit = fit_temperature(logits, references)
    assert np.isnan(fit.temperature)
    assert np.isnan(fit.negative_log_likelihood_after)
    assert np.isfinite(fit.negative_log_likelihood_before)
    assert fit.reason.startswith(reason)
    with pytest.raises(ValueError, match=f"fit_or_temperature has no temperature to apply: {reason}"):
        apply_temperature([[1.0, 2.0]], fit)


def test_one_error_among_many_has_a_small_but_finite_temperature():
    logits = np.vstack([np.tile([30.0, 0.0], (999, 1)), [[1e-3, 0.0]]])
    fit = fit_temperature(logits, [0] * 999 + [1])
    assert 0 < fit.temperature < 5
    assert fit.negative_log_likelihood_after < fit.negative_log_likelihood_before


def test_small_blocks_change_nothing(monkeypatch):
    logits, references = simulated(50, 1.5)
    expected = fit_temperature(logits, references)
    monkeypatch.setattr(module, "BLOCK_BYTES", 200)
    fit = fit_temperature(logits, references)
    assert fit.temperature == pytest.approx(expected.temperature, rel=1e-9)
    assert fit.logits_digest == expected.logits_digest


# --- apply ---


def test_apply_is_the_softmax_of_the_quotient():
    logits, _ = simulated(30, 1.0)
    np.testing.assert_allclose(apply_temperature(logits, 1.7), softmax(logits / 1.7, axis=1), rtol=1e-12)
    np.testing.assert_array_equal(apply_temperature([[0.0, 1.0]], 1e-320), [[0.0, 1.0]])


@pytest.mark.parametrize(
    "form",
    [
        np.asfortranarray,
        lambda x: x.astype(np.float64),
        torch.tensor,
        lambda x: x.tolist(),
        lambda x: np.where(x == 0.0, -0.0, x),
    ],
)
def test_the_logits_of_the_fit_are_refused_in_any_form_and_others_are_not(form):
    logits, references = simulated(40, 1.5)
    logits = logits.astype(np.float32)
    logits[0, 0] = 0.0
    fit = fit_temperature(logits, references)
    with pytest.raises(ValueError, match="logits are the ones that the temperature was fitted on"):
        apply_temperature(form(logits), fit)
    allowed = apply_temperature(form(logits), fit, allow_fitting_data=True)
    np.testing.assert_allclose(allowed, softmax(logits.astype(float) / fit.temperature, axis=1), rtol=1e-9)
    np.testing.assert_array_equal(apply_temperature(form(logits), fit.temperature), allowed)
    logits[3, 2] += 1e-3
    assert apply_temperature(form(logits), fit).shape == (40, 6)
    assert apply_temperature(form(logits)[:20], fit).shape == (20, 6)


@pytest.mark.parametrize("temperature", [0.0, -1.0, np.nan, np.inf, "1", None, True, [1.0]])
def test_what_is_no_temperature_is_refused(temperature):
    with pytest.raises(ValueError, match="fit_or_temperature must be a TemperatureFit or a positive, finite number"):
        apply_temperature([[1.0, 2.0]], temperature)


def test_a_fit_prints_without_its_digest_and_is_json_able():
    fit = fit_temperature(*simulated(40, 1.5))
    assert str(fit).startswith("TemperatureFit: temperature = ")
    assert "digest" not in str(fit)
    assert json.loads(json.dumps(fit.to_dict()))["logits_digest"] == fit.logits_digest
