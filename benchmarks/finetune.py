"""Speed and memory of fine-tuning, compared with a bare PyTorch loop, synthetic tensors and transformers' example.

    python benchmarks/finetune.py --json runs/finetune.json

Five contenders train one network on the same pictures, with the same batch size, precision and optimiser, in turns:

- the recipe, once its cache holds the decoded pictures, and in its first epoch, in which it decodes them;
- a bare loop over the recipe's own samples, in the recipe's order and from the same cache;
- the same loop on one batch of noise that is already on the device;
- transformers' example of image classification as documented: transforms for each image, and the default Trainer.

The first step of a run is not timed. Speeds are medians over runs, ratios medians of the ratios of each round. Memory
is the growth of the peak during a run in a process of its own, or on a GPU the peak of what torch allocates.
"""

import argparse
import json
import platform
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from measured.bars import Bar
from measured.measuring import GIVE_BACK, in_fresh_process
from measured.training import (
    BARE,
    EXAMPLE,
    FIRST_EPOCH,
    RECIPE,
    SYNTHETIC,
    Contenders,
    Task,
    growth_of_peak,
    write_pictures,
)
from measured.workloads import DTYPES, WORKLOADS
from tqdm import tqdm

CONTENDERS = (RECIPE, FIRST_EPOCH, BARE, SYNTHETIC, EXAMPLE)
BARS = {
    BARE: Bar(0.95, at_least=True),
    SYNTHETIC: Bar(0.9, at_least=True),
    EXAMPLE: Bar(1.3, at_least=True),
}
"""Limits of the recipe's speed relative to the others'."""

QUICK_BATCH, QUICK_STEPS, BATCHES = 2, 2, 4
MEGABYTE = 1e6


@dataclass(frozen=True)
class Measured:
    """A contender on one network.

    Attributes:
        images_per_second: median over runs.
        recipe_over_it: median of the recipe's speed divided by this contender's.
        growth: growth of peak memory in MB, or its peak on a GPU; None if not measured.
    """

    network: str
    precision: str
    batch_size: int
    contender: str
    images_per_second: float
    recipe_over_it: float
    growth: float | None


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    device = torch.device(options.device or ("cuda" if torch.cuda.is_available() else "cpu"))
    if options.threads:
        torch.set_num_threads(options.threads)
    precision = options.dtype or ("bf16" if device.type == "cuda" else "fp32")
    facts = {
        "quick": options.quick,
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else str(device),
        "clock": options.clock,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
    rows: list[Measured] = []
    for name in [name for name in WORKLOADS if options.only in name]:
        with tempfile.TemporaryDirectory() as temporary:
            rows += measured(name, precision, device, Path(temporary), options)
        if options.json is not None:  # after each network, in case there is no time for the next
            options.json.parent.mkdir(parents=True, exist_ok=True)
            content = facts | {"rows": [asdict(row) for row in rows]}
            options.json.write_text(json.dumps(content, indent=1), encoding="utf-8")
    _print(rows, facts)
    return int(options.check and not options.quick and bool(missed(rows)))


def measured(
    name: str, precision: str, device: torch.device, folder: Path, options: argparse.Namespace
) -> list[Measured]:
    """Measure a row for each contender."""
    workload = WORKLOADS[name]
    usual = workload.batch_size if device.type == "cpu" else workload.accelerator_batch_size
    batch_size = QUICK_BATCH if options.quick else options.batch_size or usual
    steps = QUICK_STEPS if options.quick else options.steps
    pictures, scratch = folder / "pictures", folder / "scratch"
    scratch.mkdir()
    write_pictures(pictures, BATCHES * batch_size, workload.side)
    task = Task(workload, precision, device, pictures, batch_size, steps, options.clock)
    calls = Contenders(task, scratch).calls()
    speeds: dict[str, list[float]] = {contender: [] for contender in calls}
    growth: dict[str, float] = {}
    on_gpu = device.type == "cuda"
    rounds = 1 if options.quick else options.rounds
    for turn in tqdm(range(rounds + 1), desc=f"{name}, {precision}", disable=None, leave=False):
        for contender, call in calls.items():
            if on_gpu:
                torch.cuda.reset_peak_memory_stats()
            seconds = call()
            if on_gpu:
                growth[contender] = torch.cuda.max_memory_allocated() / MEGABYTE
            if turn:  # the first one warms up and fills the cache
                speeds[contender].append((steps - 1) * batch_size / seconds)
    for contender in () if on_gpu or options.no_memory else calls:
        threads = torch.get_num_threads()
        bytes_more = in_fresh_process(growth_of_peak, contender, task, scratch, threads, environment=GIVE_BACK)
        growth[contender] = bytes_more / MEGABYTE
    return [
        Measured(
            network=name,
            precision=precision,
            batch_size=batch_size,
            contender=contender,
            images_per_second=statistics.median(found),
            recipe_over_it=statistics.median(ours / its for ours, its in zip(speeds[RECIPE], found, strict=True)),
            growth=growth.get(contender),
        )
        for contender, found in speeds.items()
    ]


def missed(rows: Sequence[Measured]) -> list[str]:
    """Name the limits that the recipe misses."""
    return [
        f"{row.network} in {row.precision}: {row.recipe_over_it:.2f} of {row.contender} ({BARS[row.contender]})"
        for row in rows
        if row.contender in BARS and not BARS[row.contender].is_met(row.recipe_over_it)
    ]


def _print(rows: Sequence[Measured], facts: dict[str, object]) -> None:
    if facts["quick"]:
        print("Quick look: the ratios mean nothing.\n")
    print(f"{facts['device']}, {facts['threads']} threads, torch {facts['torch']}, {facts['clock']} time.\n")
    print("| network | precision | batch | contender | images/s | recipe / it | limit | memory, MB |")
    print("|---|---|---:|---|---:|---:|---|---:|")
    for row in rows:
        limit = BARS.get(row.contender, "")
        growth = "" if row.growth is None else f"{row.growth:.0f}"
        print(
            f"| {row.network} | {row.precision} | {row.batch_size} | {row.contender} | {row.images_per_second:.1f} "
            f"| {row.recipe_over_it:.2f} | {limit} | {growth} |"
        )
    if not facts["quick"]:
        print(f"\nLimits missed: {'; '.join(missed(rows)) or 'none'}.")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_STEPS} steps of {QUICK_BATCH} images, one round")
    parser.add_argument("--only", default="", help="only networks whose name contains this")
    parser.add_argument("--device", help="torch device (default: a GPU if there is one)")
    parser.add_argument("--dtype", choices=list(DTYPES), help="precision (default: bf16 on a GPU, else fp32)")
    parser.add_argument("--batch_size", type=int, help="images per batch (default: the network's own number)")
    parser.add_argument("--steps", type=int, default=8, help="steps of a run, of which the first is not timed")
    parser.add_argument("--rounds", type=int, default=5, help="number of runs per contender")
    parser.add_argument("--threads", type=int, help="number of torch threads (default: torch's choice)")
    parser.add_argument(
        "--clock", choices=["wall", "cpu"], default="wall", help="cpu: the process's own time, for a shared machine"
    )
    parser.add_argument("--no_memory", action="store_true", help="measure only speed")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a limit is missed")
    parser.add_argument("--json", type=Path, help="file to write the numbers to")
    return parser


if __name__ == "__main__":
    sys.exit(main())
