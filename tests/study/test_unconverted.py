"""Backbones that are registered but not converted yet: refused where they are named, left out of a set, and told."""

import csv
import html
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_zoo import SMALL_ROWS, SMALL_SET, put_converted, use_small_zoo

from hf_sslgen.command_line import run_command
from hf_sslgen.errors import InputError
from hf_sslgen.study.cells.store import Store
from hf_sslgen.study.config import parse_study
from hf_sslgen.study.plan import expand
from hf_sslgen.study.progress import planned_cells
from hf_sslgen.study.unconverted import require_converted, unconverted_rows

STUDY, COMPARE, STATUS, REPORT = (f"hf_sslgen.commands.{name}" for name in ("study", "compare", "status", "report"))
SUPERVISED, SIMCLR, BYOL = SMALL_ROWS
LEFT_OUT = f"1 of the 3 backbones of twin set {SMALL_SET} is not converted yet and left out here: {BYOL}."
COMMAND = f"Run `hf-sslgen zoo convert {BYOL}`, then the study or comparison again; finished cells are kept."


Capture = pytest.CaptureFixture[str]


@pytest.fixture
def small_zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    use_small_zoo(tmp_path, monkeypatch, 32, {})


@pytest.fixture
def of_set(study_content: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    return study_content(backbones=[{"twin_set": SMALL_SET}], seeds=[0], untrained_control=True)


def refused(module: str, options: list[str], capsys: Capture) -> str:
    with pytest.raises(SystemExit) as stopped:
        run_command(module, options)
    assert stopped.value.code == 2
    (message,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    return message


def missing_of(folder: Path) -> list[str]:
    path = folder / "missing.csv"
    return [row["missing"] for row in csv.DictReader(path.open())] if path.exists() else []


@pytest.mark.usefixtures("small_zoo")
def test_all_missing_backbones_are_named_before_anything_is_computed(
    study_file: Callable[..., Path],
    small_backbones: dict[str, str],
    tmp_path: Path,
    capsys: Capture,
) -> None:
    put_converted(SIMCLR, small_backbones["timm_resnet"])
    study = study_file(backbones=[SUPERVISED, SIMCLR, f"untrained:{BYOL}"])
    message = refused(STUDY, [str(study), "--output_dir", str(tmp_path / "out")], capsys)
    assert f"backbones: 2 are published in another format and not converted yet: {SUPERVISED}, {BYOL};" in message
    assert f"run `hf-sslgen zoo convert {SUPERVISED} {BYOL}`" in message
    options = ["--dataset_name", "digits", "--backbones", SUPERVISED, BYOL, "--output_dir", str(tmp_path / "out")]
    assert f"run `hf-sslgen zoo convert {SUPERVISED} {BYOL}`" in refused(COMPARE, options, capsys)
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("small_zoo")
def test_an_organisation_on_the_hub_has_them_all(monkeypatch: pytest.MonkeyPatch) -> None:
    assert [row.id for row in unconverted_rows([BYOL, f"untrained:{SIMCLR}", "timm/resnet50.tv_in1k", BYOL])] == [
        BYOL,
        SIMCLR,
    ]
    monkeypatch.setenv("HF_SSLGEN_ZOO_ORGANIZATION", "somebody")
    assert unconverted_rows([BYOL, SIMCLR]) == ()


@pytest.mark.usefixtures("small_zoo")
def test_a_set_of_which_nothing_is_converted_can_be_planned_but_not_run(
    of_set: dict[str, Any], tmp_path: Path
) -> None:
    config = parse_study(of_set, "study")
    assert [entry.name for entry in config.left_out] == [*SMALL_ROWS, f"untrained:{SUPERVISED}"]
    assert len(expand(config, with_left_out=True)) == 4 * 2  # three rows and the untrained control
    assert planned_cells(config, Store(tmp_path)) == expand(config)
    with pytest.raises(InputError, match=f"hf-sslgen zoo convert {' '.join(SMALL_ROWS)}"):
        require_converted(config.backbones or config.left_out)


@pytest.mark.usefixtures("small_zoo")
def test_exclusions_and_pairs_may_name_what_is_left_out(
    of_set: dict[str, Any], small_backbones: dict[str, str]
) -> None:
    put_converted(SUPERVISED, small_backbones["timm_resnet"])
    put_converted(SIMCLR, small_backbones["timm_vit"])
    content = {**of_set, "exclude": [{"backbone": BYOL, "protocol": "linear"}], "pairs": [[BYOL, SUPERVISED]]}
    config = parse_study(content, "study")
    assert {spec.backbone.name for spec in expand(config)} == {SUPERVISED, SIMCLR, f"untrained:{SUPERVISED}"}


@pytest.mark.usefixtures("small_zoo")
def test_a_set_is_completed_later_and_finished_cells_stay(
    of_set: dict[str, Any],
    small_backbones: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Capture,
) -> None:
    put_converted(SUPERVISED, small_backbones["timm_resnet"])
    put_converted(SIMCLR, small_backbones["timm_vit"])
    (tmp_path / "study.yaml").write_text(json.dumps(of_set))
    folder = tmp_path / "out"
    run = [str(tmp_path / "study.yaml"), "--output_dir", str(folder)]
    run_command(STUDY, run)
    said = capsys.readouterr().out
    assert said.count(f"{LEFT_OUT} {COMMAND}") == 2  # before and after the work
    assert missing_of(folder) == [f"{LEFT_OUT} {COMMAND}"]
    assert html.escape(LEFT_OUT) in (folder / "report" / "index.html").read_text()
    run_command(STATUS, [str(folder)])
    assert LEFT_OUT in capsys.readouterr().out
    before = {path.name: path.stat().st_mtime_ns for path in (folder / "cells").iterdir()}
    assert len(before) == 3 * 2

    put_converted(BYOL, small_backbones["timm_vit"])
    run_command(STUDY, run)
    after = {path.name: path.stat().st_mtime_ns for path in (folder / "cells").iterdir()}
    assert len(after) == 4 * 2 and before.items() <= after.items()
    assert "left out" not in capsys.readouterr().out and missing_of(folder) == []

    monkeypatch.setenv("HF_SSLGEN_ZOO", str(tmp_path / "elsewhere"))  # another machine, which reports what is there
    run_command(REPORT, [str(folder)])
    assert "left out" not in capsys.readouterr().out and missing_of(folder) == []
    with (folder / "results.csv").open() as file:
        assert {row["backbone"] for row in csv.DictReader(file)} >= {*SMALL_ROWS}
    run_command(STATUS, [str(folder)])
    assert next(line for line in capsys.readouterr().out.splitlines() if line.startswith("all")).split()[1] == "8"


@pytest.mark.usefixtures("small_zoo")
def test_a_comparison_says_what_its_set_lacks(
    small_backbones: dict[str, str], tmp_path: Path, capsys: Capture
) -> None:
    put_converted(SUPERVISED, small_backbones["timm_resnet"])
    put_converted(SIMCLR, small_backbones["timm_vit"])
    folder = tmp_path / "out"
    sizes = ["--samples_per_class", "2", "--max_eval_samples", "20", "--max_test_samples", "20"]
    few = ["--protocol", "dino-knn", "--untrained_control", "false", *sizes]
    options = ["--dataset_name", "digits", "--twin_set", SMALL_SET, "--output_dir", str(folder), *few]
    run_command(COMPARE, options)
    assert capsys.readouterr().out.count(f"{LEFT_OUT} {COMMAND}") == 2
    assert missing_of(folder) == [f"{LEFT_OUT} {COMMAND}"]
    for command in (REPORT, STATUS):
        run_command(command, [str(folder)])
    assert LEFT_OUT in capsys.readouterr().out and missing_of(folder) == [f"{LEFT_OUT} {COMMAND}"]
