"""One number of a result, with all that belongs to it."""

import math

import pytest

from hf_sslgen.metrics import (
    Estimate,
    accuracy,
    debiased_calibration_error,
    expected_calibration_error,
    prediction_confidence,
    top_k_accuracy,
)
from hf_sslgen.metrics.comparison import estimate_of

P, Y = [0.9, 0.8, 0.7, 0.6] * 30, [1, 1, 0, 1] * 30

RESULTS = {
    "accuracy": accuracy([0, 1, 1] * 40, [0, 1, 0] * 40, num_classes=2),
    "confidence": prediction_confidence(P, Y),
    "all right": prediction_confidence(P, [1] * 120),
    "binned": expected_calibration_error(P, Y),
    "debiased": debiased_calibration_error([0.9], [1]),
    "few classes": top_k_accuracy([[0.25, 0.75]], [1], k=5),
}


@pytest.mark.parametrize("name", RESULTS)
def test_an_estimate_says_of_a_number_what_the_dictionary_says(name: str) -> None:
    result = RESULTS[name]
    values = result.to_dict()
    for field in (field for field, value in values.items() if isinstance(value, float)):
        estimate = estimate_of(result, field)
        low, high = values.get(f"{field}_interval", (math.nan, math.nan))
        reason = values.get("reason", "") if math.isnan(values[field]) else ""
        expected = Estimate(values[field], low, high, values["n"], reason)
        assert str(estimate) == str(expected)
        assert vars(estimate) == pytest.approx(vars(expected), nan_ok=True)


def test_why_a_number_is_undefined_goes_with_it_alone() -> None:
    result = RESULTS["all right"]
    assert estimate_of(result, "auroc").reason.startswith("every prediction is correct")
    assert estimate_of(result, "mean_confidence").reason == ""
    assert not math.isnan(estimate_of(result, "mean_confidence").low)
