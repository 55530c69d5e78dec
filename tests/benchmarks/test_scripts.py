"""Both scripts run from end to end, at a size at which their numbers mean nothing."""

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from math import isnan
from pathlib import Path

import estimator_quality
import metrics
import pytest
from measured.cases import CASES, Call, Contender, Inputs
from measured.measuring import is_installed, median_seconds
from simulated.features import FeatureScenario
from simulated.maps import MapScenario
from simulated.predictions import PredictionScenario
from simulated.repetitions import Row, Scenario, repeat
from simulated.scenarios import SCENARIOS
from simulated.targets import TargetScenario

ROOT = Path(__file__).parents[2]


def _small(scenario: Scenario) -> Scenario:
    """The same with few images behind it."""
    match scenario:
        case PredictionScenario() | MapScenario():
            return replace(scenario, num_images=500)
        case FeatureScenario():
            return replace(scenario, num_references=8 * 256)
        case _:
            return scenario


@pytest.fixture
def small_scenarios(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, (scenario, description) in SCENARIOS.items():
        monkeypatch.setitem(SCENARIOS, name, (_small(scenario), description))


@pytest.mark.parametrize("name", SCENARIOS)
def test_every_scenario_measures_what_it_knows(name: str) -> None:
    scenario = _small(SCENARIOS[name][0])
    n = 4 if isinstance(scenario, TargetScenario) else 60
    rows = repeat(scenario, n, 3, [0], lambda _: None)
    assert {row.number for row in rows if not row.is_interval} == set(scenario.truth(n))
    for row in rows:
        assert row.repetitions == 3
        assert not isnan(row.truth)
        assert not row.is_interval or 0.0 <= row.without_interval <= 1.0


def _rows(path: Path) -> list[Row]:
    return [Row(**row) for row in json.loads(path.read_text(encoding="utf-8"))["rows"]]


@pytest.mark.usefixtures("small_scenarios")
def test_estimator_quality_writes_rows_and_tables(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page, first, second = tmp_path / "page.md", tmp_path / "first.json", tmp_path / "second.json"
    arguments = ["--repetitions", "4", "--sizes", "30", "--only", "maps"]
    estimator_quality.main([*arguments, "--markdown", str(page), "--json", str(first)])
    text = page.read_text(encoding="utf-8")
    assert f"$ python benchmarks/estimator_quality.py {' '.join(arguments)} --markdown {page}" in text
    assert "### Sharp maps" in text
    assert "### Targets" not in text
    assert "`attribution_concentration.gini`" in text
    assert " intervals cover less than 92% or more than 97.5%" in capsys.readouterr().out

    estimator_quality.main([*arguments, "--processes", "2", "--json", str(second)])
    assert [str(row) for row in _rows(first)] == [str(row) for row in _rows(second)]  # NaN equals itself as text


def test_a_scenario_that_does_not_exist_is_named() -> None:
    with pytest.raises(SystemExit, match=r"no scenario's name contains 'maps of Mars'; there are: calibrated"):
        estimator_quality.main(["--only", "maps of Mars"])


@pytest.mark.parametrize("case", [name for name in CASES if name != "scalars"])
def test_contenders_are_timed(case: str) -> None:
    seconds = median_seconds(case, True, 1)
    assert set(seconds) == {name for name, contender in CASES[case].contenders.items() if is_installed(contender)}
    assert min(seconds.values()) > 0.0


def test_time_on_a_share_of_the_inputs_is_scaled(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[int] = []
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])

    def work() -> None:
        now[0] += 0.05

    def build(inputs: Inputs) -> Call:
        given.append(len(inputs["maps"]))
        return work

    contenders = {"all": Contender(build), "a tenth": Contender(build, share=0.1)}
    monkeypatch.setitem(CASES, "shares", replace(CASES["maps"], contenders=contenders))
    seconds = median_seconds("shares", True, 3)
    assert given == [1000, 100]
    assert seconds["a tenth"] / seconds["all"] == pytest.approx(10.0)


HUNGRY = """
import numpy as np
from measured.cases import CASES, Case, Contender
from measured.measuring import peak_growth

def ones(inputs):
    return lambda: float(np.ones(int(inputs["megabytes"]) * 125_000).sum())

make = lambda megabytes: {"megabytes": np.array(megabytes)}
CASES["hungry"] = Case(make, (200,), (1,), {"ones": Contender(ones)})
print(peak_growth("hungry", "ones", False) / 1e6)
"""


def test_memory_that_is_let_go_again_is_seen() -> None:
    run = subprocess.run(
        [sys.executable, "-c", HUNGRY],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "benchmarks")])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert float(run.stdout) == pytest.approx(200.0, abs=5.0)


def test_metrics_prints_a_table_and_writes_ratios(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "ratios.json"
    assert metrics.main(["--quick", "--check", "--only", "narrow", "--json", str(path)]) == 0
    assert "| narrow pairs, 300 x 16: invariance |" in capsys.readouterr().out
    written = json.loads(path.read_text(encoding="utf-8"))
    assert written["quick"] is True
    assert [(row["unit"], row["met"]) for row in written["rows"]] == [("MB", None)]
    assert written["seconds"][0]["median"] > 0.0


def test_a_missed_bar_is_told_by_the_exit_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    peer = Contender(CASES["narrow pairs"].contenders["invariance"].build, package="no_such_package")
    contenders = {**CASES["narrow pairs"].contenders, "peer": peer}
    monkeypatch.setitem(CASES, "narrow pairs", replace(CASES["narrow pairs"], contenders=contenders))
    faster = metrics.Comparison("narrow pairs", "invariance", metrics.Kind.FASTER, "peer", metrics.Bar(3.0, True))
    slim, impossible = (
        metrics.Comparison("narrow pairs", "invariance", metrics.Kind.MEGABYTES, bar=metrics.Bar(limit))
        for limit in (1000.0, 0.001)
    )
    monkeypatch.setattr(metrics, "COMPARISONS", (faster, slim))
    assert metrics.main(["--check", "--only", "narrow"]) == 0
    printed = capsys.readouterr().out
    assert "| at least 3 |  | no_such_package is not installed: pip install -e '.[bench]' |" in printed
    assert "| at most 1000 | yes |" in printed

    monkeypatch.setattr(metrics, "COMPARISONS", (impossible,))
    assert metrics.main(["--only", "narrow"]) == 0
    assert metrics.main(["--check", "--only", "narrow"]) == 1
    assert "| at most 0.001 | NO |" in capsys.readouterr().out


@pytest.mark.parametrize(("value", "at_most", "at_least"), [(1.9, True, False), (2.0, True, True), (2.1, False, True)])
def test_bars(value: float, at_most: bool, at_least: bool) -> None:
    assert metrics.Bar(2.0).is_met(value) is at_most
    assert metrics.Bar(2.0, at_least=True).is_met(value) is at_least
