"""`hf-sslgen zoo check` on a shipped twin and its real source images."""

import json
from pathlib import Path

import pytest

from hf_sslgen.commands.zoo import main
from hf_sslgen.errors import InputError

TWIN = "twin-resnet18-simclr"


@pytest.mark.slow
def test_a_few_source_images_are_not_comparable(shared_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = str(shared_data / "tiny-imagenet-100")
    main(["check", TWIN, "--dataset_name", source, "--max_train_samples", "200", "--max_eval_samples", "100",
          "--max_test_samples", "200", "--linear", "false", "--json"])  # fmt: skip
    found = json.loads(capsys.readouterr().out)
    assert found["tensors"] == {"stored": 105, "architecture": 105}
    (knn,) = found["accuracies"]
    assert knn["published"]["top1"] == 25.96
    assert knn["verdict"]["status"] == "not comparable"
    assert "300 training images instead of 30,000" in knn["verdict"]["sentence"]


@pytest.mark.slow
def test_all_source_images_give_the_published_accuracy(shared_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = str(shared_data / "tiny-imagenet-100")
    main(["check", TWIN, "--dataset_name", source, "--linear", "false", "--json"])
    (knn,) = json.loads(capsys.readouterr().out)["accuracies"]
    assert knn["measured"]["top1"] == pytest.approx(25.96, abs=0.05)
    assert knn["verdict"]["status"] == "pass"


def test_without_labels_nothing_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    main(["check", TWIN])
    said = capsys.readouterr().out
    assert "105 of the trunk, as many as its architecture has" in said
    assert "1,592,336 of the trunk" in said
    assert "give labelled source images with --dataset_name" in said
    for options, message in (
        ([f"untrained:{TWIN}"], "has no published weights"),
        ([TWIN, "--write"], "is not a folder of yours"),
        ([TWIN, "--published_of", "dino-resnet50"], "the registry states 23,508,032 for dino-resnet50"),
        ([TWIN, "--published_of", "dino-resnet5"], "did you mean 'dino-resnet50'"),
    ):
        with pytest.raises(InputError, match=message):
            main(["check", *options])
