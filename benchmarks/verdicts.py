"""How often the verdicts of a study err, in simulated studies of known truth.

    python benchmarks/verdicts.py --num_processes 2 --resume runs/verdicts.jsonl --markdown docs/statistics.md

Studies are simulated with 1 to 5 pretraining runs, 1 to 5 training seeds, 1 to 12 domains and 500 or 5,000 test
images, in four regimes of variation (`simulated.networks`), with no difference between the two sides and with
differences of 1, 2 and 5 points. Every interval that the package's functions give is compared with what is true in its
scope; a verdict errs where it misses that. First a few studies go the whole way, from per-image records of cells to a
page's verdicts, which must be the same. The same seed gives the same numbers. `--quick` does a fiftieth of the work.
`--resume FILE` stores every finished task there and does not repeat it.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from simulated.combinations import COLUMNS, ROWS, rates_of_error
from simulated.joint_families import FamilyCounts, compare_families
from simulated.networks import KINDS, REGIMES, Population
from simulated.rankings import DOMAINS as RANKED_DOMAINS
from simulated.rankings import METHODS, RankingCounts, rank_alike
from simulated.study_cells import require_same_verdicts
from simulated.tables import replace_between_markers
from simulated.verdict_counts import ONE_DOMAIN, ONE_KIND, TWO_KINDS, Counts, Key, Tally, Task, run_task
from simulated.verdict_tables import Entry, Ways, as_markdown
from tqdm import tqdm

DIFFERENCES = (1.0, 2.0, 5.0)
POWER_REGIMES = ("ImageNet", "small")
TILT = 1.5
"""Standard deviation over domains of the true difference, in points, where it varies."""
DOMAIN_STUDIES, GROUP_STUDIES, POWER_STUDIES = 2000, 500, 400
"""Of each regime; those over domains once more for true differences that vary."""
DOMAIN_BLOCK, GROUP_BLOCK = 100, 25
FAMILIES, FAMILY_BACKBONES, FAMILY_DIFFERENCES = 1000, (1, 5), (0.0, 2.0, 5.0)
WAY_REPETITIONS = 20_000
RANKINGS = 1000
QUICK = 0.02
CHAIN_DOMAINS, CHAIN_IMAGES = 6, 200


def main(arguments: Sequence[str] | None = None) -> None:
    options = _parser().parse_args(arguments)
    compared = _compare_with_chain(options.seed)
    tasks = _tasks(QUICK if options.quick else options.share, options.seed)
    totals: dict[tuple[Any, ...], tuple[dict[str, Any], Counts]] = {}
    for task, tally in run_tasks(tasks, options.num_processes, options.resume):
        population = {name: value for name, value in asdict(task).items() if name not in ("block", "repetitions")}
        for key, counts in tally.items():
            names = population | asdict(key)
            totals.setdefault(tuple(names.values()), (names, Counts()))[1].add(counts)
    entries: list[Entry] = list(totals.values())
    ways = _compare_ways(options)
    rankings = _rank_alike(QUICK if options.quick else options.share, options)
    families = _compare_families(round(FAMILIES * (QUICK if options.quick else options.share)), options)
    command = "python benchmarks/verdicts.py " + " ".join(sys.argv[1:] if arguments is None else arguments)
    text = as_markdown(entries, rankings, families, ways, command.strip(), compared)
    if options.markdown is None:
        print(text)
    else:
        replace_between_markers(options.markdown, text)


def _compare_with_chain(seed: int) -> int:
    """Send studies from cells with records to a page's verdicts, and return how many verdicts are the same."""
    compared = 0
    for index, (regime, runs, seeds) in enumerate(product(REGIMES, (1, 3), (1, 2))):
        generator = np.random.default_rng([seed, index])
        study = Population(REGIMES[regime], 2.0, TILT, KINDS).draw(runs, seeds, CHAIN_DOMAINS, CHAIN_IMAGES, generator)
        compared += require_same_verdicts(study, runs, seeds, CHAIN_DOMAINS, CHAIN_IMAGES)
    return compared


def _compare_families(repetitions: int, options: argparse.Namespace) -> list[FamilyCounts]:
    """Judge families of verdicts by Holm and by the largest statistic."""
    cases = list(product(FAMILY_BACKBONES, FAMILY_DIFFERENCES))
    with ProcessPoolExecutor(options.num_processes) as pool:
        futures = [pool.submit(compare_families, *case, max(5, repetitions), options.seed) for case in cases]
        return [future.result() for future in futures]


def _rank_alike(share: float, options: argparse.Namespace) -> list[RankingCounts]:
    """Rank methods that are alike."""
    cases = product(METHODS, RANKED_DOMAINS, REGIMES)
    with ProcessPoolExecutor(options.num_processes) as pool:
        repetitions = max(5, round(RANKINGS * share))
        return [
            each.result() for each in [pool.submit(rank_alike, *case, repetitions, options.seed) for case in cases]
        ]


def _compare_ways(options: argparse.Namespace) -> Ways:
    """Find how often each way to combine rows and columns errs."""
    designs = list(product(ROWS, COLUMNS))
    with ProcessPoolExecutor(options.num_processes) as pool:
        futures = [pool.submit(rates_of_error, *design, WAY_REPETITIONS, options.seed) for design in designs]
        return {design: future.result() for design, future in zip(designs, futures, strict=True)}


def _tasks(share: float, seed: int) -> list[Task]:
    """Return the tasks, the longest first, so that processes finish together."""
    tasks: list[Task] = []

    def add(layout: str, regime: str, difference: float, tilt: float, studies: int, block: int) -> None:
        left = max(5, round(studies * share))
        for number, start in enumerate(range(0, left, block)):
            tasks.append(Task(layout, regime, difference, tilt, number, min(block, left - start), seed))

    for layout in (TWO_KINDS, ONE_KIND):
        for tilt in (0.0, TILT):
            for regime in REGIMES:
                add(layout, regime, 0.0, tilt, GROUP_STUDIES, GROUP_BLOCK)
    for regime in REGIMES:
        add(ONE_DOMAIN, regime, 0.0, 0.0, DOMAIN_STUDIES, DOMAIN_BLOCK)
    for regime in POWER_REGIMES:
        for difference in DIFFERENCES:
            add(ONE_KIND, regime, difference, TILT, POWER_STUDIES, GROUP_BLOCK)
            add(ONE_DOMAIN, regime, difference, 0.0, POWER_STUDIES, DOMAIN_BLOCK)
    return tasks


def run_tasks(tasks: Sequence[Task], processes: int, resume: Path | None) -> Iterator[tuple[Task, Tally]]:
    """Yield every task's counts; `resume` reads those of finished tasks and appends new ones."""
    finished = {} if resume is None else _finished(resume)
    for task in tasks:
        if task in finished:
            yield task, finished[task]
    left = [task for task in tasks if task not in finished]
    with ProcessPoolExecutor(processes) as pool, tqdm(total=len(left), disable=None) as bar:
        for task, tally in zip(left, pool.map(run_task, left), strict=True):
            if resume is not None:
                resume.parent.mkdir(parents=True, exist_ok=True)
                rows = [[*asdict(key).values(), *asdict(counts).values()] for key, counts in tally.items()]
                with resume.open("a", encoding="utf-8") as file:
                    file.write(json.dumps({"task": list(asdict(task).values()), "rows": rows}) + "\n")
            bar.update()
            yield task, tally


def _finished(resume: Path) -> dict[Task, Tally]:
    lines = resume.read_text(encoding="utf-8").splitlines() if resume.exists() else []
    found = {}
    for text in lines:
        entry = json.loads(text)
        found[Task(*entry["task"])] = {Key(*row[:7]): Counts(*row[7:]) for row in entry["rows"]}
    return found


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="simulate a fiftieth of the studies")
    parser.add_argument("--share", type=float, default=1.0, help="simulate this share of the studies")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--num_processes", type=int, default=1)
    parser.add_argument("--resume", type=Path, help="file to store every finished task in")
    parser.add_argument("--markdown", type=Path, help="file in which the tables replace the part between the markers")
    return parser


if __name__ == "__main__":
    main()
