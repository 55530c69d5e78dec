"""A finished classifier on data sets that name its classes in another order, some of them, or others."""

import json

import pytest

from hf_sslgen.command_line import run_command
from tests.support.colours import write_classifier, write_folder

SMALL = ["--reinitialised_control", "false", "--max_subset", "12"]


@pytest.fixture(scope="module")
def classifier(small_backbones, tmp_path_factory):
    """Knows dog, cat and owl, in this order."""
    return write_classifier(
        small_backbones["timm_resnet"], tmp_path_factory.mktemp("classifier") / "model", ["dog", "cat", "owl"]
    )


def analysed(classifier, data, output, *options):
    command = ["--model_name_or_path", str(classifier), "--dataset_name", str(data), "--output_dir", str(output)]
    run_command("hf_sslgen.commands.analyze", [*command, *SMALL, *options])
    numbers = json.loads((output / "results.json").read_text())["numbers"]
    return {row["metric"]: row for row in numbers}, json.loads((output / "cell.json").read_text())


def test_classes_are_found_by_name(classifier, tmp_path):
    data = write_folder(tmp_path / "data", ["cat", "dog", "owl"], {"train": 3, "test": 4})
    numbers, cell = analysed(classifier, data, tmp_path / "named")
    assert numbers["accuracy"]["value"] == 1.0 and numbers["accuracy"]["n"] == 12
    assert cell["identity"]["class_names"] == ["cat", "dog", "owl"]
    kept = json.loads((classifier / "config.json").read_text())
    assert kept["label_names"] == ["dog", "cat", "owl"]
    swapped = {"cat": "dog", "dog": "cat", "owl": "owl"}  # the folder cat holds dogs: wrong, and seen to be
    data = write_folder(tmp_path / "wrong", swapped, {"train": 3, "test": 4})
    numbers, other = analysed(classifier, data, tmp_path / "swapped")
    assert numbers["accuracy"]["value"] == pytest.approx(1 / 3)
    assert other["identity"] != cell["identity"]


def test_other_classes_are_refused_or_measured_where_they_are_shared(classifier, tmp_path, capsys):
    data = write_folder(tmp_path / "data", ["cat", "fox", "owl"], {"train": 3, "test": 5})
    command = ["--model_name_or_path", str(classifier), "--dataset_name", str(data), *SMALL]
    with pytest.raises(SystemExit) as stopped:
        run_command("hf_sslgen.commands.analyze", [*command, "--output_dir", str(tmp_path / "refused")])
    assert stopped.value.code == 2
    message = capsys.readouterr().err
    assert "'dog', 'cat', 'owl'" in message and "'cat', 'fox', 'owl'" in message
    numbers, cell = analysed(classifier, data, tmp_path / "shared", "--match_classes", "shared")
    assert (numbers["accuracy"]["value"], numbers["accuracy"]["n"]) == (1.0, 10)
    assert cell["provenance"]["class_names"] == ["cat", "owl"]
    assert any("left out 'fox' (5 test images)" in note for note in cell["provenance"]["notes"])
    assert any("left out 'dog'" in note for note in cell["provenance"]["notes"])
    with pytest.raises(SystemExit):
        alone = write_folder(tmp_path / "alone", ["cat", "fox"], {"train": 3, "test": 5})
        analysed(classifier, alone, tmp_path / "none", "--match_classes", "shared")
    assert "at least two names must be the same" in capsys.readouterr().err
