"""How often verdicts on claims err, and intervals of rank correlations contain the truth, in simulated studies.

    python benchmarks/claims.py --studies 2000 --samples 4000

The first table has the share of studies with a decided claim where no difference, interaction or slope exists, in the
widest scope that the runs allow: domains differ with a standard deviation of 1, pretraining runs with one of 0.5, and
both together with one of 0.5. The second has the range of coverage, and of the rate of false correlations, over
correlations that are the same on all domains, differ between them, or come from backbones alone.
"""

import argparse
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hf_sslgen.metrics.rank_correlation import mean_rank_correlation
from hf_sslgen.metrics.results import Interval
from hf_sslgen.study.inference.claims.claim_lines import UNDECIDED
from hf_sslgen.study.inference.judgement import Judgement
from hf_sslgen.study.inference.scopes import ONE_RUN, scoped_intervals
from hf_sslgen.study.inference.seed_averages import TargetDifference
from hf_sslgen.study.inference.study_results import infer_over, with_claims
from hf_sslgen.study.published_claims import stated_claims

RUNS, DOMAINS = (1, 3, 5), (3, 6)
BETWEEN_DOMAINS, BETWEEN_RUNS, BOTH = 1.0, 0.5, 0.5
BUDGETS = ("1%", "10%", "100%")

BACKBONES, TARGETS = (8, 12, 20), (3, 4, 8, 12)

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Question:
    """A claim and the differences that a study has for it."""

    claim: str
    groups: tuple[str, ...] = ("similar", "different")
    metrics: tuple[str, ...] = ("accuracy",)
    labels: tuple[str, ...] = ("100%",)


QUESTIONS = {
    "difference, one group": Question("accuracy", groups=("similar",)),
    "difference, two groups": Question("accuracy"),
    "difference, two groups and two numbers": Question(
        "confidence", metrics=("brier_score", "negative_log_likelihood")
    ),
    "interaction": Question("accuracy-different"),
    "slope over three budgets": Question("small-targets", labels=BUDGETS),
}


def decided(question: Question, runs: int, domains: int, generator: np.random.Generator) -> bool:
    """Draw a study without any effect, and return whether its claim is decided."""
    targets = []
    for metric in question.metrics:
        for labels in question.labels:
            of_runs = generator.normal(0.0, BETWEEN_RUNS, runs) if runs > 1 else np.zeros(1)
            for group in question.groups:
                for index in range(domains):
                    both = generator.normal(0.0, BOTH, runs) if runs > 1 else np.zeros(1)
                    values = generator.normal(0.0, BETWEEN_DOMAINS) + of_runs + both
                    targets.append(_target(metric, labels, group, f"{group}-{index}", values))
    (line,) = with_claims(infer_over((), (), targets, {}), stated_claims([question.claim], "claims")).claims
    return line.verdict != UNDECIDED


def _target(metric: str, labels: str, group: str, domain: str, values: Floats) -> TargetDifference:
    value = float(values.mean())
    low, high = value - 0.1, value + 0.1
    return TargetDifference(
        *(metric, "simclr", "supervised", domain, group, "linear", "pretrained", "", "", 0, value, low, high, 1000),
        labels=labels,
        first_objective="simclr",
        second_objective="supervised",
        run_values=dict(enumerate(values.tolist())),
        judgement=Judgement(scoped_intervals(value, Interval(low, high), ONE_RUN)),
    )


@dataclass(frozen=True)
class Ranked:
    """Two numbers of backbones on targets.

    Attributes:
        shared: part of the variance that all targets share.
        correlation: of the two numbers; `spread` is its standard deviation between targets.
    """

    shared: float
    correlation: float
    spread: float = 0.0

    def draw(self, targets: int, backbones: int, generator: np.random.Generator) -> tuple[Floats, Floats]:
        """Two numbers, each (T, B)."""
        own = self.own(targets, generator)
        a, noise = generator.normal(size=(2, targets, backbones))
        b = own * a + np.sqrt(1.0 - own**2) * noise
        common, noise = generator.normal(size=(2, 1, backbones))
        other = self.correlation * common + math.sqrt(1.0 - self.correlation**2) * noise
        weights = math.sqrt(self.shared), math.sqrt(1.0 - self.shared)
        return weights[0] * common + weights[1] * a, weights[0] * other + weights[1] * b

    def own(self, targets: int, generator: np.random.Generator) -> Floats:
        """The correlation of what targets do not share, (T, 1)."""
        return np.clip(self.correlation + self.spread * generator.normal(size=(targets, 1)), -0.99, 0.99)

    def truth(self, generator: np.random.Generator) -> float:
        """The mean over targets of Spearman's correlation of normal numbers (Pearson 1907)."""
        pearson = self.shared * self.correlation + (1.0 - self.shared) * self.own(100_000, generator)
        return float(np.mean(6.0 / math.pi * np.arcsin(pearson / 2.0)))


RANKED = (
    *(Ranked(shared, 0.0) for shared in (0.0, 0.5, 0.8, 1.0)),
    *(Ranked(shared, 0.0, 0.5) for shared in (0.0, 0.5)),
    *(Ranked(shared, correlation) for correlation in (0.3, 0.6, 0.85, 0.95) for shared in (0.0, 0.5, 0.9)),
    Ranked(0.5, 0.6, 0.3),
)


def covered(kind: Ranked, targets: int, backbones: int, samples: int, seed: int) -> tuple[float, float]:
    """Return the share of intervals that contain the truth, and of those that exclude zero."""
    generator = np.random.default_rng([seed, targets, backbones, RANKED.index(kind)])
    truth = kind.truth(generator)
    found = [mean_rank_correlation(*kind.draw(targets, backbones, generator)) for _ in range(samples)]
    return (
        float(np.mean([each.low <= truth <= each.high for each in found])),
        float(np.mean([each.p_value < 0.05 for each in found])),
    )


def main(command_line: Sequence[str] | None = None) -> int:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--studies", type=int, default=2000, help="per entry of the first table (default: %(default)s)"
    )
    parser.add_argument("--samples", type=int, default=4000, help="of each kind of correlation (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(command_line)
    if options.studies:
        _print_verdicts(options.studies, options.seed)
    _print_correlations(options.samples, options.seed)
    return 0


def _print_verdicts(studies: int, seed: int) -> None:
    designs = [(domains, runs) for domains in DOMAINS for runs in RUNS]
    _print_row("test", *(f"{domains} domains, runs: {runs}" for domains, runs in designs))
    print("|---|" + "---:|" * len(designs))
    for name, question in QUESTIONS.items():
        generator = np.random.default_rng([seed, len(name)])
        rates = [
            np.mean([decided(question, runs, domains, generator) for _ in range(studies)]) for domains, runs in designs
        ]
        _print_row(name, *(f"{100 * rate:.1f}" for rate in rates))
    print()


def _print_correlations(samples: int, seed: int) -> None:
    _print_row("backbones", *(f"{targets} domains" for targets in TARGETS))
    print("|---:|" + "---:|" * len(TARGETS))
    for backbones in BACKBONES:
        entries = []
        for targets in TARGETS:
            found = [covered(kind, targets, backbones, samples, seed) for kind in RANKED]
            false = [rate for kind, (_, rate) in zip(RANKED, found, strict=True) if kind.correlation == 0.0]
            entries.append(f"{_range([coverage for coverage, _ in found])}; {_range(false)}")
        _print_row(str(backbones), *entries)


def _print_row(*cells: str) -> None:
    print(f"| {' | '.join(cells)} |", flush=True)


def _range(shares: Sequence[float]) -> str:
    return f"{100 * min(shares):.1f} to {100 * max(shares):.1f}"


if __name__ == "__main__":
    sys.exit(main())
