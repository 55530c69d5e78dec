"""Every command prints what it took of a folder and what it left out, and keeps the same with what it computed."""

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hf_sslgen.command_line import run_command
from hf_sslgen.commands import run_compare, run_study
from hf_sslgen.domains.class_restriction import with_classes
from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.domains.domain_loading import load_domain
from tests.support.coloured_pictures import Kind, write_picture

KEPT = {
    "name": "pets",
    "label_column": "the names of folders",
    "class_names": ["bee", "cat", "dog", "owl"],
    "splits": [
        {"role": "train", "split": "train", "images": 18, "class_counts": [4, 10, 4, 0]},
        {"role": "validation", "split": "train", "images": 5, "class_counts": [1, 3, 1, 0]},
        {"role": "test", "split": "test", "images": 9, "class_counts": [0, 4, 3, 2]},
    ],
    "carved": ["validation: a stratified 20% of 'train' (seed 0)"],
    "left_out": [
        {"what": "pictures in 'prints', which is not a split", "count": 2},
        {"what": "hidden pictures", "count": 1},
        {"what": "pictures in the hidden folder 'train/cat/.old'", "count": 2},
        {"what": ".heic files", "count": 3},
        {"what": ".txt files", "count": 2},
        {"what": ".zip archives", "count": 1},
        {"what": "class folders without pictures: train/ant", "count": 1},
    ],
    "remarks": [
        "3 pictures lie in folders below their class's, such as 'train/cat/kittens', and belong to that class"
    ],
    "untrained_classes": ["owl"],
    "untested_classes": ["bee"],
}

PRINTED = """\
pets: train 18 images ('train'), validation 5 images ('train'), test 9 images ('test')
  4 classes, from the names of folders: bee (4), cat (10), dog (4), owl (0)
  validation: a stratified 20% of 'train' (seed 0)
  3 pictures lie in folders below their class's, such as 'train/cat/kittens', and belong to that class
  classes without training images: owl
  classes without test images: bee
  left out: pictures in 'prints', which is not a split (2); hidden pictures (1); pictures in the hidden folder \
'train/cat/.old' (2); .heic files (3); .txt files (2); .zip archives (1); class folders without pictures: \
train/ant (1)
"""


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    """A folder with one of everything that people's folders have."""
    root = tmp_path / "pets"
    counts = {
        **{"train/bee": 5, "train/cat": 10, "train/cat/kittens": 3, "train/dog": 5},
        **{"test/cat": 4, "test/dog": 3, "test/owl": 2, "prints": 2, "train/cat/.old": 2},
    }
    for split, (folder, count) in enumerate(counts.items()):
        for number in range(count):
            write_picture(root / folder / f"{number}.png", Kind(split, 10 * split, 10 * number))
    write_picture(root / "test" / "dog" / ".thumbnail.png", Kind(0, 0, 0))
    (root / "train" / "ant").mkdir()
    for name in ("ant/1.heic", "ant/2.HEIC", "dog/3.heic", "dog/notes.txt", "notes.txt"):
        (root / "train" / name).write_bytes(b"x")
    zipfile.ZipFile(root / "train.zip", "w").close()
    return root


FOUND = "pets: 4 classes, 23 train and 9 test images; held out of train: 20% for validation\n"
"""The first line of a command, before anything is loaded."""


def kept_with(cell: Path) -> dict[str, Any]:
    return json.loads((cell / "cell.json").read_text())["provenance"]["taken"]


def test_finetune_and_analyze(
    pets: Path, small_backbones: dict[str, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    domain, run = ["--dataset_name", str(pets)], tmp_path / "run"
    options = [*domain, "--use_cpu", "--max_steps", "1", "--output_dir", str(run)]
    run_command("hf_sslgen.commands.finetune", ["--model_name_or_path", small_backbones["timm_resnet"], *options])
    assert PRINTED in capsys.readouterr().out
    assert json.loads((run / "run.json").read_text())["taken"].items() >= KEPT.items()
    options = [*domain, "--figures", "false", "--output_dir", str(tmp_path / "measured")]
    run_command("hf_sslgen.commands.analyze", ["--model_name_or_path", str(run), *options])
    assert PRINTED in capsys.readouterr().out
    assert kept_with(tmp_path / "measured").items() >= KEPT.items()


def test_a_study_says_it_once_for_all_cells(
    pets: Path, study_content: Callable[..., dict[str, Any]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = study_content(
        domains=[str(pets)], protocols=[{"preset": "dino-knn", "neighbours": [1]}], label_fractions=[1, 0.5]
    )
    (tmp_path / "study.yaml").write_text(json.dumps(content))
    options = [str(tmp_path / "study.yaml"), "--output_dir", str(tmp_path / "out"), "--write_report", "false"]
    half = "pets: train 7 images ('train'), validation 3 images ('train'), test 9 images ('test')\n"
    for _ in ("computed", "found"):
        run_command("hf_sslgen.commands.study", options)
        said = capsys.readouterr().out
        assert said.startswith(FOUND)
        assert said[said.index("pets: train ") :] == PRINTED + half
    of_all = [
        taken for cell in (tmp_path / "out" / "cells").iterdir() if len((taken := kept_with(cell))["carved"]) == 1
    ]
    assert of_all and all(taken["splits"] == KEPT["splits"] for taken in of_all)
    assert KEPT["carved"] in [taken["carved"] for taken in of_all]


def test_it_is_said_before_anything_is_computed(
    pets: Path,
    study_content: Callable[..., dict[str, Any]],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    said: list[str] = []

    def compute(*_: Any, **__: Any) -> None:
        said.append(capsys.readouterr().out)

    monkeypatch.setattr(run_study, "run_processes", compute)
    monkeypatch.setattr(run_compare, "run_worker", compute)
    (tmp_path / "study.yaml").write_text(json.dumps(study_content(domains=[str(pets)])))
    output_dir = ["--output_dir", str(tmp_path / "out")]
    run_command("hf_sslgen.commands.study", [str(tmp_path / "study.yaml"), *output_dir, "--workers", "2"])
    options = ["--dataset_name", str(pets), "--twin_set", "resnet18-tiny-imagenet-100"]
    with pytest.raises(SystemExit):  # no cell was computed
        run_command("hf_sslgen.commands.compare", [*options, "--output_dir", str(tmp_path / "compared")])
    assert [each.startswith(FOUND) and PRINTED in each for each in said] == [True, True]


def test_the_classes_that_are_left_are_counted_anew(pets: Path) -> None:
    taken = with_classes(load_domain(DomainArguments(str(pets))), ["cat", "dog"]).taken
    assert [(split.images, split.class_counts) for split in taken.splits] == [(14, (10, 4)), (4, (3, 1)), (7, (4, 3))]
    assert taken.class_names == ("cat", "dog") and taken.carved[-1].startswith("classes: 2 of 4")
