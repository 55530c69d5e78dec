"""A study tried out on stand-ins: the same cells of small random networks, and nobody can take them for results."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from hf_sslgen.command_line import run_command
from hf_sslgen.commands.push_study import PushStudyArguments
from hf_sslgen.commands.run_push_study import push_study
from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.domains.domain_loading import load_domain
from hf_sslgen.errors import InputError
from hf_sslgen.study import stand_in_study
from hf_sslgen.study.config import parse_study, read_study
from hf_sslgen.study.plan import expand
from hf_sslgen.study.stand_in_domains import write_stand_in_domain
from hf_sslgen.study.stand_in_marks import STAND_INS_NOTICE, STAND_INS_TITLE
from hf_sslgen.study.stand_in_networks import MEAN_AND_STD, write_stand_in_backbone
from hf_sslgen.study.stand_in_study import scaled_down
from hf_sslgen.zoo.backbone_loading import load_backbone
from hf_sslgen.zoo.backbone_registry import find_backbone

STUDY, REPORT = "hf_sslgen.commands.study", "hf_sslgen.commands.report"
CONFIGURATIONS = Path(__file__).parents[2] / "recipes" / "configs" / "study"
PUBLISHED = ("ericsson_2021", "quick_resnet50", "tendle_hasan_2021")
SMALL = {
    "title": "Two networks",
    "backbones": ["timm/vit_small_patch16_224.dino", "facebook/dino-vitb16"],
    "domains": ["pets", {"dataset_name": "eurosat", "max_train_samples": 3000}],
    "protocols": [{"preset": "dino-knn", "name": "neighbours"}, "finetune"],
    "seeds": [3, 4, 5],
    "untrained_control": False,
    "exclude": [{"protocol": "finetune", "domain": "eurosat"}, {"seed": 5, "protocol": "finetune"}],
}


def refused(options: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as stopped:
        run_command(STUDY, options)
    assert stopped.value.code == 2
    (message,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    return message


def test_a_study_runs_from_end_to_end_and_says_what_it_is_made_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study, folder = tmp_path / "study.yaml", tmp_path / "out"
    study.write_text(json.dumps(SMALL), encoding="utf-8")
    run = [str(study), "--output_dir", str(folder)]
    run_command(STUDY, [*run, "--stand_ins"])
    said = capsys.readouterr().out
    assert said.count(STAND_INS_NOTICE) == 2  # at the beginning and at the end
    page = (folder / "report" / "index.html").read_text(encoding="utf-8")
    notice = f'<p class="warning notice" role="note"><strong>{STAND_INS_NOTICE}</strong></p>'
    assert f"<title>{STAND_INS_TITLE} (Two networks)" in page and page.index(notice) < page.index("<h1>")
    assert STAND_INS_NOTICE in (folder / "missing.csv").read_text(encoding="utf-8")
    cells = {path.name: path.stat().st_mtime_ns for path in (folder / "cells").iterdir()}
    # of two seeds, neither repeats the other: validation is carved
    assert len(cells) == 2 * 2 + 2 * 2 * 2 + 2 * 1 * 2

    run_command(STUDY, [*run, "--stand_ins"])  # nothing is computed again
    assert {path.name: path.stat().st_mtime_ns for path in (folder / "cells").iterdir()} == cells
    capsys.readouterr()
    run_command(REPORT, [str(folder)])
    assert STAND_INS_NOTICE in capsys.readouterr().out
    with pytest.raises(InputError, match="holds stand-ins"):
        push_study(PushStudyArguments(str(folder), "somebody/study"))
    message = refused(run, capsys)
    assert "holds a study of stand-ins; give another folder for real backbones" in message
    assert "already made of stand-ins" in refused(
        [str(folder / "stand_ins" / "study.yaml"), *run[1:], "--stand_ins"], capsys
    )


def test_a_folder_of_real_cells_is_left_alone(
    study_file: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study, folder = study_file(), tmp_path / "out"
    (folder / "cells").mkdir(parents=True)
    (folder / "study.yaml").write_bytes(study.read_bytes())
    message = refused([str(study), "--output_dir", str(folder), "--stand_ins"], capsys)
    assert "holds a study of real backbones; give another folder for stand-ins" in message
    assert not (folder / "stand_ins").exists()
    assert "give only one of them" in refused([str(study), *("--output_dir", "x"), "--stand_ins", "--dry_run"], capsys)


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_same_cells_but_for_seeds_and_budgets(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for write in ("write_stand_in_backbone", "write_stand_in_domain"):
        monkeypatch.setattr(stand_in_study, write, lambda *_: None)
    config = read_study(CONFIGURATIONS / f"{name}.yaml")
    small = parse_study(scaled_down(config, tmp_path), "stand-ins")

    def cells(of: Any) -> set[tuple[str, str, str, int]]:
        specs = expand(of, with_left_out=True)
        return {
            (spec.backbone.name, spec.domain_name, spec.protocol_name, spec.seed)
            for spec in specs
            if spec.seed in config.seeds[:2]
        }

    assert cells(small) == cells(config)
    assert small.stand_ins and small.title == f"{STAND_INS_TITLE} ({config.title})"
    roles = [(each.name, each.objective, each.source, each.pretraining_seed) for each in small.backbones]
    assert roles == [(each.name, each.objective, each.source, each.pretraining_seed) for each in config.backbones]
    assert [claim.id for claim in small.claims] == [claim.id for claim in config.claims]
    assert small.references == config.references
    budgets = [vars(each.protocol).get("max_steps") for each in small.protocols]
    assert all(steps in (None, 2) for steps in budgets)


def test_exclusions_of_what_was_cut_are_dropped_and_domains_are_found_by_any_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for write in ("write_stand_in_backbone", "write_stand_in_domain"):
        monkeypatch.setattr(stand_in_study, write, lambda *_: None)
    content = {
        **SMALL,
        "domains": ["timm/resisc45", "somebody/pictures"],
        "label_fractions": [0.1, 0.5],
        "exclude": [
            {"labels": "10%", "protocol": "finetune"},
            {"labels": ["10%", "50%"], "domain": "pictures", "protocol": "finetune"},
            {"seed": 4, "domain": "*", "protocol": "neighbours"},
        ],
    }
    small = scaled_down(parse_study(content, "study"), tmp_path)
    assert small["label_fractions"] == [0.5] and small["seeds"] == [3, 4]
    assert [each.get("domain") for each in small["exclude"]] == [
        ["somebody/pictures"],
        ["resisc45", "somebody/pictures"],
    ]
    assert expand(parse_study(small, "stand-ins"))


def test_domains_differ_are_small_and_come_from_their_group(tmp_path: Path) -> None:
    pictures = {}
    for name, group in (("a", "similar"), ("b", "similar"), ("c", "different"), ("d", None)):
        write_stand_in_domain(tmp_path / name, name, group)
        table = pq.read_table(tmp_path / name / "train.parquet")
        pictures[name] = {row["bytes"] for row in table.column("image").to_pylist()}
        domain = load_domain(DomainArguments(str(tmp_path / name), domain_name=name))
        num_classes = len(domain.class_names)
        assert num_classes in (6, 10) and len(domain.test) == 6 * num_classes
        assert np.bincount(domain.test.labels).tolist() == [6] * num_classes
    assert pictures["a"] != pictures["b"] and pictures["a"] & pictures["b"]  # other choices from the same source
    assert not pictures["a"] & (pictures["c"] | pictures["d"])


@pytest.mark.parametrize(
    "name",
    [
        "timm/resnet50.tv_in1k",
        "timm/vit_small_patch16_224.augreg_in1k",
        "timm/convnextv2_tiny.fcmae",
        "microsoft/resnet-50",
        "facebook/dino-vits16",
        "swav-800ep-resnet50",
        "byol-1000ep-resnet50",
        "simclr-v2-resnet50",
        "lightly-mae-100ep-vit-base",
    ],
)
def test_a_stand_in_is_loaded_like_its_backbone(name: str, tmp_path: Path) -> None:
    row = find_backbone(name)
    assert row is not None
    write_stand_in_backbone(tmp_path / "network", name, row)
    backbone = load_backbone(str(tmp_path / "network"), ("first", "second"), match="none")
    assert backbone.num_parameters < 100_000
    assert (backbone.preprocessing.mean, backbone.preprocessing.std) == MEAN_AND_STD[row.normalization]
    features = backbone.model(pixel_values=torch.randn(4, 3, 64, 64)).logits
    assert torch.isfinite(features).all() and features.std(dim=0).min() > 0
    write_stand_in_backbone(tmp_path / "again", name, row)
    config = json.loads((tmp_path / "network" / "config.json").read_text(encoding="utf-8"))
    assert config.get("padding", "torch") == row.padding
    again = load_backbone(str(tmp_path / "again"), ("first", "second"), match="none")
    assert again.weights == backbone.weights


@pytest.mark.slow
@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_configuration_runs_from_end_to_end(name: str, tmp_path: Path) -> None:
    run_command(STUDY, [str(CONFIGURATIONS / f"{name}.yaml"), "--output_dir", str(tmp_path / "out"), "--stand_ins"])
    page = (tmp_path / "out" / "report" / "index.html").read_text(encoding="utf-8")
    assert f"<title>{STAND_INS_TITLE}" in page and STAND_INS_NOTICE in page
