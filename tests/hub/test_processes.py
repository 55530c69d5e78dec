"""Processes that are killed in the middle of a download, and processes that push to one repository at once."""

import json
import os
import random
import re
import signal
import threading
from pathlib import Path

import pytest
import timm
import warm_python
from huggingface_hub import HfApi
from safetensors.torch import load_file

from hf_sslgen.zoo.timm_folder import write_timm_folder
from tests.loopback_hub import Hub

ROOT = Path(__file__).parents[2]
REPOSITORY = "org/model"

LOAD = """
import sys
from safetensors.torch import save_file
from hf_sslgen.command_line import run_main
from hf_sslgen.zoo.backbone_loading import load_backbone

def load():
    backbone = load_backbone(sys.argv[1], tuple("abcdefg"))
    save_file(backbone.model.state_dict(), sys.argv[2])
    print(backbone.weights)

run_main(load)
"""

PUSH = """
import sys
from pathlib import Path
from hf_sslgen.command_line import run_main
from hf_sslgen.hub.pushing import PushRequest, hub_client, push_files

def push():
    request, folder = PushRequest(sys.argv[2]), Path(sys.argv[1])
    files = {path.name: path for path in folder.iterdir()}
    print(push_files(hub_client(request), request, files, f"Push {folder.name}").changed)

run_main(push)
"""


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def publish(api: HfApi, name: str, folder: Path) -> None:
    api.create_repo(name)
    api.upload_folder(repo_id=name, folder_path=folder)


def write_large_backbone(folder: Path) -> None:
    """A whole ResNet-18 of 45 MB: clients write in pieces of 10."""
    network = timm.create_model("resnet18", pretrained=False, num_classes=0)
    preprocessing = {"input_size": [3, 32, 32], "mean": [0.5] * 3, "std": [0.5] * 3, "crop_pct": 1.0}
    names = {"first_conv": "conv1", "classifier": "fc", "interpolation": "bicubic"}
    write_timm_folder(folder, network.state_dict(), "resnet18", 512, {}, preprocessing | names)


def test_a_process_that_is_killed_in_the_middle_of_a_download(hub: Hub, api: HfApi, tmp_path: Path) -> None:
    """The cache keeps what it had, and a part of a file is never taken for the whole; the next run completes it."""
    folder, home, output = tmp_path / "large", tmp_path / "home", tmp_path / "loaded.safetensors"
    write_large_backbone(folder)
    publish(api, "org/large", folder)
    publish(api, "org/other", ROOT / "recipes")
    api.snapshot_download("org/other", cache_dir=home / "hub")
    cached, size = contents(home), (folder / "model.safetensors").stat().st_size
    weights = "org/large/resolve/.*model.safetensors"
    hub.fail("drop", weights, "GET", after=size // 2)  # the client asks for the rest, and dies then
    command = ["-c", LOAD, "org/large", str(output)]
    with warm_python.start(command, env=hub.environment(None, home)) as process:
        hub.fail("before", weights, "GET", action=lambda: os.kill(process.pid, signal.SIGKILL))
        assert process.wait() == -signal.SIGKILL
    (part,) = home.rglob("*.incomplete")
    assert 0 < part.stat().st_size < size
    assert not list(home.rglob("models--org--large/snapshots/*/model.safetensors"))
    assert {path: content for path, content in contents(home).items() if path in cached} == cached

    again = warm_python.run(command, env=hub.environment(None, home))
    assert (again.returncode, again.stdout.strip()) == (0, api.model_info("org/large").sha), again.stderr
    published, loaded = load_file(folder / "model.safetensors"), load_file(output)
    trunk = {name.removeprefix("timm_model."): tensor for name, tensor in loaded.items()}
    assert len(published) > 100
    assert all(trunk[name].equal(tensor.to(trunk[name].dtype)) for name, tensor in published.items())
    assert {path: content for path, content in contents(home).items() if path in cached} == cached


def meet_at_the_commit(hub: Hub) -> None:
    """The next two processes that commit wait for each other, so that both name the same parent."""
    together = threading.Barrier(2, timeout=600)
    hub.fail("before", "/commit/", "POST", times=2, action=together.wait)


def test_two_processes_push_at_once(hub: Hub, api: HfApi, tmp_path: Path) -> None:
    """One ends well; the other says what happened, and its push is refused whole."""
    folders = [tmp_path / name for name in ("first", "second")]
    for seed, folder in enumerate(folders):
        folder.mkdir()
        (folder / "model.safetensors").write_bytes(random.Random(seed).randbytes(300_000))
        (folder / "config.json").write_text(json.dumps({"of": folder.name}))
    before = contents(tmp_path)
    meet_at_the_commit(hub)
    commands = [["-c", PUSH, str(folder), REPOSITORY] for folder in folders]
    processes = [warm_python.start(each, env=hub.environment("owner")) for each in commands]
    said = [process.communicate() for process in processes]
    codes = [process.returncode for process in processes]
    assert sorted(codes) == [0, 2], said
    winner, loser = codes.index(0), codes.index(2)
    assert said[winner] == ("True\n", "")
    assert said[loser][1] == (
        f"error: another push to {REPOSITORY} came first, so nothing of this push was kept; check "
        "what is there and run the same command again\n"
    )
    assert contents(tmp_path) == before
    assert pushed(hub, REPOSITORY) == contents(folders[winner])
    sent = hub.uploaded_bytes()
    warm_python.run(commands[loser], env=hub.environment("owner"), check=True)
    assert pushed(hub, REPOSITORY) == contents(folders[loser])
    assert hub.uploaded_bytes() == sent == 600_000  # its weights had arrived the first time
    assert contents(tmp_path) == before


def pushed(hub: Hub, name: str) -> dict[str, bytes]:
    """Every file of a model's repository but the Hub's own."""
    repository = hub.site.store.find("models", name)
    assert repository is not None
    files = repository.commit("main").files
    return {path: repository.content(stored) for path, stored in files.items() if path != ".gitattributes"}


@pytest.mark.slow
def test_two_fine_tunings_push_at_once(hub: Hub, api: HfApi, small_backbones: dict[str, str], tmp_path: Path) -> None:
    """As they are trained by their recipe: of the two the repository holds one, whole, and both folders stay."""

    def command(seed: int) -> list[str]:
        options = ["--model_name_or_path", small_backbones["timm_resnet"], "--dataset_name", "digits", "--use_cpu"]
        options += ["--max_train_samples", "40", "--max_eval_samples", "20", "--max_test_samples", "20"]
        options += ["--num_train_epochs", "1", "--seed", str(seed), "--output_dir", str(tmp_path / str(seed))]
        options += ["--push_to_hub", "--hub_model_id", REPOSITORY, "--hub_license", "mit"]
        return [str(ROOT / "recipes" / "finetune.py"), *options]

    meet_at_the_commit(hub)
    processes = [warm_python.start(command(seed), env=hub.environment("owner")) for seed in (0, 1)]
    said = [process.communicate() for process in processes]
    codes = [process.returncode for process in processes]
    assert sorted(codes) == [0, 2], said
    winner, loser = codes.index(0), codes.index(2)
    sentence = said[loser][1].splitlines()[-1]
    folder = re.escape(str(tmp_path / str(loser)))
    assert re.fullmatch(
        f"error: the model is finished and complete in '{folder}', but the push failed: another push .*", sentence
    )

    def assert_is_that_of(seed: int) -> None:
        files, local = pushed(hub, REPOSITORY), contents(tmp_path / str(seed))
        assert files["model.safetensors"] == local["model.safetensors"]
        assert json.loads(files["run.json"])["seed"] == seed
        accuracy = json.loads(files["results.json"])["test"]["accuracy"]["value"]
        assert accuracy == pytest.approx(json.loads(local["results.json"])["test"]["accuracy"])

    assert_is_that_of(winner)
    before = contents(tmp_path / str(loser))
    warm_python.run(command(loser), env=hub.environment("owner"), check=True)
    assert contents(tmp_path / str(loser)) == before
    assert_is_that_of(loser)
