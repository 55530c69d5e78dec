"""The simulated studies of claims know their truths, and the script runs from end to end."""

import numpy as np
import pytest
from claims import QUESTIONS, RANKED, Ranked, decided, main
from scipy import stats


@pytest.mark.parametrize("kind", [RANKED[0], Ranked(0.5, 0.6, 0.3), Ranked(0.9, 0.85)])
def test_the_truth_is_that_of_many_backbones(kind: Ranked) -> None:
    a, b = kind.draw(200, 3000, np.random.default_rng(0))
    found = np.mean([stats.spearmanr(x, y).statistic for x, y in zip(a, b, strict=True)])
    assert found == pytest.approx(kind.truth(np.random.default_rng(1)), abs=0.05)


def test_every_question_is_answered() -> None:
    for question in QUESTIONS.values():
        assert decided(question, 3, 3, np.random.default_rng(0)) in (True, False)


def test_the_script_prints_both_tables(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("claims.RANKED", RANKED[:1])
    assert main(["--studies", "1", "--samples", "2"]) == 0
    printed = capsys.readouterr().out
    assert all(f"| {name} |" in printed for name in QUESTIONS) and "| 20 |" in printed
