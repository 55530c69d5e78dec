"""`push-study --benchmark` registers the dataset, states results for its backbones and reads the leaderboard."""

from pathlib import Path

import pytest
import yaml
from fake_study import SELF_SUPERVISED, SUPERVISED, Setting, write_study
from huggingface_hub import HfApi
from study_on_hub import DOMAINS, REPOSITORY, Command, add_cells, commits, remote_files

from hf_sslgen.study.cells.cell_folder import read_cells
from tests.loopback_hub import Hub

ON_HUB = (
    SUPERVISED.__class__(**{**vars(SUPERVISED), "name": "org/supervised"}),
    SELF_SUPERVISED.__class__(**{**vars(SELF_SUPERVISED), "name": "org/simclr"}),
)


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Two backbones of the Hub under two protocols, one of them with two seeds, and the published encoders."""
    folder = tmp_path / "study"
    settings = (Setting("pretrained"), Setting("linear"), Setting("finetune", "10%", seeds=(0, 1)))
    write_study(folder / "cells", ON_HUB, DOMAINS, settings=settings)
    return folder


def test_a_study_is_registered_filled_in_and_read_back(study: Path, push: Command, study_hub: Hub) -> None:
    api: HfApi = study_hub.api("owner")
    said = push(study, "--benchmark")
    assert "eval.yaml: registered" in said
    assert "Leaderboard: no model states a result yet" in said
    stored = yaml.safe_load(remote_files(study_hub)["eval.yaml"])
    assert stored["evaluation_framework"] == "hf-sslgen"
    assert stored["tasks"] == [
        {"id": "photo_patches_finetune_10", "config": "results", "split": "train"},
        {"id": "photo_patches_linear", "config": "results", "split": "train"},
    ]
    cells = list(read_cells(study / "cells"))
    for name in ("org/supervised", "org/simclr"):
        path = study / "eval_results" / f"{name.replace('/', '--')}.yaml"
        assert f"{path}: results of {name}; add it to .eval_results/" in said
        api.create_repo(name)
        api.upload_file(path_or_fileobj=path, path_in_repo=".eval_results/study.yaml", repo_id=name)
        results = api.model_info(name, expand=["evalResults"]).eval_results
        assert results is not None and len(results) == 2
        for result, protocol in zip(results, ("finetune", "linear"), strict=True):
            own = [cell for cell in cells if (cell.backbone, cell.protocol) == (name, protocol)]
            values = [number.value for cell in own if (number := cell.number(cell.headline_metric)) is not None]
            assert len(values) == (2 if protocol == "finetune" else 1)
            assert result.value == pytest.approx(sum(values) / len(values))
            assert result.dataset_id == REPOSITORY
    before = commits(study_hub)
    said = push(study, "--benchmark")
    assert "eval.yaml: already there" in said
    assert commits(study_hub) == before
    rows = [line.split() for line in said.partition("Leaderboard:\n")[2].splitlines()[:4]]
    assert [row[0] for row in rows] == ["1", "2", "3", "4"]
    assert {row[2] for row in rows} == {"org/supervised", "org/simclr"}
    values = [float(row[1]) for row in rows]
    assert values == sorted(values, reverse=True)


def test_tasks_of_others_stay_and_a_dry_run_only_names_them(study: Path, push: Command, study_hub: Hub) -> None:
    said = push(study, "--benchmark", "--dry_run")
    assert "with the tasks photo_patches_finetune_10, photo_patches_linear" in said
    assert study_hub.site.store.find("datasets", REPOSITORY) is None
    push(study, "--benchmark")
    other = study.parent / "other"
    add_cells(other, "few-shot")
    push(other, "--benchmark")
    tasks = yaml.safe_load(remote_files(study_hub)["eval.yaml"])["tasks"]
    assert len(tasks) == 3
    assert not (other / "eval_results").exists()  # its backbones are not on the Hub


def test_a_study_without_an_accuracy_is_no_benchmark(push: Command, tmp_path: Path) -> None:
    write_study(tmp_path / "cells", ON_HUB, DOMAINS, settings=(Setting("pretrained"),))
    assert push(tmp_path, "--benchmark").splitlines()[-1].startswith("error: the study has no accuracy")
