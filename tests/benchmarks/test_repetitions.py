"""Bias, error and coverage are counted right, on a scenario whose own are known."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, nan, sqrt

import numpy as np
import pytest
from scipy.stats import norm
from simulated.repetitions import Draw, Row, repeat

REPETITIONS = 4000


@dataclass(frozen=True)
class NormalMeans:
    """The mean of n draws of N(2, 1), an estimate that is too large by 0.1, and one that is undefined below zero."""

    name: str = "normal"
    num_references: float = inf

    def truth(self, n: int) -> Mapping[str, float]:
        return {"mean": 2.0, "shifted": 2.0, "sometimes": 2.0}

    def draw(self, n: int, generator: np.random.Generator) -> Draw:
        x = generator.normal(2.0, 1.0, size=n)
        mean = float(x.mean())
        half = 1.0 / sqrt(n)
        given = (mean - half, mean + half)
        drawn = Draw({"mean": mean, "shifted": mean + 0.1, "sometimes": mean if mean >= 2.0 else nan})
        drawn.intervals["mean"] = given
        drawn.intervals["shifted"] = (mean + 0.1, inf)
        drawn.intervals["sometimes"] = given if mean >= 2.0 else (nan, nan)
        return drawn


@pytest.fixture(scope="module")
def rows() -> dict[tuple[str, bool], Row]:
    found = repeat(NormalMeans(), 25, REPETITIONS, [0, 1], lambda _: None)
    return {(row.number, row.is_interval): row for row in found}


def test_bias_and_error(rows: dict[tuple[str, bool], Row]) -> None:
    mean, shifted = rows["mean", False], rows["shifted", False]
    assert mean.bias_error == pytest.approx(0.2 / sqrt(REPETITIONS), rel=0.05)
    assert abs(mean.bias) < 4.0 * mean.bias_error
    assert mean.rmse == pytest.approx(0.2, rel=0.05)
    assert shifted.bias == pytest.approx(mean.bias + 0.1)
    assert shifted.rmse == pytest.approx(sqrt(0.04 + 0.01), rel=0.05)


def test_coverage_of_one_standard_error(rows: dict[tuple[str, bool], Row]) -> None:
    row = rows["mean", True]
    expected = 1.0 - 2.0 * norm.sf(1.0)
    assert row.coverage_error == pytest.approx(sqrt(expected * (1.0 - expected) / REPETITIONS), rel=0.05)
    assert row.coverage == pytest.approx(expected, abs=4.0 * row.coverage_error)
    assert row.below + row.above + row.coverage == pytest.approx(1.0)
    assert row.below == pytest.approx(row.above, abs=0.03)
    assert row.without_interval == 0.0


def test_intervals_on_one_side(rows: dict[tuple[str, bool], Row]) -> None:
    row = rows["shifted", True]
    assert row.below == 0.0
    assert row.above == pytest.approx(norm.cdf(0.5), abs=0.03)  # the mean is above 1.9, half a standard error less


def test_what_is_undefined_is_counted_and_left_out(rows: dict[tuple[str, bool], Row]) -> None:
    number, interval = rows["sometimes", False], rows["sometimes", True]
    assert number.undefined / REPETITIONS == pytest.approx(0.5, abs=0.03)
    assert number.bias == pytest.approx(0.2 * sqrt(2.0 / np.pi), rel=0.05)
    assert interval.without_interval == number.undefined / REPETITIONS
    assert interval.above == pytest.approx(2.0 * norm.sf(1.0), abs=0.03)


def test_a_measured_truth_adds_to_the_error_of_the_bias() -> None:
    exact, measured = (
        repeat(NormalMeans(num_references=references), 25, 500, [0], lambda _: None)[0] for references in (inf, 12_500)
    )
    assert measured.bias_error == pytest.approx(exact.bias_error * sqrt(2.0))


def test_the_same_seed_gives_the_same_rows() -> None:
    first, again, other = (repeat(NormalMeans(), 9, 20, seed, lambda _: None)[0] for seed in ([3], [3], [4]))
    assert first == again
    assert first.bias != other.bias


def test_an_interval_whose_truth_is_unknown_is_refused() -> None:
    @dataclass(frozen=True)
    class Forgetful(NormalMeans):
        def truth(self, n: int) -> Mapping[str, float]:
            return {"mean": 2.0, "shifted": 2.0}

    with pytest.raises(ValueError, match=r"normal prints intervals for numbers .*\['sometimes'\]"):
        repeat(Forgetful(), 25, 2, [0], lambda _: None)
