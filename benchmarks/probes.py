"""Time and memory of probes on frozen features, against scikit-learn and against the former loop over episodes.

    pip install -e '.[bench]'
    python benchmarks/probes.py --threads 1 --json runs/probes.json

Logistic regression is fitted for a whole grid of C: by this package, by scikit-learn's L-BFGS warm-started along the
grid in float64, and by its Newton-Cholesky solver where weights and intercepts are at most 1,000. All have the same
features, tolerance and threads and take turns; times are medians over rounds, by the clock and of the processors.
Ratios are by the latter, which also mean something on a machine that does other work, and by the clock on a GPU. Next
to them: by how much a contender's objective exceeds the lowest one at the worst C, how many fits did not converge, and
the validation accuracy at the C with the best validation likelihood. Memory is the growth of the peak over the loaded
features, in a separate process with two values of C; on a GPU that of the device, for this package.

`--every N` gives scikit-learn only every N-th value of C, from the largest down. Its fits then start farther from
their solutions, so each takes longer than on the whole grid, but all of them together less: the ratio is a lower
bound.

Nearest neighbours are found for k = 10, 20, 100 and 200; few-shot accuracies are of 600 episodes of 5 ways, 5 shots
and 15 queries. `--quick` uses small inputs; `--check` exits with 1 if a limit is missed.
"""

import argparse
import json
import platform
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from measured.bars import Bar
from measured.measuring import GIVE_BACK, in_fresh_process
from measured.probe_contenders import (
    CHOLESKY,
    LBFGS,
    OURS,
    Fitted,
    Floats,
    Labels,
    Size,
    episodes_one_by_one,
    episodes_ours,
    fit_ours,
    fit_scikit_learn,
    is_small,
    megabytes_of_fit,
    neighbours_ours,
    neighbours_scikit_learn,
    objective,
    seconds_of,
    simulated_features,
)
from threadpoolctl import threadpool_limits

from hf_sslgen.training.probe_defaults import INVERSE_REGULARISATION_GRID

DEFAULT = INVERSE_REGULARISATION_GRID
WIDE = tuple(float(value) for value in np.logspace(-5, 6, 45))
"""The grid of the preset `ssl-transfer-linear`."""

SIZES = {
    "few images": Size(100, 2048, 10, DEFAULT, True),
    "two classes": Size(300, 512, 2, DEFAULT, True),
    "everyday": Size(2000, 512, 10, DEFAULT, True),
    "everyday, wide": Size(1000, 2048, 10, WIDE, False),
    "many classes": Size(5000, 768, 100, DEFAULT, True),
    "wide grid": Size(2500, 512, 100, WIDE, False),
    "large": Size(10_000, 2048, 100, WIDE, False),
}
LIMITS = {name: Bar(5.0 if name == "large" else 1.0, at_least=True) for name in SIZES}
NEIGHBOURS = (10, 20, 100, 200)
VALIDATION_IMAGES = 2000
LONG = 1e9
"""Products N D K of sizes that are timed once."""


@dataclass(frozen=True)
class Row:
    """A contender on one problem; `faster` is how many times faster this package is, and `note` what else matters."""

    problem: str
    contender: str
    seconds: float
    processor_seconds: float
    faster: float | None
    megabytes: float | None
    note: str
    met: bool | None = None


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    torch.set_num_threads(options.threads)
    rows: list[Row] = []
    with threadpool_limits(options.threads):
        for name, size in SIZES.items():
            if options.only in name:
                rows += _regressions(name, _smaller(size) if options.quick else size, options)
        if options.only in "neighbours":
            rows += _neighbours(options)
        if options.only in "episodes":
            rows += _episodes(options)
    _print(rows, options)
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        device = torch.cuda.get_device_name() if torch.device(options.device).type == "cuda" else "CPU"
        content = {"device": device, "threads": options.threads, "python": platform.python_version()}
        content |= {"torch": torch.__version__, "quick": options.quick, "every": options.every}
        content["rows"] = [asdict(row) for row in rows]
        options.json.write_text(json.dumps(content, indent=1), encoding="utf-8")
    return int(options.check and any(row.met is False for row in rows))


def _smaller(size: Size) -> Size:
    return replace(
        size, num_images=min(size.num_images, 120), num_features=min(size.num_features, 48), grid=size.grid[::3]
    )


def _regressions(name: str, size: Size, options: argparse.Namespace) -> list[Row]:
    features, labels = simulated_features(size.num_images, size.num_features, size.num_classes, seed=0)
    validation = simulated_features(VALIDATION_IMAGES, size.num_features, size.num_classes, seed=1)
    thinned = replace(size, grid=size.grid[:: -options.every])
    calls: dict[str, Callable[[], Fitted]] = {
        OURS: lambda: fit_ours(features, labels, size, options.device),
        LBFGS: lambda: fit_scikit_learn(features, labels, thinned, "lbfgs"),
    }
    is_long = size.num_images * size.num_features * size.num_classes >= LONG
    if is_small(size) and not is_long:
        calls[CHOLESKY] = lambda: fit_scikit_learn(features, labels, thinned, "newton-cholesky")
    fitted: dict[str, Fitted] = {}

    def kept(contender: str) -> Callable[[], None]:
        return lambda: fitted.__setitem__(contender, calls[contender]())

    times = _times({contender: kept(contender) for contender in calls}, 1 if is_long else options.rounds, options)
    least = {
        value: min(objective(features, labels, size, one, value) for one in fitted.values()) for value in thinned.grid
    }
    rows = []
    for contender, one in fitted.items():
        excess = max(objective(features, labels, size, one, value) / best - 1 for value, best in least.items())
        accuracy = _validation_accuracy(one, *validation)
        note = f"objective +{max(excess, 0):.0e}, {one.not_converged} not converged, validation {accuracy:.1%}"
        measures_memory = not options.quick and contender != CHOLESKY
        megabytes = (
            in_fresh_process(megabytes_of_fit, contender, size, options.device, options.threads, environment=GIVE_BACK)
            if measures_memory
            else None
        )
        row = _row(str(size), contender, times, options, megabytes, note)
        if contender == LBFGS and row.faster is not None and not options.quick:
            row = replace(row, met=LIMITS[name].is_met(row.faster))
        rows.append(row)
    return rows


def _validation_accuracy(fitted: Fitted, features: Floats, labels: Labels) -> float:
    """Return the accuracy of the probe with the best likelihood."""
    scores = {}
    for value, (weights, intercepts) in fitted.probes.items():
        logits = torch.from_numpy(features.astype(np.float64) @ weights.T + intercepts)
        loss = float(torch.nn.functional.cross_entropy(logits, torch.from_numpy(labels)))
        scores[value] = loss, float((logits.argmax(dim=1).numpy() == labels).mean())
    return min(scores.values())[1]


def _neighbours(options: argparse.Namespace) -> list[Row]:
    num_images, num_queries, num_features = (300, 100, 32) if options.quick else (10_000, 2_000, 2_048)
    bank, labels = simulated_features(num_images, num_features, 100, seed=0)
    queries, _ = simulated_features(num_queries, num_features, 100, seed=1)
    found: dict[str, list[Floats]] = {}
    calls = {
        OURS: lambda: neighbours_ours(bank, labels, queries, 100, NEIGHBOURS, options.device),
        "scikit-learn, brute force": lambda: neighbours_scikit_learn(bank, labels, queries, NEIGHBOURS),
    }
    timed = {name: (lambda name=name, call=call: found.__setitem__(name, call())) for name, call in calls.items()}
    times = _times(timed, options.rounds, options)
    predictions = [[of_k.argmax(axis=1) for of_k in values] for values in found.values()]
    agreement = min(float(np.mean(mine == theirs)) for mine, theirs in zip(*predictions, strict=True))
    problem = f"{num_queries:,} queries among {num_images:,} x {num_features:,}, k = 10, 20, 100, 200"
    return [_row(problem, name, times, options, None, f"{agreement:.2%} of predictions agree") for name in calls]


def _episodes(options: argparse.Namespace) -> list[Row]:
    num_images, num_features, episodes = (600, 32, 20) if options.quick else (2_000, 2_048, 600)
    features, labels = simulated_features(num_images, num_features, 10, seed=0)
    found: dict[str, Floats] = {}
    calls = {
        OURS: lambda: episodes_ours(features, labels, episodes),
        "one by one": lambda: episodes_one_by_one(features, labels, episodes),
    }
    timed = {name: (lambda name=name, call=call: found.__setitem__(name, call())) for name, call in calls.items()}
    times = _times(timed, options.rounds, options)
    same = float(np.mean(found[OURS] == found["one by one"]))
    problem = f"{episodes} episodes of {num_images:,} x {num_features:,}"
    return [_row(problem, name, times, options, None, f"{same:.2%} of accuracies equal") for name in calls]


Times = dict[str, tuple[float, float]]


def _times(calls: Mapping[str, Callable[[], None]], rounds: int, options: argparse.Namespace) -> Times:
    """Return the median time of each call by the clock and of the processors; calls take turns."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            found[name].append(seconds_of(call, options.device))
            print(f"{name}: {found[name][-1][0]:.2f} s", file=sys.stderr)
    return {
        name: (statistics.median(wall for wall, _ in values), statistics.median(cpu for _, cpu in values))
        for name, values in found.items()
    }


def _row(
    problem: str, contender: str, times: Times, options: argparse.Namespace, megabytes: float | None, note: str
) -> Row:
    clock = 0 if torch.device(options.device).type == "cuda" else 1
    faster = None if contender == OURS else times[contender][clock] / times[OURS][clock]
    return Row(problem, contender, *times[contender], faster, megabytes, note)


def _print(rows: Sequence[Row], options: argparse.Namespace) -> None:
    if options.quick:
        print("Quick look at small inputs: the ratios mean nothing.\n")
    if options.every > 1:
        print(f"scikit-learn was given one in {options.every} values of C: ratios are lower bounds.\n")
    print("| problem | contender | seconds | of the processors | times faster | MB | |")
    print("|---|---|---:|---:|---:|---:|---|")
    for row in rows:
        faster = "" if row.faster is None else f"{row.faster:.1f}" + (" MISSED" if row.met is False else "")
        memory = "" if row.megabytes is None else f"{row.megabytes:,.0f}"
        cells = (row.problem, row.contender, f"{row.seconds:.3g}", f"{row.processor_seconds:.3g}", faster, memory)
        print(f"| {' | '.join(cells)} | {row.note} |")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small inputs, no memory, no limits")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a limit is missed")
    parser.add_argument("--only", default="", help="only problems whose name contains this")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="of all contenders")
    parser.add_argument("--device", default="cpu", help="where this package fits and searches (default: %(default)s)")
    parser.add_argument(
        "--rounds", type=int, default=3, help="turns of which the median is taken (default: %(default)s)"
    )
    parser.add_argument("--every", type=int, default=1, help="give scikit-learn only every N-th value of C")
    parser.add_argument("--json", type=Path, help="file for the numbers")
    return parser


if __name__ == "__main__":
    sys.exit(main())
