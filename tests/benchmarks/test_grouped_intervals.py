"""The simulation of images in groups knows its truths, and its script runs from end to end."""

import json
from pathlib import Path

import numpy as np
import pytest
from grouped_intervals import NUMBERS, Drawing, main


@pytest.mark.parametrize("name", NUMBERS)
def test_the_truth_is_that_of_many_groups(name: str) -> None:
    drawing = Drawing(np.random.default_rng(0), np.full(20_000, 2), 0.3)
    sample = NUMBERS[name](drawing)
    standard_error = sample.values.std() / np.sqrt(20_000)
    expected = sample.truth
    assert abs(sample.values.mean() - expected) < 4 * standard_error
    assert sample.found.interval.low < sample.values.mean() < sample.found.interval.high


def test_a_table_and_its_numbers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--samples", "2", "--only", "mean, normal", "--json", str(tmp_path / "groups.json")]) == 0
    assert capsys.readouterr().out.count("| mean, normal |") == 12 + 4
    rows = json.loads((tmp_path / "groups.json").read_text(encoding="utf-8"))
    assert len(rows) == 48 and {row["groups"] for row in rows} == {10, 20, 50}
