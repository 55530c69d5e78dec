"""Bias and error of every estimator, and coverage of every interval, on data of known truth.

    python benchmarks/estimator_quality.py --markdown docs/estimators.md --json runs/estimators.json

Every number of `hf_sslgen.metrics` is measured on samples of 200, 1,000 and 5,000 (targets: 3 to 8) against its own
population value, and so is every interval that the toolkit prints: those of the results, the bootstrap of studies and
reports, and Student's and Welch's t over targets. An interval should hold the truth in 92 to 97% of samples; those
that don't are listed at the end. The same seed gives the same numbers. `--quick` is a tenth of the work.
"""

import argparse
import json
import sys
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path

from simulated.repetitions import Row, repeat
from simulated.scenarios import SCENARIOS
from simulated.tables import as_markdown, is_covered, replace_between_markers
from simulated.targets import TargetScenario
from tqdm import tqdm

SAMPLE_SIZES = (200, 1000, 5000)
TARGET_COUNTS = (3, 4, 6, 8)
REPETITIONS, LARGE_REPETITIONS = 2000, 1000  # of sizes up to LARGE, and above
LARGE = 1000
MAX_PROCESSES = 2

Task = tuple[str, int, int, int]


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    chosen = [name for name in SCENARIOS if options.only in name]
    if not chosen:
        sys.exit(f"no scenario's name holds {options.only!r}; there are: {', '.join(SCENARIOS)}")
    tasks = [
        (name, n, options.repetitions or _repetitions(n, options.quick), options.seed)
        for name in chosen
        for n in _sizes(name, options.sizes)
    ]
    rows = [row for found in _run(tasks, options.processes) for row in found]

    command = "python benchmarks/estimator_quality.py " + " ".join(sys.argv[1:] if arguments is None else arguments)
    descriptions = {name: SCENARIOS[name][1] for name in chosen}
    text = as_markdown(rows, descriptions, command.strip())
    if options.markdown is None:
        print(text)
    else:
        replace_between_markers(options.markdown, text)
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        content = {"command": command, "seed": options.seed, "rows": [asdict(row) for row in rows]}
        options.json.write_text(json.dumps(content, indent=1), encoding="utf-8")
    outside = sum(not is_covered(row) for row in rows if row.interval)
    print(f"{outside} of {sum(bool(row.interval) for row in rows)} intervals cover less than 92% or more than 97%")


def run_task(task: Task) -> list[Row]:
    """All rows of one scenario at one sample size."""
    name, n, repetitions, seed = task
    with tqdm(total=repetitions, desc=f"{name}, n = {n}", disable=None, leave=False) as bar:
        return repeat(SCENARIOS[name][0], n, repetitions, [seed, zlib.crc32(name.encode()), n], bar.update)


def _run(tasks: Sequence[Task], processes: int) -> Iterator[list[Row]]:
    if processes == 1:
        yield from map(run_task, tasks)
        return
    with ProcessPoolExecutor(min(processes, MAX_PROCESSES)) as pool:
        yield from pool.map(run_task, tasks)


def _sizes(name: str, sizes: Sequence[int] | None) -> Sequence[int]:
    if isinstance(SCENARIOS[name][0], TargetScenario):
        return TARGET_COUNTS
    return sizes or SAMPLE_SIZES


def _repetitions(n: int, quick: bool) -> int:
    repetitions = REPETITIONS if n <= LARGE else LARGE_REPETITIONS
    return repetitions // 10 if quick else repetitions


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a tenth of the data sets")
    parser.add_argument(
        "--repetitions",
        type=int,
        help=f"data sets per scenario and size, {REPETITIONS} (above n = {LARGE}: {LARGE_REPETITIONS}) by default",
    )
    parser.add_argument("--sizes", type=int, nargs="+", help=f"sample sizes, {SAMPLE_SIZES} by default")
    parser.add_argument("--only", default="", help="only scenarios whose name holds this")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, choices=range(1, MAX_PROCESSES + 1), default=1)
    parser.add_argument("--markdown", type=Path, help="file whose part between the markers is replaced by the tables")
    parser.add_argument("--json", type=Path, help="file to write all rows to")
    return parser


if __name__ == "__main__":
    main()
