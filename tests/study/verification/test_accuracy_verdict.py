"""A verdict on a published accuracy claims no more than data and protocol allow."""

import math

import pytest

from hf_sslgen.study.verification.accuracy_verdict import judge
from hf_sslgen.study.verification.frozen_accuracy import MeasuredAccuracy
from hf_sslgen.study.verification.published_differences import Difference
from hf_sslgen.study.verification.published_numbers import IMAGENET, published_numbers
from hf_sslgen.zoo.backbone_registry import find_backbone

(PUBLISHED,) = published_numbers(find_backbone("twin-resnet18-simclr"))
FEWER = Difference("fewer images", "lower")
EASIER = Difference("fewer classes", "higher")
OTHER = Difference("other images", "unknown")
HEAD = Difference("another head", "unknown", 2.0)


def measured(low: float, high: float) -> MeasuredAccuracy:
    return MeasuredAccuracy("knn", (low + high) / 2, low, high, 2500, 30_000, "")


@pytest.mark.parametrize(
    ("low", "high", "differences", "status"),
    [
        (24.2, 27.7, [], "pass"),
        (18.0, 21.0, [], "fail"),
        (30.0, 33.0, [], "fail"),
        (21.5, 24.5, [], "fail"),
        (21.5, 24.5, [HEAD], "pass"),
        (18.0, 21.0, [HEAD], "fail"),
        (18.0, 21.0, [FEWER], "not comparable"),
        (24.2, 27.7, [FEWER], "pass"),
        (30.0, 33.0, [FEWER], "pass"),
        (18.0, 21.0, [EASIER], "fail"),
        (24.2, 27.7, [EASIER], "not comparable"),
        (30.0, 33.0, [EASIER], "not comparable"),
        (18.0, 21.0, [FEWER, EASIER], "not comparable"),
        (24.2, 27.7, [OTHER], "not comparable"),
        (15.0, 35.0, [], "not comparable"),
        (math.nan, math.nan, [], "not comparable"),
    ],
)
def test_verdicts(low: float, high: float, differences: list[Difference], status: str) -> None:
    verdict = judge(measured(low, high), PUBLISHED, differences)
    assert verdict.status == status
    if status == "fail":
        assert verdict.off_by == pytest.approx(
            high - PUBLISHED.top1 + 0.05 + (2.0 if HEAD in differences else 0.0)
            if high < PUBLISHED.top1
            else low - PUBLISHED.top1 - 0.05
        )


def test_published_numbers_are_those_of_frozen_features() -> None:
    assert (PUBLISHED.top1, PUBLISHED.neighbours, PUBLISHED.splits.num_train) == (25.96, 20, 30_000)
    found = {number.measure: number for number in published_numbers(find_backbone("dino-resnet50"))}
    assert (found["knn"].top1, found["linear"].top1) == (67.5, 75.3)
    assert found["knn"].splits.name == IMAGENET
    assert (found["knn"].splits.num_classes, found["knn"].splits.num_train) == (1000, 1_281_167)
    assert (found["knn"].neighbours, found["linear"].neighbours) == (20, None)
