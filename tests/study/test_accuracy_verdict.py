"""A verdict claims no more than its data carry; numbers are checked on real networks and pictures."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from hf_sslgen.commands import zoo_check
from hf_sslgen.errors import InputError
from hf_sslgen.study.verification.accuracy_verdict import judge
from hf_sslgen.study.verification.frozen_accuracy import MeasuredAccuracy
from hf_sslgen.study.verification.measurement_differences import Difference
from hf_sslgen.study.verification.published_numbers import PublishedNumber, SourceSplits, published_numbers
from hf_sslgen.zoo.backbone_registry import find_backbone

PUBLISHED = PublishedNumber("knn", 60.0, "its README", SourceSplits("imagenet1k", 1000, 1_281_167))
FEWER = Difference("10,000 training images instead of 1,281,167", "lower")
EASIER = Difference("100 classes instead of 1,000", "higher")
OTHER = Difference("input of 64 px instead of 224", "unknown")
HEAD = Difference("the published classifier was trained on augmented pictures", "unknown", 2.0)


def measured(top1: float, half: float = 0.4) -> MeasuredAccuracy:
    return MeasuredAccuracy("knn", top1, top1 - half, top1 + half, 50_000, 1_281_167, "k = 20")


@pytest.mark.parametrize(
    ("top1", "half", "differences", "status", "off_by"),
    [
        (60.3, 0.4, [], "pass", 0.0),
        (58.0, 0.4, [], "fail", -1.55),
        (62.0, 0.4, [], "fail", 1.55),
        (58.0, 0.4, [HEAD], "pass", 0.0),
        (55.0, 0.4, [HEAD], "fail", -2.55),
        (58.0, 6.0, [], "not comparable", 0.0),
        (30.0, 0.4, [FEWER], "not comparable", -29.55),
        (62.0, 0.4, [FEWER], "pass", 1.55),
        (80.0, 0.4, [EASIER], "not comparable", 19.55),
        (50.0, 0.4, [EASIER], "fail", -9.55),
        (50.0, 0.4, [EASIER, FEWER], "not comparable", -9.55),
        (60.0, 0.4, [OTHER], "not comparable", 0.0),
        (10.0, 0.4, [OTHER], "not comparable", -49.55),
    ],
)
def test_a_verdict_follows_from_interval_and_protocol(
    top1: float, half: float, differences: list[Difference], status: str, off_by: float
) -> None:
    verdict = judge(measured(top1, half), PUBLISHED, differences)
    assert verdict.status == status, verdict.sentence
    assert verdict.off_by == pytest.approx(off_by)
    assert all(each.words in verdict.sentence for each in differences if each.points is None)


def test_known_protocols_of_published_neighbours() -> None:
    known = {}
    for name in ("dino-resnet50", "lightly-simclr-100ep-resnet50"):
        row = find_backbone(name)
        known[name] = [(each.neighbours, each.temperature) for each in published_numbers(row) if each.measure == "knn"]
    assert known == {"dino-resnet50": [(20, 0.07)], "lightly-simclr-100ep-resnet50": [(200, 0.1)]}


def test_few_pictures_are_not_comparable(shared_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = str(shared_data / "tiny-imagenet-100")
    few = ["--samples_per_class", "3", "--max_eval_samples", "100", "--max_test_samples", "200"]
    zoo_check.main(["twin-resnet18-simclr", "--dataset_name", folder, *few, "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["tensors"] == {"stored": 105, "architecture": 105}
    assert found["preflight"]["findings"] == found["failures"] == []
    knn, linear = found["accuracies"]
    assert knn["published"]["top1"] == pytest.approx(25.96)
    assert knn["measured"]["num_train"] == 400
    assert knn["measured"]["low"] < knn["measured"]["top1"] < knn["measured"]["high"]
    assert knn["verdict"]["status"] == "not comparable"
    assert "400 training images instead of 30,000" in knn["verdict"]["sentence"]
    assert linear["published"] is None
    assert linear["verdict"] is None


def test_other_pictures_say_nothing(image_folder: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    folder = image_folder({"train": 4, "test": 2})
    zoo_check.main(["twin-resnet18-simclr", "--dataset_name", str(folder), "--neighbours", "3", "--linear", "False"])
    out = " ".join(capsys.readouterr().out.split())
    assert "not comparable: the protocols differ in ways that may lead anywhere: other images" in out


def test_a_backbone_without_pictures(small_backbones: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    zoo_check.main([small_backbones["transformers_resnet"]])
    out = capsys.readouterr().out
    assert "accuracy   not measured" in out
    assert "tensors" in out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["twin-resnet18-simclr", "--max_test_samples", "3"], "dataset_name is missing"),
        (["twin-resnet18-simclr", "--registered_backbone", "dino-resnet5"], "did you mean 'dino-resnet50'"),
        (["--neighbours", "3"], "name is missing"),
    ],
)
def test_wrong_arguments_are_refused(words: list[str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        zoo_check.main(words)
