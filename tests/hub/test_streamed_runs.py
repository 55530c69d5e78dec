"""Fine-tuning on a streamed domain while the Hub has a bad day: the command as a user runs it."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import image_datasets
import pytest

from tests.loopback_hub import ROLES, Hub

HERE = Path(__file__).parent
RECIPE = HERE.parents[1] / "recipes" / "finetune.py"
SHARDS = {"train": (7, 3, 12), "validation": (5,), "test": (7, 3)}
TRAIN = "/resolve/.*/data/train"
DATASET = "org/patches"

Run = Callable[..., subprocess.CompletedProcess[str]]


def _publish(hub: Hub, folder: Path) -> None:
    """Push `folder/files` as one commit."""
    plan = [{"type": "dataset", "name": DATASET, "commits": [str(folder / "files")]}]
    (folder / "plan.json").write_text(json.dumps(plan))
    command = [sys.executable, HERE / "published.py", folder / "plan.json"]
    subprocess.run(command, env=hub.environment("owner"), check=True, timeout=120, capture_output=True)


@pytest.fixture
def run(hub: Hub, small_backbones: dict[str, str], tmp_path: Path) -> Run:
    """Twenty steps of four images, more than three passes, in the folder of this name."""
    image_datasets.write_parquet(tmp_path / "files", SHARDS)
    _publish(hub, tmp_path)
    options = {
        "model_name_or_path": small_backbones["timm_resnet"],
        "dataset_name": DATASET,
        "streaming": True,
        "shuffle_buffer_size": 6,
        "max_steps": 20,
        "save_strategy": "steps",
        "save_steps": 4,
        "eval_strategy": "steps",
        "eval_steps": 4,
        "learning_rate": 1e-3,
    }

    def start(name: str, processes: int = 1, workers: int = 0) -> subprocess.CompletedProcess[str]:
        launch = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"]
        chosen = {"output_dir": tmp_path / name, "dataloader_num_workers": workers, **options}
        chosen["per_device_train_batch_size"] = 4 // processes
        return subprocess.run(
            [sys.executable, *(launch if processes > 1 else []), HERE / "impatient.py", RECIPE]
            + [word for option, value in chosen.items() for word in (f"--{option}", str(value))],
            env=hub.environment("reader") | {"OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "1"},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    return start


def _outcome(folder: Path) -> tuple[object, bytes, bytes]:
    found = (folder / name for name in ("model.safetensors", "predictions.parquet"))
    return (json.loads((folder / "results.json").read_text()), *(path.read_bytes() for path in found))


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_a_run_goes_on_when_the_hub_is_back_and_ends_as_if_it_had_not_gone(hub, run, tmp_path, processes):
    whole = run("whole", processes)
    assert whole.returncode == 0, whole.stderr[-3000:]
    # A pass reads the shards by four requests, and one more tells the columns: it goes down in the fourth pass.
    hub.fail("stop", TRAIN, "GET", skip=processes * 14)
    stopped = run("interrupted", processes)
    assert not hub.running
    if processes == 1:
        assert stopped.returncode == 2 and "Traceback" not in stopped.stderr
    else:
        assert stopped.returncode == 1  # torchrun's own, who also reports processes that lost the one that stopped
    (sentence,) = set(re.findall(r"^error: (.*)$", stopped.stderr, re.MULTILINE))
    assert re.match(f"the Hub at {hub.endpoint} can't be reached .*datasets/{DATASET}.*; run this again", sentence)
    checkpoints = sorted(path.name for path in (tmp_path / "interrupted").glob("checkpoint-*"))
    assert checkpoints and (processes > 1 or "checkpoint-12" in checkpoints)
    assert not (tmp_path / "interrupted" / "results.json").exists()
    kept = _files(tmp_path / "interrupted")
    away = run("interrupted", processes)
    assert away.returncode == stopped.returncode and _files(tmp_path / "interrupted") == kept
    hub.heal()
    hub.fail("drop", TRAIN, "GET", times=2, skip=processes * 4)
    hub.fail("status", TRAIN, "GET", skip=processes * 6)
    again = run("interrupted", processes, workers=2)
    assert again.returncode == 0, again.stderr[-3000:]
    assert "going on from" in again.stderr
    assert len([visit for visit in hub.visits if visit.fault in ("drop", "status")]) == 3
    assert _outcome(tmp_path / "interrupted") == _outcome(tmp_path / "whole")
    commit = json.loads((tmp_path / "whole" / "results.json").read_text())["dataset"]["commit"]
    assert f"{DATASET}@{commit}" in json.loads((tmp_path / "whole" / "run.json").read_text())["train"]
    (tmp_path / "files" / "README.md").write_text("Another commit.")
    _publish(hub, tmp_path)
    moved = run("whole", processes)
    assert moved.returncode == stopped.returncode
    assert f"holds a run with another configuration (train: 'streamed from {DATASET}@{commit}" in moved.stderr
    said = "".join(each.stdout + each.stderr for each in (whole, stopped, away, again, moved))
    assert not [role.token for role in ROLES.values() if role.token in said]
