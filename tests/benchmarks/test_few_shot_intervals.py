"""The simulation's episodes are those of nearest class means, and its script runs from end to end."""

import few_shot_intervals
import numpy as np
import pytest
from few_shot_intervals import QUERIES, WAYS, accuracies, main

from hf_sslgen.training.few_shot import prototypical_accuracies


def test_episodes_have_the_accuracy_of_nearest_class_means() -> None:
    generator = np.random.default_rng(0)
    labels = np.repeat(np.arange(6), 25)
    features = generator.normal(size=(2, 6, 1, 4)) + generator.normal(size=(2, 6, 25, 4))
    sides = features.reshape(2, 150, 4)
    found = accuracies(sides, 6, 3, 600, np.random.default_rng(1))
    for side, of_side in zip(sides, found, strict=True):
        expected = prototypical_accuracies(side, labels, WAYS, 3, QUERIES, 600, seed=0)
        assert of_side.mean() == pytest.approx(expected.mean(), abs=5 * expected.std() / np.sqrt(300))
        assert of_side.std() == pytest.approx(expected.std(), rel=0.2)


def test_a_table(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(few_shot_intervals, "TRUTH_SETS", 2)
    monkeypatch.setattr(few_shot_intervals, "EPISODES", (20, 40))
    assert main(["--samples", "2", "--designs", "0"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4 and all(line.startswith("| 5 x 20 | 5 |") for line in lines[2:])
