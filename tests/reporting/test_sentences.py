"""Sentences say what the stored interval allows, and no more."""

from dataclasses import replace

import pytest

from hf_sslgen.reporting.sentences import Tally, answer, sentence, tally
from hf_sslgen.study.pairs import Difference

NAN = float("nan")
LOWER = Difference(
    metric="accuracy",
    first="simclr-x",
    second="sup-x",
    domain="cifar10",
    group="similar",
    protocol="linear",
    stage="pretrained",
    transform="",
    severity="",
    seed=0,
    value=-0.081,
    low=-0.102,
    high=-0.060,
    n=2000,
)
HIGHER = replace(LOWER, value=0.081, low=0.060, high=0.102)
UNDECIDED = replace(LOWER, value=0.004, low=-0.011, high=0.019)
UNMEASURED = replace(LOWER, value=NAN, low=NAN, high=NAN, reason="no map has positive evidence in both")


def test_decided_sentence_states_direction_size_interval_and_images() -> None:
    setting = "On cifar10 (similar to the source), linear probe: "
    assert sentence(LOWER) == setting + (
        "simclr-x is less accurate than sup-x by 8.1 points (95% interval 6.0 to 10.2, on these 2,000 images)."
    )
    assert sentence(HIGHER) == setting + (
        "simclr-x is more accurate than sup-x by 8.1 points (95% interval 6.0 to 10.2, on these 2,000 images)."
    )


def test_interval_that_includes_zero_is_undecided() -> None:
    text = sentence(UNDECIDED, with_setting=False)
    assert text.startswith("undecided: ")
    assert "0.4 points (95% interval −1.1 to 1.9" in text
    assert "more accurate" not in text and "less accurate" not in text


@pytest.mark.parametrize(("low", "high"), [(0.0, 0.02), (-0.02, 0.0), (NAN, NAN)])
def test_no_direction_without_an_interval_that_excludes_zero(low: float, high: float) -> None:
    text = sentence(replace(HIGHER, low=low, high=high), with_setting=False)
    assert text.startswith("undecided: ")


def test_what_can_not_be_had_says_why() -> None:
    text = sentence(replace(UNMEASURED, metric="gini"))
    assert "not measured" in text and "no map has positive evidence in both" in text
    assert "nan" not in text.lower()


def test_a_bound_near_zero_is_not_written_as_zero() -> None:
    text = sentence(replace(HIGHER, low=0.0002))
    assert "95% interval 0.02 to 10.20" in text


@pytest.mark.parametrize("metric", ["gini", "spatial_spread", "confidence_gap", "zero_map_rate", "mean_confidence"])
def test_numbers_without_a_better_direction_are_not_judged(metric: str) -> None:
    for difference in (HIGHER, LOWER, UNDECIDED):
        text = sentence(replace(difference, metric=metric)).lower()
        assert not any(word in text for word in ("better", "worse", "improve", "outperform", "focus"))
    assert "is higher than that of sup-x" in sentence(replace(HIGHER, metric=metric))


def test_invariance_names_stage_and_transforms() -> None:
    invariance = replace(HIGHER, metric="invariance", protocol="pretrained", transform="mean_geometric")
    text = sentence(invariance)
    assert "pretrained stage" in text and "geometric transforms" in text and "by 0.081" in text
    tuned = replace(invariance, protocol="finetune", stage="fine-tuned", transform="rotation", severity="+20", seed=3)
    assert "rotation +20; fine-tuned stage" in sentence(tuned) and "fine-tuning, seed 3" in sentence(tuned)


def test_calibration_error_gets_no_verdict() -> None:
    text = sentence(replace(HIGHER, metric="expected_calibration_error"))
    assert "described and not tested" in text and "higher" not in text


def test_answer_keeps_groups_apart_and_leaves_controls_out() -> None:
    different = replace(HIGHER, domain="eurosat", group="different")
    control = replace(HIGHER, second="untrained-x")
    lines = answer([LOWER, different, control], controls={"untrained-x"})
    similar_line = next(line for line in lines if line.startswith("On domains similar"))
    different_line = next(line for line in lines if line.startswith("On domains significantly different"))
    assert "cifar10" in similar_line and "less accurate" in similar_line and "(1 comparison)" in similar_line
    assert "eurosat" in different_line and "more accurate" in different_line
    assert any("Fewer than 3 domains" in line for line in lines)


def test_answer_says_undecided_and_mixed() -> None:
    assert "undecided" in answer([UNDECIDED])[0]
    lines = answer([LOWER, replace(HIGHER, domain="pets"), replace(UNDECIDED, domain="flowers")])
    assert "mixed (of 3 comparisons, its accuracy is higher in 1, lower in 1, undecided in 1)" in lines[0]
    assert "not an inference to other domains" in lines[-1]


def test_answer_uses_the_accuracy_the_domain_is_judged_by() -> None:
    per_class = replace(LOWER, metric="mean_per_class_accuracy")
    lines = answer([HIGHER, per_class], headline_metrics={"cifar10": "mean_per_class_accuracy"})
    assert "less accurate" in lines[0] and "more accurate" not in lines[0]
    assert "No accuracy" in answer([replace(LOWER, metric="gini")])[0]


def test_seeds_that_disagree_are_one_undecided_comparison() -> None:
    seeds = [replace(HIGHER, protocol="finetune", seed=seed) for seed in (0, 1)]
    assert tally(seeds) == Tally(1, 0, 0)
    assert tally([*seeds, replace(LOWER, protocol="finetune", seed=2)]) == Tally(0, 0, 1)
