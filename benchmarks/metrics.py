"""Speed and memory of the metrics compared with other packages.

    pip install -e '.[bench]'
    python benchmarks/metrics.py --json runs/metrics.json

The script prints a table of ratios and the limits they must meet; `--check` exits with 1 if one is missed. Packages
that are not installed are reported as such. The contenders in a comparison take turns in one process, times are
medians, and memory is the growth of peak resident memory over the loaded inputs, in a separate process. `--quick`
shrinks the inputs to check that everything runs, which makes the ratios meaningless and disables limits.
"""

import argparse
import json
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path

from measured.bars import Bar
from measured.cases import CASES
from measured.measuring import GIVE_BACK, in_fresh_process, is_installed, median_seconds, peak_growth
from tqdm import tqdm

MEGABYTE = 1e6
SQUARE_MEGABYTES = 5_000**2 * 8 / MEGABYTE  # an N x N array of float64
ROUNDS = {"class probabilities": 5, "scalars": 15, "maps": 5, "pairs": 5, "narrow pairs": 3}
INSTALL = "pip install -e '.[bench]'"


class Kind(StrEnum):
    """The quantity in a row; the value is its unit."""

    SLOWER = "times the time"
    FASTER = "times faster"
    SECONDS_OVER = "s more than 3 times the time"
    MEGABYTES = "MB"


@dataclass(frozen=True)
class Comparison:
    """A row: a contender in one case, compared with a reference unless the row is about memory."""

    case: str
    contender: str
    kind: Kind
    reference: str = ""
    bar: Bar | None = None


@dataclass(frozen=True)
class Measured:
    """A row with its value; None, with a note, if a peer is missing."""

    what: str
    value: float | None
    unit: str
    bar: str
    met: bool | None
    note: str


PROBABILITIES, ONE_PASS = "class probabilities", "argmax + max + row sum"
COMPARISONS = (
    Comparison(PROBABILITIES, "ECE", Kind.SLOWER, ONE_PASS, Bar(2.0)),
    Comparison(PROBABILITIES, "ECE", Kind.MEGABYTES, bar=Bar(20.0)),
    Comparison(PROBABILITIES, "ECE", Kind.FASTER, "netcal", Bar(3.0, at_least=True)),
    Comparison(PROBABILITIES, "ECE", Kind.FASTER, "torchmetrics", Bar(3.0, at_least=True)),
    Comparison(PROBABILITIES, "netcal", Kind.MEGABYTES),
    Comparison(PROBABILITIES, "torchmetrics", Kind.MEGABYTES),
    Comparison(PROBABILITIES, "Brier score", Kind.SLOWER, ONE_PASS),
    Comparison(PROBABILITIES, "Brier score", Kind.MEGABYTES),
    Comparison(PROBABILITIES, "negative log-likelihood", Kind.SLOWER, ONE_PASS),
    Comparison(PROBABILITIES, "negative log-likelihood", Kind.MEGABYTES),
    Comparison("scalars", "evaluate", Kind.SECONDS_OVER, "ECE", Bar(0.2)),
    Comparison("maps", "all concentration numbers", Kind.FASTER, "quantus, map by map", Bar(30.0, at_least=True)),
    Comparison("maps", "all concentration numbers", Kind.FASTER, "quantus, formula on the batch"),
    Comparison("maps", "all concentration numbers", Kind.MEGABYTES),
    Comparison("pairs", "invariance", Kind.SLOWER, "cosines of all pairs"),
    Comparison("pairs", "invariance", Kind.MEGABYTES),
    Comparison("narrow pairs", "invariance", Kind.MEGABYTES, bar=Bar(SQUARE_MEGABYTES / 2.0)),
)
"""Features of 2,048 dimensions take more memory than an N x N array, so narrow ones are used to rule one out."""


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    cases = [case for case in CASES if options.only in case]
    rows = [row for row in COMPARISONS if row.case in cases]
    seconds: Found = {}
    megabytes: Found = {}
    with tqdm(total=len(cases) + len(rows), disable=None, leave=False) as bar:
        for case in cases:
            rounds = 1 if options.quick else ROUNDS[case]
            found = in_fresh_process(median_seconds, case, options.quick, rounds)
            seconds |= {(case, contender): value for contender, value in found.items()}
            bar.update()
        for row in rows:
            if row.kind is Kind.MEGABYTES and is_installed(CASES[row.case].contenders[row.contender]):
                grown = in_fresh_process(peak_growth, row.case, row.contender, options.quick, environment=GIVE_BACK)
                megabytes[row.case, row.contender] = grown / MEGABYTE
            bar.update()

    measured = [_measured(row, seconds, megabytes, options.quick) for row in rows]
    _print(measured, seconds, options.quick)
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        content = {
            "quick": options.quick,
            "python": platform.python_version(),
            "seconds": [{"case": case, "contender": name, "median": s} for (case, name), s in seconds.items()],
            "rows": [asdict(row) for row in measured],
        }
        options.json.write_text(json.dumps(content, indent=1), encoding="utf-8")
    return int(options.check and any(row.met is False for row in measured))


Found = dict[tuple[str, str], float]


def _measured(row: Comparison, seconds: Found, megabytes: Found, quick: bool) -> Measured:
    case = CASES[row.case]
    size = " x ".join(f"{side:,}" for side in (case.quick_sizes if quick else case.sizes))
    what = f"{row.case}, {size}: {row.contender}" + (f" against {row.reference}" if row.reference else "")
    bar = "" if row.bar is None else str(row.bar)
    names = [row.contender, row.reference] if row.reference else [row.contender]
    missing = [case.contenders[name].package for name in names if not is_installed(case.contenders[name])]
    if missing:
        return Measured(what, None, row.kind, bar, None, f"{missing[0]} is not installed: {INSTALL}")
    share = min(case.contenders[name].share for name in names)
    note = f"timed on {100.0 * share:g}% of the inputs and scaled" if share < 1.0 else ""
    value = _value(row, seconds, megabytes)
    met = None if row.bar is None or quick else row.bar.is_met(value)
    return Measured(what, value, row.kind, bar, met, note)


def _value(row: Comparison, seconds: Found, megabytes: Found) -> float:
    if row.kind is Kind.MEGABYTES:
        return megabytes[row.case, row.contender]
    mine, its = seconds[row.case, row.contender], seconds[row.case, row.reference]
    if row.kind is Kind.SECONDS_OVER:
        return mine - 3.0 * its
    return mine / its if row.kind is Kind.SLOWER else its / mine


def _print(rows: Sequence[Measured], seconds: Found, quick: bool) -> None:
    if quick:
        print("Quick look at small inputs: the ratios mean nothing.\n")
    print("| case | contender | median seconds |\n|---|---|---:|")
    for (case, contender), median in seconds.items():
        print(f"| {case} | {contender} | {median:.4f} |")
    print("\n| what | value | bar | met | note |\n|---|---:|---:|---|---|")
    for row in rows:
        value = "" if row.value is None else f"{row.value:.3g} {row.unit}"
        verdict = {True: "yes", False: "NO", None: ""}[row.met]
        print(f"| {row.what} | {value} | {row.bar} | {verdict} | {row.note} |")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small inputs, one round")
    parser.add_argument("--only", default="", help="only cases whose name contains this")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a limit is missed")
    parser.add_argument("--json", type=Path, help="file to write times and ratios to")
    return parser


if __name__ == "__main__":
    sys.exit(main())
