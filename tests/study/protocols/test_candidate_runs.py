"""The training runs of a cell: shared by processes, kept when one is killed, and the same in whatever order."""

import itertools
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from hf_sslgen.study.protocols.candidate_runs import CLAIMS, GRID, CandidateRuns, Score, TakenOverError
from hf_sslgen.work_claims import release, try_claim

SCORES: dict[str, Score] = {"a": 0.4, "b": 0.1 + 0.2, "c": None, "d": 0.1 + 0.2, "e": 0.5}


def train(name: str, folder: Path) -> Score:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "weights").write_text(name)
    return SCORES[name]


def begun(folder: Path) -> CandidateRuns:
    return CandidateRuns.begin(folder, list(SCORES))


def weights(folder: Path) -> list[str]:
    return sorted(path.read_text() for path in folder.glob("*/*/weights"))


def test_whatever_the_order_the_scores_and_the_weights_that_stay_are_the_same(tmp_path: Path) -> None:
    for number, order in enumerate(itertools.permutations("abc")):
        folder = tmp_path / str(number)
        runs = begun(folder)
        others = set(SCORES) - set(order)
        claims = {name: try_claim(folder / CLAIMS, name) for name in SCORES}
        for name in (*order, *others):
            claim = claims[name]
            assert claim is not None
            release(claim)
            assert runs.free() == [name]
            assert runs.train_free(train)
        assert runs.scores(train) == list(SCORES.values())
        assert weights(folder) == ["b"]  # the first of equals
        assert runs.trained("b", train).parent.name == "b"
        assert not list((folder / CLAIMS).iterdir())


def test_threads_share_the_candidates_and_train_each_once(tmp_path: Path) -> None:
    runs, trained = begun(tmp_path), []

    def noted(name: str, folder: Path) -> Score:
        trained.append(name)
        return train(name, folder)

    threads = [threading.Thread(target=lambda: runs.scores(noted)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(trained) == sorted(SCORES)
    assert runs.scores(noted) == list(SCORES.values())
    assert weights(tmp_path) == ["b"]


DIES = """
import os, sys
from pathlib import Path
from hf_sslgen.study.protocols.candidate_runs import CandidateRuns
def train(name, folder):
    folder.mkdir(parents=True)
    (folder / "half").write_text(name)
    if name == "b":
        os.kill(os.getpid(), 9)
    return 0.4
CandidateRuns.begin(Path(sys.argv[1]), ["a", "b", "c", "d", "e"]).scores(train)
"""


def test_a_killed_process_loses_no_finished_candidate_and_its_own_goes_on(tmp_path: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", DIES, str(tmp_path)], check=False)
    assert ended.returncode == -9
    runs, trained = CandidateRuns.announced(tmp_path), []
    assert runs is not None and runs.names == tuple(SCORES)
    assert runs.free() == ["b", "c", "d", "e"]

    def noted(name: str, folder: Path) -> Score:
        trained.append((name, [path.name for path in folder.glob("*")]))
        return train(name, folder)

    assert runs.scores(noted) == list(SCORES.values())
    assert trained == [("b", ["half"]), ("c", []), ("d", []), ("e", [])]
    assert weights(tmp_path) == ["b"]
    assert [path.name for path in (tmp_path / "b").glob("run-*")] == ["run-2"]


def test_weights_that_are_gone_are_trained_again(tmp_path: Path) -> None:
    runs = begun(tmp_path)
    assert runs.scores(train) == list(SCORES.values())
    runs.drop("b")
    assert weights(tmp_path) == []
    assert (runs.trained("b", train) / "weights").read_text() == "b"
    (tmp_path / "a" / "result.json").write_text("{")
    assert runs.free() == ["a"]


def test_who_was_overtaken_keeps_nothing(tmp_path: Path) -> None:
    runs = begun(tmp_path)

    def finished_meanwhile(name: str, folder: Path) -> Score:
        (tmp_path / GRID).unlink()
        return train(name, folder)

    with pytest.raises(TakenOverError):
        runs.scores(finished_meanwhile)
    with pytest.raises(TakenOverError):
        runs.scores(train)
    assert runs.result("a") is None
    assert CandidateRuns.announced(tmp_path) is None
