"""Run the benchmarks that a GPU should run, one after the other within six minutes, and tabulate what came out."""

import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

BENCHMARKS = Path(__file__).parents[1]
MOST_SECONDS = 360.0
POLL_SECONDS = 0.2
LINES_OF_ERROR = 12


@dataclass(frozen=True)
class Step:
    """One benchmark.

    Attributes:
        name: name in the table.
        command: arguments for Python.
        limit: seconds after which it is ended.
        writes_json: whether `--json FILE` is added.
    """

    name: str
    command: tuple[str, ...]
    limit: float
    writes_json: bool = True


@dataclass(frozen=True)
class Done:
    """A step that has been run.

    Attributes:
        outcome: `done`, `failed` or `out of time`.
        peak_memory_gb: highest memory in use on the GPU during the step, above that before it; None without a GPU.
        numbers: what the benchmark wrote as JSON.
        error: the last lines of a failed step's output.
    """

    name: str
    outcome: str
    seconds: float
    peak_memory_gb: float | None
    numbers: Any
    error: str


def steps(folder: Path, has_gpu: bool) -> list[Step]:
    """Return the benchmarks in the order of their importance; small ones without a GPU."""
    recipe = str(BENCHMARKS.parent / "recipes" / "finetune.py")
    finetune = (recipe, "--model_name_or_path", "twin-resnet18-simclr")
    data = ("--dataset_name", "digits", "--max_steps", "2", "--per_device_train_batch_size", "32")
    half = [
        Step(
            f"fine-tuning, two steps in {name}",
            (*finetune, *data, *options, "--output_dir", str(folder / name)),
            60,
            False,
        )
        for name, options in {
            "bf16": ("--bf16", "true"),
            "fp16" if has_gpu else "fp32": ("--fp16", "true") if has_gpu else (),
        }.items()
    ]
    device = ("--device", "cuda" if has_gpu else "cpu")
    little = () if has_gpu else ("--quick",)
    return [
        *half,
        Step(
            "whole analysis",
            (_script("analysis"), "--no_memory", *little, *(("--rounds", "5") if has_gpu else ())),
            100,
        ),
        Step(
            "fine-tuning",
            (_script("finetune"), *device, *(("--rounds", "3") if has_gpu else ("--quick", "--no_memory"))),
            120,
        ),
        Step(
            "probes", (_script("probes"), *device, *(("--every", "15", "--rounds", "1") if has_gpu else little)), 100
        ),
        Step("study with stored features", (_script("study"), "--domains", "digits", "--quick"), 100),
    ]


def _script(name: str) -> str:
    return str(BENCHMARKS / f"{name}.py")


def run(step: Step, folder: Path, seconds_left: float) -> Done:
    """Run one step and record what it took."""
    numbers = folder / f"{step.name.replace(' ', '-').replace(',', '')}.json"
    command = [sys.executable, *step.command, *(["--json", str(numbers)] if step.writes_json else [])]
    with _HighestUse() as use:
        started = time.perf_counter()
        # A session of its own, so that a late step ends with all the processes it has started.
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
        )
        try:
            output, _ = process.communicate(timeout=min(step.limit, seconds_left))
            outcome = "failed" if process.returncode else "done"
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
            outcome = "out of time"
        seconds = time.perf_counter() - started
    found = json.loads(numbers.read_text(encoding="utf-8")) if numbers.exists() else None
    error = "" if outcome == "done" else "\n".join(output.splitlines()[-LINES_OF_ERROR:])
    return Done(step.name, outcome, round(seconds, 1), use.peak_gb, found, error)


class _HighestUse:
    """Watch the memory in use on the GPU, by all processes, within a block."""

    def __init__(self) -> None:
        self.has_gpu, self.done = torch.cuda.is_available(), threading.Event()
        self.before = self.highest = self._used()
        self.thread = threading.Thread(target=self._watch, daemon=True)

    def _used(self) -> int:
        if not self.has_gpu:
            return 0
        free, total = torch.cuda.mem_get_info()
        return total - free

    def _watch(self) -> None:
        while not self.done.wait(POLL_SECONDS):
            self.highest = max(self.highest, self._used())

    def __enter__(self) -> "_HighestUse":
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.done.set()
        self.thread.join()

    @property
    def peak_gb(self) -> float | None:
        return round((self.highest - self.before) / 1e9, 2) if self.has_gpu else None


def table(done: Sequence[Done], device: str) -> str:
    """Return what was run as a Markdown table, and below it the errors."""
    lines = [f"{device}, torch {torch.__version__}, Python {platform.python_version()}.", ""]
    lines += ["| step | outcome | s | peak GPU memory, GB |", "|---|---|---:|---:|"]
    for each in done:
        memory = "" if each.peak_memory_gb is None else f"{each.peak_memory_gb:.2f}"
        lines.append(f"| {each.name} | {each.outcome} | {each.seconds:.0f} | {memory} |")
    for each in done:
        for row in each.numbers.get("rows", []) if isinstance(each.numbers, dict) else each.numbers or []:
            shown = {key: f"{value:.4g}" if isinstance(value, float) else value for key, value in row.items()}
            lines += ["", f"{each.name}: " + ", ".join(f"{key} {value}" for key, value in shown.items())]
        if each.error:
            lines += ["", f"{each.name}:", "", *(f"    {line}" for line in each.error.splitlines())]
    return "\n".join(lines) + "\n"


def main(folder: Path) -> int:
    """Run all steps; returns 1 if one failed."""
    has_gpu = torch.cuda.is_available()
    device = torch.cuda.get_device_name() if has_gpu else f"no GPU: small sizes on a CPU ({platform.machine()})"
    folder.mkdir(parents=True, exist_ok=True)
    started, done = time.perf_counter(), list[Done]()
    with tempfile.TemporaryDirectory() as temporary:
        for step in steps(Path(temporary), has_gpu):
            left = MOST_SECONDS - (time.perf_counter() - started)
            if left > 0:
                done.append(run(step, Path(temporary), left))
                print(f"{done[-1].name}: {done[-1].outcome}, {done[-1].seconds:.0f} s", flush=True)
            else:
                done.append(Done(step.name, "out of time", 0.0, None, None, ""))
            content = {"device": device, "torch": torch.__version__, "steps": [asdict(each) for each in done]}
            (folder / "gpu.json").write_text(json.dumps(content, indent=1), encoding="utf-8")
            (folder / "gpu.md").write_text(table(done, device), encoding="utf-8")
    print(f"\n{(folder / 'gpu.md').read_text(encoding='utf-8')}")
    return int(any(each.outcome == "failed" for each in done))


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
