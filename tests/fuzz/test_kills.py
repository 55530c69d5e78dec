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
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path

import pandas as pd
import pytest

from hf_sslgen.command_line import run_command

SEED = 20261127
PRELOADED = [
    *(f"hf_sslgen.commands.{name}" for name in ("finetune", "pretrain", "analyze", "compare", "study")),
    "pyarrow.parquet",
    "timm",
    "transformers.models.timm_wrapper.modeling_timm_wrapper",
]
KILLS = {"finetune": 16, "two finetunes": 14, "pretrain": 8, "analyze": 10, "compare": 6, "study --workers": 6}
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


@dataclass
class Tally:
    """What became of the kills: `hit` a working process, or came after it had ended."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)

    def note(self, kind: str, process: BaseProcess) -> None:
        self.counts[kind, "hit" if process.exitcode == -signal.SIGKILL else "too late"] += 1


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


def kill(process: BaseProcess) -> None:
    """SIGKILL to a process and to those that it started."""
    assert process.pid is not None
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:  # it has ended, or does not lead a group yet
        process.kill()
    process.join()


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


def run_and_kill(command: Command, folder: Path, kills: int, moments: random.Random, kind: str, tally: Tally) -> None:
    """Kill one run after another in the same folder, then let one end."""
    for _ in range(kills):
        process = launch(command, folder)
        time.sleep(moments.uniform(0.05, 1.0) * command.seconds)
        kill(process)
        tally.note(kind, process)
    finish(command, folder)


def two_at_once(command: Command, folder: Path, moments: random.Random, tally: Tally) -> None:
    """Of two, one is refused, or reads what the other has finished; one is killed at a random moment."""
    first = launch(command, folder)
    time.sleep(moments.choice([0.0, 0.01, moments.uniform(0, command.seconds / 2)]))
    second = launch(command, folder)
    victim, other = moments.choice([(first, second), (second, first)])
    time.sleep(moments.uniform(0.05, 1.0) * command.seconds)
    kill(victim)
    other.join(900)
    tally.note("two finetunes", victim)
    assert other.exitcode in (0, 2)
    finish(command, folder)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_killed_at_random_moments_every_command_ends_as_if_undisturbed(
    finetuning: Command,
    network: list[str],
    study_file: Callable[..., Path],
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    moments, tally = random.Random(SEED), Tally()
    base = tmp_path_factory.mktemp("undisturbed")

    for number in range(KILLS["finetune"] // 2):
        folder = tmp_path / f"finetune-{number}"
        run_and_kill(finetuning, folder, 2, moments, "finetune", tally)
        assert_ended_as(folder, finetuning.folder, FINETUNED)
    for number in range(KILLS["two finetunes"]):
        folder = tmp_path / f"two-{number}"
        two_at_once(finetuning, folder, moments, tally)
        assert_ended_as(folder, finetuning.folder, FINETUNED)

    pretraining = measured(
        "pretrain",
        [
            *("--objective", "simclr", "--dataset_name", "photo-patches", "--samples_per_class", "8"),
            *("--architecture_arguments", '{"channels": [8, 8, 8, 16]}', "--image_size", "32", "--knn_epochs", "0"),
            *("--per_device_train_batch_size", "16", "--num_train_epochs", "4", "--save_minutes", "0"),
        ],
        base / "pretrain",
    )
    for number in range(KILLS["pretrain"] // 2):
        folder = tmp_path / f"pretrain-{number}"
        run_and_kill(pretraining, folder, 2, moments, "pretrain", tally)
        assert_ended_as(folder, pretraining.folder, ("twin/model.safetensors", "twin/config.json"))

    trained = ["--model_name_or_path", str(finetuning.folder)]
    analysis = measured("analyze", [*trained, *DIGITS, "--batch_size", "10"], base / "analyze")
    for number in range(KILLS["analyze"] // 2):
        folder = tmp_path / f"analyze-{number}"
        if number % 2:  # into a folder of finished results, which are replaced
            finish(analysis, folder)
        run_and_kill(analysis, folder, 2, moments, "analyze", tally)
        assert_ended_as(folder, analysis.folder, ANALYSED)

    twins = ["--twin_set", "resnet18-tiny-imagenet-100", *DIGITS, "--seed", "0"]
    comparison = measured("compare", twins, base / "compare")
    folder = tmp_path / "compare"
    run_and_kill(comparison, folder, KILLS["compare"], moments, "compare", tally)
    assert_ended_as(folder, comparison.folder, COMPARED)

    study = measured("study", [str(study_file()), "--workers", "2"], base / "study")
    for number in range(2):
        folder = tmp_path / f"study-{number}"
        run_and_kill(study, folder, KILLS["study --workers"] // 2, moments, "study --workers", tally)
        assert_ended_as(folder, study.folder, COMPARED)

    print(f"\n{json.dumps({f'{kind}, {what}': count for (kind, what), count in sorted(tally.counts.items())})}")
    assert sum(tally.counts.values()) == sum(KILLS.values()) >= 60
    assert sum(count for (_, what), count in tally.counts.items() if what == "hit") > 40


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_two_processes_of_one_launch_are_killed_and_resumed(network: list[str], tmp_path: Path) -> None:
    """Under torchrun: one claim for both, each one's random state in the checksums, and the same end."""
    worker = Path(__file__).parents[2] / "recipes" / "finetune.py"
    options = [*network, *DIGITS, "--use_cpu", "--num_train_epochs", "3", "--per_device_train_batch_size", "5"]
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc_per_node=2", str(worker)]
    environment = {**os.environ, "ACCELERATE_USE_CPU": "1", "OMP_NUM_THREADS": "1"}

    def start(folder: Path) -> subprocess.Popen[bytes]:
        command = [*torchrun, *options, "--report_to", "none", "--output_dir", str(folder)]
        return subprocess.Popen(command, env=environment, start_new_session=True, stderr=subprocess.DEVNULL)

    assert start(tmp_path / "whole").wait() == 0
    listed = json.loads((tmp_path / "whole" / "checkpoint-9" / "checksums.json").read_text())["files"]
    assert {"rng_state_0.pth", "rng_state_1.pth"} <= listed.keys()
    killed = start(tmp_path / "killed")
    while not list((tmp_path / "killed").glob("checkpoint-*/checksums.json")) and killed.poll() is None:
        time.sleep(0.01)
    assert start(tmp_path / "killed").wait() != 0  # refused: the first one is at work
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    assert start(tmp_path / "killed").wait() == 0
    assert_ended_as(tmp_path / "killed", tmp_path / "whole", FINETUNED)
