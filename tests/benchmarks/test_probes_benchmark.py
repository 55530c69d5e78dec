"""The benchmark of probes runs from end to end, at sizes at which its numbers mean nothing."""

import json
from pathlib import Path

import probes
import pytest
from measured.probe_contenders import CHOLESKY, LBFGS, OURS


def test_contenders_fit_the_same_probes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "probes.json"
    assert probes.main(["--quick", "--only", "two classes", "--rounds", "1", "--json", str(path)]) == 0
    assert "| 120 x 48, 2 classes, 5 values of C, standardised | hf_sslgen |" in capsys.readouterr().out
    written = json.loads(path.read_text(encoding="utf-8"))
    assert [row["contender"] for row in written["rows"]] == [OURS, LBFGS, CHOLESKY]
    notes = [row["note"] for row in written["rows"]]
    assert all("0 not converged" in note for note in notes)
    assert len({note.rpartition(", ")[2] for note in notes}) == 1  # validation accuracy
    assert float(notes[0].split("+")[1].split(",")[0]) <= 1e-6


def test_neighbours_and_episodes_agree(capsys: pytest.CaptureFixture[str]) -> None:
    assert probes.main(["--quick", "--only", "neighbours", "--rounds", "1"]) == 0
    assert probes.main(["--quick", "--only", "episodes", "--rounds", "1"]) == 0
    printed = capsys.readouterr().out
    assert printed.count("100.00% of predictions agree") == 2 and printed.count("100.00% of accuracies equal") == 2


def test_scikit_learn_can_be_given_fewer_values(capsys: pytest.CaptureFixture[str]) -> None:
    assert probes.main(["--quick", "--only", "few images", "--rounds", "1", "--every", "2"]) == 0
    assert "scikit-learn was given one in 2 values of C" in capsys.readouterr().out
