"""Commands that are killed (SIGKILL) at random moments and run again end as undisturbed ones do.

Nothing is lost, doubled or wrong, and nothing is left over: the files of an output folder are those of an undisturbed
run, and what they say is the same to the last bit but for times.
"""

import json
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

import pandas as pd
import pytest

from hf_sslgen.command_line import run_command

pytestmark = pytest.mark.slow

SEED = 20261127
"""Of the moments of the 60 kills."""

PRELOADED = [
    *(f"hf_sslgen.commands.{name}" for name in ("finetune", "pretrain", "analyze", "compare", "study")),
    "pyarrow.parquet",
    "timm",
    "transformers.models.timm_wrapper.modeling_timm_wrapper",
]
DIGITS = [
    "--dataset_name",
    "digits",
    "--samples_per_class",
    "3",
    "--max_eval_samples",
    "20",
    "--max_test_samples",
    "40",
]
TIMED = ("seconds", "time", "created")
"""Parts of the names of columns that tell times, which no two runs share."""


@dataclass(frozen=True)
class Command:
    """A command, and how long it takes undisturbed in the folder that the others are compared with."""

    module: str
    options: list[str]
    folder: Path
    seconds: float


def launch(command: Command, folder: Path) -> BaseProcess:
    """The command in a process of its own, forked from one that has imported everything, so that it starts at once."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    options = [*command.options, "--output_dir", str(folder)]
    process = context.Process(target=_run, args=(command.module, options))
    process.start()
    return process


def _run(module: str, options: list[str]) -> None:
    os.setpgrp()  # so that its workers can be killed with it
    run_command(module, options)


def kill(process: BaseProcess, tally: Counter[str]) -> None:
    """SIGKILL to a process and to those that it started."""
    assert process.pid is not None
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:  # it has ended, or does not lead a group yet
        process.kill()
    process.join()
    tally["hit" if process.exitcode == -signal.SIGKILL else "too late"] += 1


def finish(command: Command, folder: Path) -> None:
    process = launch(command, folder)
    process.join(900)
    assert process.exitcode == 0, f"{command.module} ended with {process.exitcode}"


def measured(module: str, options: list[str], folder: Path) -> Command:
    """Run a command undisturbed, once to warm up and once to be timed and compared with."""
    command = Command(f"hf_sslgen.commands.{module}", options, folder, 0.0)
    finish(command, folder)
    shutil.rmtree(folder)
    started = time.monotonic()
    finish(command, folder)
    return Command(command.module, options, folder, time.monotonic() - started)


def names(folder: Path) -> set[str]:
    """All there is, but the Trainer's logs, whose names tell times."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if "events.out" not in path.name}


def same(first: Path, second: Path) -> bool:
    """Whether two files say the same, but for times."""
    if first.suffix == ".parquet":
        return pd.read_parquet(first).equals(pd.read_parquet(second))
    if first.suffix == ".csv":
        frames = [pd.read_csv(path) for path in (first, second)]
        kept = [name for name in frames[0].columns if not any(part in name for part in TIMED)]
        return frames[0][kept].equals(frames[1][kept])
    return first.read_bytes() == second.read_bytes()


def assert_ended_as(folder: Path, undisturbed: Path, compared: tuple[str, ...]) -> None:
    assert names(folder) == names(undisturbed)
    for pattern in compared:
        files = sorted(undisturbed.glob(pattern))
        assert files, pattern
        for file in files:
            assert same(folder / file.relative_to(undisturbed), file), file.name


FINETUNED = ("model.safetensors", "config.json", "results.json", "predictions.parquet", "run.json")
ANALYSED = ("results.json", "records.parquet", "figures/*.png")
COMPARED = ("cells/*/results.json", "cells/*/records.parquet", "results.csv", "comparisons.csv")


@pytest.fixture(scope="module")
def network(small_backbones: dict[str, str]) -> list[str]:
    return ["--model_name_or_path", small_backbones["timm_resnet"]]


@pytest.fixture(scope="module")
def finetuning(network: list[str], tmp_path_factory: pytest.TempPathFactory) -> Command:
    quick = ["--use_cpu", "--num_train_epochs", "4", "--per_device_train_batch_size", "10", "--report_to", "none"]
    return measured("finetune", [*network, *DIGITS, *quick], tmp_path_factory.mktemp("kills") / "whole")


def run_and_kill(command: Command, folder: Path, kills: int, moments: random.Random, tally: Counter[str]) -> None:
    """Kill one run after another in the same folder, then let one end."""
    for _ in range(kills):
        process = launch(command, folder)
        time.sleep(moments.uniform(0.05, 1.0) * command.seconds)
        kill(process, tally)
    finish(command, folder)


@pytest.fixture(scope="module")
def moments() -> random.Random:
    return random.Random(SEED)


@pytest.fixture
def tally() -> Iterator[Counter[str]]:
    """How many kills hit a working process, and how many came after it had ended; said at the end."""
    counts: Counter[str] = Counter()
    yield counts
    print(f"\nkills: {dict(counts)}", flush=True)
    assert counts["hit"] >= 3, "too few kills came while the command was at work to say anything"


@pytest.mark.timeout(3600)
def test_finetunes_that_are_killed(finetuning, moments, tally, tmp_path) -> None:
    for number in range(8):
        folder = tmp_path / str(number)
        run_and_kill(finetuning, folder, 2, moments, tally)
        assert_ended_as(folder, finetuning.folder, FINETUNED)


@pytest.mark.timeout(3600)
def test_two_finetunes_at_once_of_which_one_is_killed(finetuning, moments, tally, tmp_path) -> None:
    """The other one is refused, or reads what the first has finished, or does the work."""
    for number in range(14):
        folder = tmp_path / str(number)
        first = launch(finetuning, folder)
        time.sleep(moments.choice([0.0, 0.01, moments.uniform(0, finetuning.seconds / 2)]))
        second = launch(finetuning, folder)
        victim, other = moments.choice([(first, second), (second, first)])
        time.sleep(moments.uniform(0.05, 1.0) * finetuning.seconds)
        kill(victim, tally)
        other.join(900)
        assert other.exitcode in (0, 2)
        finish(finetuning, folder)
        assert_ended_as(folder, finetuning.folder, FINETUNED)


@pytest.mark.timeout(3600)
def test_pretraining_that_is_killed(moments, tally, tmp_path) -> None:
    options = [
        *("--objective", "simclr", "--dataset_name", "photo-patches"),
        *("--architecture_arguments", '{"channels": [8, 8, 8, 16]}', "--image_size", "32", "--knn_epochs", "0"),
        *("--per_device_train_batch_size", "16", "--num_train_epochs", "4", "--save_minutes", "0"),
    ]
    pretraining = measured("pretrain", options, tmp_path / "whole")
    for number in range(4):
        folder = tmp_path / str(number)
        run_and_kill(pretraining, folder, 2, moments, tally)
        assert_ended_as(folder, pretraining.folder, ("twin/model.safetensors", "twin/config.json"))


@pytest.mark.timeout(3600)
def test_analyses_that_are_killed(finetuning, moments, tally, tmp_path) -> None:
    """Into an empty folder, and into one of finished results, which are replaced."""
    options = ["--model_name_or_path", str(finetuning.folder), *DIGITS, "--batch_size", "10"]
    analysis = measured("analyze", options, tmp_path / "whole")
    for number in range(5):
        folder = tmp_path / str(number)
        if number % 2:
            finish(analysis, folder)
        run_and_kill(analysis, folder, 2, moments, tally)
        assert_ended_as(folder, analysis.folder, ANALYSED)


@pytest.mark.timeout(3600)
def test_a_comparison_that_is_killed(moments, tally, tmp_path) -> None:
    comparison = measured("compare", ["--twin_set", "resnet18-tiny-imagenet-100", *DIGITS], tmp_path / "whole")
    for number in range(3):
        folder = tmp_path / str(number)
        run_and_kill(comparison, folder, 2, moments, tally)
        assert_ended_as(folder, comparison.folder, COMPARED)


@pytest.mark.timeout(3600)
def test_a_study_whose_workers_are_killed(study_file, moments, tally, tmp_path) -> None:
    study = measured("study", [str(study_file()), "--workers", "2"], tmp_path / "whole")
    for number in range(2):
        folder = tmp_path / str(number)
        run_and_kill(study, folder, 3, moments, tally)
        assert_ended_as(folder, study.folder, COMPARED)


@pytest.mark.timeout(1200)
def test_two_processes_of_one_launch_are_refused_killed_and_resumed(network, tmp_path, subprocess_that_holds) -> None:
    """Under torchrun: one claim for both, each one's random state in the checksums, and the same end."""
    worker = Path(__file__).parents[2] / "recipes" / "finetune.py"
    options = [*network, *DIGITS, "--use_cpu", "--num_train_epochs", "3", "--per_device_train_batch_size", "5"]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", str(worker)]
    environment = {**os.environ, "ACCELERATE_USE_CPU": "1", "OMP_NUM_THREADS": "1"}

    def start(folder: Path) -> subprocess.Popen[bytes]:
        command = [*torchrun, *options, "--report_to", "none", "--output_dir", str(folder)]
        return subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)

    assert start(tmp_path / "whole").wait() == 0
    listed = json.loads((tmp_path / "whole" / "checkpoint-9" / "checksums.json").read_text())["files"]
    assert {"rng_state_0.pth", "rng_state_1.pth"} <= listed.keys()
    killed = start(tmp_path / "killed")
    while not list((tmp_path / "killed").glob("checkpoint-*/checksums.json")) and killed.poll() is None:
        time.sleep(0.01)
    owner = json.loads((tmp_path / "killed" / ".claim.1.json").read_text())
    os.kill(owner["process"], signal.SIGKILL)  # the main process; torchrun then ends the other one
    assert killed.wait() != 0
    holder = subprocess_that_holds(tmp_path / "killed")
    before = names(tmp_path / "killed")
    assert start(tmp_path / "killed").wait() != 0
    assert names(tmp_path / "killed") == before
    holder.kill()
    holder.wait()
    assert start(tmp_path / "killed").wait() == 0
    assert_ended_as(tmp_path / "killed", tmp_path / "whole", FINETUNED)
