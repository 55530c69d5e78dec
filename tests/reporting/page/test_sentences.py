"""Sentences say what the stored interval allows, and no more."""

import pytest

from hf_sslgen.reporting.page.sentences import sentence
from tests.support.target_differences import changed, target_difference

NAN = float("nan")
LOWER = target_difference(value=-0.081, low=-0.102, high=-0.060)
HIGHER = changed(LOWER, value=0.081, low=0.060, high=0.102)
UNDECIDED = changed(LOWER, value=0.004, low=-0.011, high=0.019)
UNMEASURED = changed(LOWER, value=NAN, low=NAN, high=NAN, reason="no map has positive evidence in both")


def test_decided_sentence_states_direction_size_interval_and_images() -> None:
    setting = "On cifar10 (similar to the source), linear probe: "
    assert sentence(LOWER) == setting + (
        "simclr-x is less accurate than sup-x by 8.1 points (95% interval 6.0 to 10.2, for these weights, "
        "on these 2,000 images)."
    )
    assert sentence(HIGHER) == setting + (
        "simclr-x is more accurate than sup-x by 8.1 points (95% interval 6.0 to 10.2, for these weights, "
        "on these 2,000 images)."
    )


def test_interval_that_includes_zero_is_undecided() -> None:
    text = sentence(UNDECIDED, with_setting=False)
    assert text.startswith("undecided: ")
    assert "0.4 points (95% interval −1.1 to 1.9" in text
    assert "more accurate" not in text and "less accurate" not in text


@pytest.mark.parametrize(("low", "high"), [(0.0, 0.02), (-0.02, 0.0), (NAN, NAN)])
def test_no_direction_without_an_interval_that_excludes_zero(low: float, high: float) -> None:
    text = sentence(changed(HIGHER, low=low, high=high), with_setting=False)
    assert text.startswith("undecided: ")


def test_what_can_not_be_had_says_why() -> None:
    text = sentence(changed(UNMEASURED, metric="gini"))
    assert "not measured" in text and "no map has positive evidence in both" in text
    assert "nan" not in text.lower()


def test_a_bound_near_zero_is_not_written_as_zero() -> None:
    text = sentence(changed(HIGHER, low=0.0002))
    assert "95% interval 0.02 to 10.20" in text


@pytest.mark.parametrize("metric", ["gini", "spatial_spread", "confidence_gap", "zero_map_rate", "mean_confidence"])
def test_numbers_without_a_better_direction_are_not_judged(metric: str) -> None:
    for difference in (HIGHER, LOWER, UNDECIDED):
        text = sentence(changed(difference, metric=metric)).lower()
        assert not any(word in text for word in ("better", "worse", "improve", "outperform", "focus"))
    assert "is higher than that of sup-x" in sentence(changed(HIGHER, metric=metric))


def test_invariance_names_stage_and_transforms() -> None:
    invariance = changed(HIGHER, metric="invariance", protocol="pretrained", transform="mean_geometric")
    text = sentence(invariance)
    assert "pretrained stage" in text and "geometric transforms" in text and "by 0.081" in text
    tuned = changed(invariance, protocol="finetune", stage="fine-tuned", transform="rotation", severity="+20", seed=3)
    assert "rotation +20; fine-tuned stage" in sentence(tuned) and "fine-tuning: " in sentence(tuned)


def test_calibration_error_gets_no_verdict() -> None:
    text = sentence(changed(HIGHER, metric="expected_calibration_error"))
    assert "descriptive and not tested" in text and "higher" not in text


def test_seeds_and_episodes_are_named() -> None:
    seeds = changed(LOWER, protocol="finetune", num_seeds=3)
    assert "on these 2,000 images, mean of 3 fine-tuning seeds)" in sentence(seeds)
    runs = changed(LOWER, num_seeds=6, num_pretraining_seeds=2)
    assert "mean of 6 runs from 2 pretraining seeds" in sentence(runs)
    episodes = changed(LOWER, protocol="few-shot", labels="5-shot", n=600, unit="episodes")
    assert sentence(episodes).startswith("On cifar10 (similar to the source), few-shot prototypes, 5-shot: ")
    assert "on these 600 episodes)" in sentence(episodes)
    assert "linear probe, 10% of the labels: " in sentence(changed(LOWER, labels="10%"))
    assert (
        "on cifar10 (similar to the source), my variant: " in sentence(changed(LOWER, protocol="my variant")).lower()
    )


def test_groups_of_images_are_counted() -> None:
    assert "images in 24 groups" in sentence(changed(HIGHER, row_degrees_of_freedom=23.0))
    assert "groups" not in sentence(HIGHER)


def test_lift_says_who_looks_more_at_the_object_only_where_decided() -> None:
    lift = changed(LOWER, metric="lift", value=-0.3, low=-0.5, high=-0.1)
    assert sentence(lift, with_setting=False) == (
        "simclr-x looks less at the object than sup-x: the lift (attribution on the object over its area share) is "
        "lower by 0.30 (95% interval 0.10 to 0.50, for these weights, on these 2,000 images)."
    )
    assert "looks more at the object" in sentence(changed(lift, value=0.3, low=0.1, high=0.5))
    for low, high in ((-0.1, 0.5), (0.0, 0.5), (NAN, NAN)):
        assert "looks" not in sentence(changed(lift, value=0.2, low=low, high=high, reason="few"))
