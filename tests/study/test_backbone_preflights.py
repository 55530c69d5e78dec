"""No cell is computed on a backbone whose inputs are wrong, unless the user says that they are right."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from hf_sslgen.analysis.preflight.preflight_report import PreflightReport
from hf_sslgen.command_line import run_command
from hf_sslgen.study.backbone_preflights import suspicious_backbones
from hf_sslgen.study.cells.store import Store
from hf_sslgen.study.config import parse_study
from hf_sslgen.study.plan import CellSpec, expand
from hf_sslgen.study.preparation import prepare
from hf_sslgen.zoo.backbone_loading import LoadedBackbone
from hf_sslgen.zoo.locations import resolve_location

Content = Callable[..., dict[str, Any]]
TWIN = "twin-resnet18-simclr"


@pytest.fixture(scope="module")
def unnormalised(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The shipped SimCLR twin with a configuration that forgets mean and standard deviation."""
    folder = tmp_path_factory.mktemp("backbones") / "unnormalised"
    shutil.copytree(resolve_location(TWIN), folder)
    content = json.loads((folder / "config.json").read_text())
    content["pretrained_cfg"] |= {"mean": [0.0, 0.0, 0.0], "std": [1.0, 1.0, 1.0]}
    (folder / "config.json").write_text(json.dumps(content))
    return str(folder)


def specs_of(content: dict[str, Any]) -> tuple[CellSpec, ...]:
    return expand(parse_study(content, "study"))


def test_cells_of_a_wrong_backbone_are_set_aside_and_the_others_are_not(
    study_content: Content, tmp_path: Path, unnormalised: str, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    monkeypatch.setattr("hf_sslgen.file_signatures.SETTLED_SECONDS", -1)  # of files that have just been written
    backbones = [{"location": unnormalised, "name": "wrong", "source": "s"}, {"location": TWIN, "source": "s"}]
    specs = specs_of(study_content(backbones=backbones, protocols=["linear"], seeds=[0]))
    store = Store(tmp_path / "study")
    store.prepare()
    prepare(specs, store, {})
    assert f"{TWIN}: preflight passed" in capfd.readouterr().out
    assert {spec.backbone.name for spec in specs if store.has_failed(spec)} == {"wrong"}
    failure = store.failure(next(spec for spec in specs if spec.backbone.name == "wrong"))
    assert failure is not None
    assert "fit ImageNet's mean and std better" in failure.error
    assert "accept_inputs: true" in failure.error

    def again(_: LoadedBackbone) -> PreflightReport:
        raise AssertionError("a preflight that is kept in the study's folder is not run again")

    monkeypatch.setattr("hf_sslgen.study.backbone_preflights.preflight", again)
    aside = suspicious_backbones(specs, store.folder, {})
    assert {spec.backbone.name for spec in aside} == {"wrong"}
    assert suspicious_backbones(specs, store.folder, {}, "reported") == {}
    accepted = [{**backbones[0], "accept_inputs": True}, backbones[1]]
    others = specs_of(study_content(backbones=accepted, protocols=["linear"], seeds=[0]))
    assert suspicious_backbones(others, store.folder, {}) == {}
    assert [spec.key for spec in others] == [spec.key for spec in specs]


def test_commands_refuse_it_with_one_sentence(
    study_content: Content, tmp_path: Path, unnormalised: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(yaml.safe_dump(study_content(backbones=[unnormalised], protocols=["linear"], seeds=[0])))
    run_command("hf_sslgen.commands.study", ["--study", str(path), "--dry_run", "true", "--output_dir", str(tmp_path)])
    assert "fit ImageNet's mean and std better" in capsys.readouterr().out
    given = ["--model_name_or_path", unnormalised, "--dataset_name", "digits", "--output_dir", str(tmp_path / "run")]
    for command in ("analyze", "finetune"):
        with pytest.raises(SystemExit) as ended:
            run_command(f"hf_sslgen.commands.{command}", given)
        assert ended.value.code == 2
        said = capsys.readouterr().err.strip().splitlines()[-1]
        assert f"model_name_or_path {unnormalised!r}: its inputs have the wrong scale" in said
        assert "--accept_inputs true" in said
