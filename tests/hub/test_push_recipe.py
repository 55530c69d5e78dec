"""The fine-tuning recipe with a push, as a process."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from finetuned_runs import python
from huggingface_hub import HfApi, ModelCard

from hf_sslgen.hub.benchmarks import Task, benchmark_yaml
from hf_sslgen.hub.finetuned_model import EVALUATION_FILE
from tests.loopback_hub import ROLES, Hub

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.usefixtures("no_failure_of_the_hub")
DIGITS = ROOT / "hf_sslgen" / "domains" / "embedded" / "digits"


def recipe(hub: Hub, *options: str, role: str | None = None) -> subprocess.CompletedProcess[str]:
    return python(hub, str(ROOT / "recipes" / "finetune.py"), *options, role=role)


def files_with(text: str, folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


def test_the_recipe_trains_and_pushes_and_no_token_is_left_anywhere(
    hub_in_process: Hub, small_backbones: dict[str, str], tmp_path: Path
) -> None:
    hub, api, token = hub_in_process, hub_in_process.api("owner"), ROLES["owner"].token
    publish(api, "org/digits", "dataset", DIGITS)
    benchmark = benchmark_yaml("Digits", "hand-written digits", [Task("accuracy")])
    api.upload_file(
        path_or_fileobj=benchmark.encode(), path_in_repo="eval.yaml", repo_id="org/digits", repo_type="dataset"
    )
    publish(api, "org/base", "model", Path(small_backbones["timm_resnet"]))
    readme = b"---\nlicense: cc-by-4.0\n---\n"
    api.upload_file(path_or_fileobj=readme, path_in_repo="README.md", repo_id="org/base")
    output = tmp_path / "tuned"
    options = ["--model_name_or_path", "org/base", "--dataset_name", "org/digits", "--output_dir", str(output)]
    options += ["--max_train_samples", "60", "--max_eval_samples", "20", "--max_test_samples", "40"]
    options += ["--num_train_epochs", "1", "--use_cpu", "--push_to_hub", "--hub_model_id", "org/tuned"]
    first = recipe(hub, *options, "--hub_token", token)
    assert first.returncode == 0, first.stderr[-3000:]
    assert f"{hub.endpoint}/org/tuned: pushed, commit" in first.stdout
    sent = hub.uploaded_bytes()
    second = recipe(hub, *options, role="owner")
    assert second.returncode == 0, second.stderr[-3000:]
    assert "org/tuned: nothing has changed" in second.stdout
    assert second.stderr.count("No files have been modified") <= 1
    assert hub.uploaded_bytes() == sent
    assert len(api.list_repo_commits("org/tuned")) == 2

    card = ModelCard.load(api.hf_hub_download("org/tuned", "README.md"))
    card.validate()
    assert (card.data.base_model, card.data.datasets, card.data.license) == ("org/base", ["org/digits"], "cc-by-4.0")
    assert f"--dataset_name org/digits --dataset_revision {api.dataset_info('org/digits').sha} " in card.text
    assert f"--model_name_or_path org/base@{api.model_info('org/base').sha} " in card.text
    assert EVALUATION_FILE in api.list_repo_files("org/tuned")
    entries = yaml.safe_load(Path(api.hf_hub_download("org/tuned", EVALUATION_FILE)).read_text())
    accuracy = entries[0]
    commit = api.dataset_info("org/digits").sha
    assert accuracy["dataset"] == {"id": "org/digits", "task_id": "accuracy", "revision": commit}
    assert accuracy["value"] == json.loads((output / "results.json").read_text())["test"]["accuracy"]
    assert re.search(r"95% interval \[.*\]; 40 images of split test", accuracy["notes"])

    for finished in (first, second):
        assert token not in finished.stdout + finished.stderr
    assert files_with(token, output) == []
    assert files_with(token, hub.root / "repositories") == []


def publish(api: HfApi, name: str, kind: str, folder: Path) -> None:
    api.create_repo(name, repo_type=kind)
    api.upload_folder(repo_id=name, repo_type=kind, folder_path=folder)
