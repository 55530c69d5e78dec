"""Pretraining as processes: several at once, killed, and asked to end."""

import json
import os
import random
import signal
import time
from pathlib import Path

import numpy as np
import pytest
import torch
import warm_python
from safetensors.torch import load_file

from hf_sslgen.training.samples import EpochOrder

pytest.importorskip("lightly")

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "ACCELERATE_USE_CPU": "1"}


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory) -> tuple[Path, list[dict]]:
    """What each of two processes saw, and the folder they wrote to."""
    folder = tmp_path_factory.mktemp("two")
    worker = str(HERE / "pretraining_two_process_worker.py")
    warm_python.run_together([worker, folder], ENVIRONMENT, 2)
    return folder, [json.loads((folder / f"rank{rank}.json").read_text()) for rank in (0, 1)]


def test_two_processes_take_the_batches_of_one_and_see_every_image_once(two_processes):
    """Twice 8 images in two processes are the 16 of one."""
    _, (first, second) = two_processes
    for epoch in (0, 1):
        order = EpochOrder(48, seed=0)
        order.set_epoch(epoch)
        positions = [position for _, position in order]
        shares = [[position for key, position in each["seen"] if key == epoch] for each in (first, second)]
        assert sorted(shares[0] + shares[1]) == list(range(48))
        for step in range(3):
            batch = set(shares[0][8 * step : 8 * step + 8]) | set(shares[1][8 * step : 8 * step + 8])
            assert batch == set(positions[16 * step : 16 * step + 16])


def test_the_log_holds_the_loss_of_all_processes_and_only_the_first_one_monitors(two_processes):
    folder, ranks = two_processes
    log = json.loads((folder / "supervised" / "log.json").read_text())
    losses = np.array([each["losses"] for each in ranks]).reshape(2, 2, 3)  # process, epoch, step
    assert [row["loss"] for row in log] == pytest.approx(losses.mean(axis=(0, 2)).tolist(), rel=1e-5)
    assert abs(losses[0].mean() - losses[1].mean()) > 1e-4
    assert [each["monitored"] for each in ranks] == [[0], []]
    assert ["knn_accuracy" in row for row in log] == [False, True]


@pytest.mark.parametrize("objective", ["barlow-twins", "byol"])
def test_two_processes_stop_at_one_step_when_one_is_asked_and_resume_exactly(objective, two_processes):
    _, ranks = two_processes
    assert [each[f"{objective} exit code"] for each in ranks] == [128 + signal.SIGTERM] * 2
    digests = {each for rank in ranks for each in rank[f"{objective} digests"]}
    assert len({ranks[0][f"{objective} digests"][0], ranks[0][f"{objective} digests"][1]}) == 1, digests
    assert 8 * 5 <= ranks[0][f"{objective} read again"] <= 8 * 6


def nt_xent(projections: torch.Tensor) -> torch.Tensor:
    """Of (2, B, D) views, with temperature 0.2."""
    unit = torch.nn.functional.normalize(projections.flatten(0, 1), dim=1)
    similarity = (unit @ unit.T / 0.2).fill_diagonal_(-torch.inf)
    count = projections.shape[1]
    partners = torch.arange(2 * count).roll(count)
    return torch.nn.functional.cross_entropy(similarity, partners)


def barlow_twins(shares: torch.Tensor) -> torch.Tensor:
    """Of (process, 2, B, D) views, each process's standardised by itself: the loss of their mean correlation."""
    centred = shares - shares.mean(2, keepdim=True)
    standardised = centred / (centred.square().mean(2, keepdim=True) + 1e-5).sqrt()
    correlations = standardised[:, 0].transpose(1, 2) @ standardised[:, 1] / shares.shape[2]
    correlation = correlations.mean(0)
    target = torch.eye(shares.shape[3])
    weights = target + 0.005 * (1 - target)
    return (weights * (correlation - target) ** 2).sum()


@pytest.mark.parametrize("objective", ["simclr", "barlow-twins"])
def test_contrast_and_correlation_reach_over_both_processes(objective, two_processes):
    """The mean loss and the mean of the processes' gradients are those of all views in one process."""
    _, ranks = two_processes
    shares = torch.tensor(ranks[0]["projections"], requires_grad=True)
    loss = nt_xent(shares.transpose(0, 1).flatten(1, 2)) if objective == "simclr" else barlow_twins(shares)
    loss.backward()
    found = [each[f"{objective} gathered"] for each in ranks]
    assert np.mean([each["loss"] for each in found]) == pytest.approx(loss.item(), rel=1e-4)
    gradients = torch.tensor([each["gradient"] for each in found]) / 2  # DDP averages over processes
    torch.testing.assert_close(gradients, shares.grad, rtol=1e-3, atol=1e-6)


def test_the_command_trains_one_twin_in_both_processes(two_processes):
    folder, _ = two_processes
    training = json.loads((folder / "command" / "twin" / "training.json").read_text())
    plan = json.loads((folder / "command" / "plan.json").read_text())
    assert training["num_processes"] == 2
    assert training["command"].startswith("ACCELERATE_USE_CPU=1 torchrun --nproc_per_node 2 recipes/pretrain.py")
    assert len(training["log"]) == training["settings"]["num_train_epochs"] == plan["num_train_epochs"]
    checkpoint = torch.load(folder / "command" / "checkpoint.pt", weights_only=True)
    assert checkpoint["settings"]["num_processes"] == 2


def test_both_processes_train_for_the_epochs_that_the_first_one_planned(two_processes):
    folder, ranks = two_processes
    plan = json.loads((folder / "planned" / "plan.json").read_text())
    assert [each["planned"] for each in ranks] == [plan["num_train_epochs"]] * 2


def kill_and_resume(folder: Path, kills: int) -> list[dict]:
    seed = random.SystemRandom().randrange(10_000)
    print(f"seed {seed}")
    command = [HERE / "pretraining_kill_worker.py", folder, str(seed), str(kills)]
    finished = warm_python.run(command, ENVIRONMENT, check=True)
    rows = json.loads(finished.stdout.splitlines()[-1])
    print(*rows, sep="\n")
    return rows


def test_killed_training_ends_with_the_same_weights(tmp_path):
    """One kill for each self-supervised objective; the seed of the moments is printed."""
    rows = kill_and_resume(tmp_path, 3)
    assert all(row["equal"] and not row["left"] for row in rows)


@pytest.mark.slow
def test_training_killed_thirty_times_ends_with_the_same_weights(tmp_path):
    rows = kill_and_resume(tmp_path, 30)
    assert all(row["equal"] and not row["left"] for row in rows)
    assert sum(row["killed"] and bool(row["steps"]) for row in rows) >= 10  # in the middle of training


def recipe(dataset: Path, output_dir: Path, epochs: int, *options: str) -> list[str]:
    return [
        *("recipes/pretrain.py", "--dataset_name", str(dataset), "--output_dir", str(output_dir)),
        *("--objective", "byol", "--architecture_arguments", '{"channels": [8, 8, 8, 16]}', "--image_size", "32"),
        *("--per_device_train_batch_size", "4", "--knn_epochs", "2", "--num_train_epochs", str(epochs), *options),
    ]


def group_is_empty(leader: int) -> bool:
    try:
        os.killpg(leader, 0)
    except ProcessLookupError:
        return True
    return False


def interrupt(command: list[str], output_dir: Path, signal_number: int) -> tuple[int, list[str]]:
    """Start a command, signal it as soon as it has written a log of its own, and return its end and last words."""
    log = output_dir / "log.json"
    before = log.stat().st_mtime_ns if log.exists() else 0
    process = warm_python.start(command, ENVIRONMENT, ROOT, own_group=True)
    while process.poll() is None and not (log.exists() and log.stat().st_mtime_ns > before):
        time.sleep(0.05)
    process.send_signal(signal_number)
    _, errors = process.communicate()
    deadline = time.monotonic() + 600  # a worker needs a moment to notice that it is alone
    while not group_is_empty(process.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert group_is_empty(process.pid), "a process was left behind"
    return process.returncode, errors.strip().splitlines()


def test_sigterm_and_ctrl_c_save_say_how_to_go_on_and_leave_no_process(image_folder, tmp_path):
    dataset = image_folder({"train": 8, "test": 2})
    command = recipe(dataset, tmp_path, 100_000, "--dataloader_num_workers", "1", "--save_minutes", "100")
    steps = []
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        code, lines = interrupt(command, tmp_path, signal_number)
        assert code == 128 + signal_number, lines[-20:]
        assert lines[-1] == "interrupted; run the same command again to resume"
        assert not any("Traceback" in line for line in lines)
        checkpoint = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
        steps.append(6 * len(checkpoint["log"]) + checkpoint["steps_of_epoch"])
    assert f"after {steps[0]} of 600000 steps" in "\n".join(lines)
    assert steps[1] > steps[0] > 0


@pytest.mark.slow
def test_the_command_killed_ten_times_writes_the_same_twin(image_folder, tmp_path):
    """From the first import to the last file of the twin's folder; the seed of the moments is printed."""
    dataset = image_folder({"train": 24, "test": 4})
    save_always = ("--save_minutes", "0")
    started = time.monotonic()
    warm_python.run(recipe(dataset, tmp_path / "whole", 6, *save_always), ENVIRONMENT, ROOT, check=True)
    seconds = time.monotonic() - started
    seed = random.SystemRandom().randrange(10_000)
    print(f"seed {seed}, {seconds:.1f} seconds uninterrupted")
    moments = random.Random(seed)
    killed = recipe(dataset, tmp_path / "killed", 6, *save_always)
    for _ in range(10):
        process = warm_python.start(killed, ENVIRONMENT, ROOT)
        time.sleep(moments.uniform(0.2, 0.9) * seconds)
        process.kill()
        process.wait()
    warm_python.run(killed, ENVIRONMENT, ROOT, check=True)
    folders = [tmp_path / name / "twin" for name in ("whole", "killed")]
    weights = [load_file(folder / "model.safetensors") for folder in folders]
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    results = [json.loads((folder / "training.json").read_text()) for folder in folders]
    for name in ("knn_accuracy", "untrained_knn_accuracy", "initial_knn_accuracy"):
        assert results[0][name] == results[1][name]
    rows = [[(row["loss"], row.get("knn_accuracy")) for row in result["log"]] for result in results]
    assert rows[0] == rows[1]
