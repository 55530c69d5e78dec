"""Numbers have no more decimals than their intervals leave certain, on the page as in its script."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from hf_sslgen.reporting.page import page_script
from hf_sslgen.reporting.page.fitting import fitted_decimals, fitted_interval, fitted_value
from hf_sslgen.reporting.page.spoken import Claimed, spoken_amount, spoken_interval
from hf_sslgen.reporting.vocabulary import words

NAN = float("nan")
CASES = [
    ("accuracy", 0.899, 0.881, 0.912, "89.9", "88.1 to 91.2"),
    ("accuracy", 0.62, 0.5, 0.74, "62", "50 to 74"),
    ("accuracy", 0.899, NAN, NAN, "89.9", ""),
    ("accuracy", 1.0, 1.0, 1.0, "100.0", "100.0 to 100.0"),
    ("brier_score", 0.4521, 0.21, 0.69, "0.45", "0.21 to 0.69"),
    ("brier_score", 0.4521, 0.4519, 0.4523, "0.452", "0.452 to 0.452"),
    ("confidence_gap", -0.031, -0.09, 0.0002, "−3.10", "−9.00 to +0.02"),
]


@pytest.mark.parametrize(("metric", "value", "low", "high", "text", "interval"), CASES)
def test_decimals_fit_the_interval(
    metric: str, value: float, low: float, high: float, text: str, interval: str
) -> None:
    assert fitted_value(value, low, high, metric) == text
    assert fitted_interval(low, high, metric) == interval


@pytest.mark.skipif(shutil.which("node") is None, reason="node is absent; the browser's tests compare some of these")
def test_the_script_rounds_alike() -> None:
    cases = [
        {
            "estimate": [None if each != each else each for each in (value, low, high)],
            "number": {key: vars(words(metric))[key] for key in ("scale", "decimals", "signed")},
        }
        for metric, value, low, high, *_ in CASES
    ]
    core = (Path(page_script.__file__).parent / "templates" / "js" / "core.js").read_text(encoding="utf-8")
    shown = "c => [shownValue(c.estimate, c.number), shownInterval(c.estimate, c.number)]"
    call = f"{core}; console.log(JSON.stringify({json.dumps(cases)}.map({shown})))"
    found = subprocess.run(["node", "-e", call], capture_output=True, text=True, check=True).stdout
    assert json.loads(found) == [[text, interval] for *_, text, interval in CASES]


def test_a_bound_near_zero_is_not_written_as_zero() -> None:
    assert fitted_decimals(0.0002, 0.102, "accuracy") == 2
    assert spoken_interval(Claimed(0.081, 0.0002, 0.102), "accuracy") == "+0.02 to +10.20"


def test_amounts_have_a_sign_and_a_unit() -> None:
    assert spoken_amount(Claimed(-0.081, -0.102, -0.06), "accuracy") == "−8.1 points"
    assert spoken_amount(Claimed(0.01, 0.0, 0.02), "accuracy") == "+1.0 point"
    assert spoken_amount(Claimed(0.3, NAN, NAN), "lift") == "+0.30"
