"""How often intervals over groups of images contain the truth, among the samples that get one.

    python benchmarks/grouped_intervals.py --samples 1000 --json runs/groups.json

K groups (patients, photographs) of equal, unequal or very unequal size are drawn with a known correlation between
images of one group. Each cell of the first table is the coverage and, in brackets, the share of samples that get an
interval; an interval over images is shown for comparison. The second table has the range over the correlations.
"""

import argparse
import json
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hf_sslgen.metrics.clusters import (
    GroupedInterval,
    grouped_class_share_interval,
    grouped_difference_interval,
    grouped_few_interval,
    grouped_mean_interval,
    grouped_share_interval,
)
from hf_sslgen.metrics.intervals import mean_interval

CORRELATIONS = (0.1, 0.3, 0.5, 0.9)
COUNTS = (10, 20, 50)
FEWEST = 0.05
"""Share of samples with an interval below which no coverage is shown."""

SUMMARISED = 0.2
"""Share of samples with an interval from which a coverage counts in the second table."""

Floats = NDArray[np.float64]
Groups = NDArray[np.int64]


class Drawing:
    """Images in groups, with random numbers that are correlated within a group."""

    def __init__(self, generator: np.random.Generator, sizes: Groups, correlation: float) -> None:
        self.generator, self.correlation = generator, correlation
        self.num_groups = len(sizes)
        self.groups = np.repeat(np.arange(self.num_groups), sizes)

    def normal(self) -> Floats:
        """(N,), standard normal."""
        own, common = self.generator.normal(size=len(self.groups)), self.generator.normal(size=self.num_groups)
        return np.sqrt(1.0 - self.correlation) * own + np.sqrt(self.correlation) * common[self.groups]

    def events(self, share: float | Floats) -> Floats:
        """(N,), 1 with this probability, which may differ between groups, and otherwise 0 (beta-binomial)."""
        factor = (1.0 - self.correlation) / self.correlation
        own = self.generator.beta(share * factor, (1.0 - np.asarray(share)) * factor, self.num_groups)
        return (self.generator.random(len(self.groups)) < own[self.groups]).astype(np.float64)


@dataclass(frozen=True)
class Sample:
    """An interval over groups, the values behind it, and the truth."""

    found: GroupedInterval
    values: Floats
    truth: float


def _mean(d: Drawing) -> Sample:
    x = d.normal()
    return Sample(grouped_mean_interval(x, d.groups), x, 0.0)


def _skewed(d: Drawing) -> Sample:
    x = np.exp(0.7 * d.normal())
    return Sample(grouped_mean_interval(x, d.groups), x, math.exp(0.245))


def _share(share: float) -> Callable[[Drawing], Sample]:
    def draw(d: Drawing) -> Sample:
        x = d.events(share)
        return Sample(grouped_share_interval(x, d.groups), x, share)

    return draw


def _likelihood(d: Drawing) -> Sample:
    wrong, z = d.events(0.2) == 1.0, d.normal()
    x = np.where(wrong, np.exp(0.5 * z + 0.5), 0.1 * np.exp(0.5 * z))
    found = grouped_few_interval(x, wrong, d.groups, "are predicted wrongly")
    return Sample(found, x, 0.2 * math.exp(0.625) + 0.8 * 0.1 * math.exp(0.125))


def _difference(favoured: float) -> Callable[[Drawing], Sample]:
    def draw(d: Drawing) -> Sample:
        x = d.events(0.3) * (2.0 * d.events(favoured) - 1.0)
        return Sample(grouped_difference_interval(x, d.groups), x, 0.3 * (2.0 * favoured - 1.0))

    return draw


def _per_class(d: Drawing) -> Sample:
    label, shares = np.arange(d.num_groups) % 2, np.array([0.6, 0.9])
    x = d.events(shares[label])
    return Sample(grouped_class_share_interval(x, label[d.groups], d.groups), x, 0.75)


NUMBERS: dict[str, Callable[[Drawing], Sample]] = {
    "mean, normal": _mean,
    "mean, log-normal": _skewed,
    "share .5": _share(0.5),
    "share .9": _share(0.9),
    "share .97": _share(0.97),
    "likelihood, accuracy .8": _likelihood,
    "difference, equal": _difference(0.5),
    "difference, 24 points": _difference(0.9),
    "mean per class": _per_class,
}
SIZES: dict[str, Callable[[np.random.Generator, int], Groups]] = {
    "20 each": lambda _, k: np.full(k, 20),
    "5 each": lambda _, k: np.full(k, 5),
    "unequal": lambda generator, k: np.maximum(1, generator.lognormal(2.5, 0.8, k).round()).astype(np.int64),
    "very unequal": lambda generator, k: np.maximum(1, generator.lognormal(2.2, 1.3, k).round()).astype(np.int64),
}


@dataclass(frozen=True)
class Coverage:
    """Coverage of intervals over groups among the samples that get one, the share of these, and that over images."""

    number: str
    sizes: str
    groups: int
    correlation: float
    coverage: float
    share: float
    over_images: float


def measured(number: str, sizes: str, groups: int, correlation: float, samples: int, seed: int) -> Coverage:
    """Draw samples and count the intervals that contain the truth."""
    generator = np.random.default_rng([seed, groups, int(100 * correlation)])
    given = covered = over_images = 0
    for _ in range(samples):
        sample = NUMBERS[number](Drawing(generator, SIZES[sizes](generator, groups), correlation))
        low, high = sample.found.interval
        given += not math.isnan(low)
        covered += low <= sample.truth <= high
        low, high = mean_interval(sample.values)
        over_images += low <= sample.truth <= high
    coverage = covered / given if given >= FEWEST * samples else math.nan
    return Coverage(number, sizes, groups, correlation, coverage, given / samples, over_images / samples)


def main(command_line: Sequence[str] | None = None) -> int:
    """Print the table and, if requested, write its numbers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=1000, help="samples of each kind (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", default="", help="only numbers whose name contains this")
    parser.add_argument("--json", type=Path, help="file to write the numbers to")
    options = parser.parse_args(command_line)
    found = []
    print("| number | sizes | groups |", *(f"correlation {each:g} |" for each in CORRELATIONS))
    print("|---|---|---:|" + "---:|" * len(CORRELATIONS))
    for number in (name for name in NUMBERS if options.only in name):
        for sizes in SIZES:
            for groups in COUNTS:
                row = [measured(number, sizes, groups, each, options.samples, options.seed) for each in CORRELATIONS]
                print(f"| {number} | {sizes} | {groups} |", *(f"{_words(each)} |" for each in row), flush=True)
                found += row
    _summarise(found)
    if options.json is not None:
        options.json.write_text(json.dumps([asdict(each) for each in found], indent=1), encoding="utf-8")
    return 0


def _summarise(rows: Sequence[Coverage]) -> None:
    """Print the range of coverage over the correlations, by number, sizes and count of groups."""
    print("\n| number | sizes |", *(f"{count} groups |" for count in COUNTS), "over images |")
    print("|---|---|" + "---:|" * (len(COUNTS) + 1))
    for number, sizes in dict.fromkeys((row.number, row.sizes) for row in rows):
        chosen = [row for row in rows if (row.number, row.sizes) == (number, sizes)]
        cells = [
            _range([row.coverage for row in chosen if row.groups == count and row.share >= SUMMARISED])
            for count in COUNTS
        ]
        print(f"| {number} | {sizes} | {' | '.join(cells)} | {_range([row.over_images for row in chosen])} |")


def _range(values: Sequence[float]) -> str:
    if not values:
        return "none"
    low, high = (f"{100 * value:.0f}" for value in (min(values), max(values)))
    return low if low == high else f"{low} to {high}"


def _words(row: Coverage) -> str:
    share = "" if row.share == 1.0 else f" ({100 * row.share:.0f}%)"
    shown = "no interval" if math.isnan(row.coverage) else f"{100 * row.coverage:.1f}{share}"
    return f"{shown}, over images {100 * row.over_images:.0f}"


if __name__ == "__main__":
    sys.exit(main())
