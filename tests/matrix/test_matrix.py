"""Data sets as people have them, through the real command: right, or refused with a sentence; nothing between."""

import shutil
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.matrix.combinations import Combination, combinations, drawn
from tests.matrix.outcomes import run, unclear, wrong

DEFAULT, MANY = 312, 3000
"""Combinations that are tried by `make test` and by `make test-slow`."""

PARTS = 12


def judge(combination: Combination, folder: Path, tally: Counter[str]) -> str | None:
    """Run a combination; returns what is at fault with its outcome."""
    folder.mkdir()
    seen, refusal = run(combination, folder)
    shutil.rmtree(folder)
    if refusal is not None:
        tally["refused"] += 1
        if combination.must_be_read:
            return f"refused: {refusal}"
        problem = unclear(refusal)
        return f"refused unclearly ({problem}): {refusal}" if problem else None
    assert seen is not None
    tally["read"] += 1
    if combination.must_be_refused:
        return "read, though nobody can know what it means"
    return wrong(combination, seen)


def judge_all(chosen: Sequence[Combination], folder: Path) -> None:
    tally: Counter[str] = Counter()
    faults = []
    for number, combination in enumerate(chosen):
        fault = judge(combination, folder / str(number), tally)
        if fault is not None:
            faults.append(f"{combination}: {fault}")
    print(f"{len(chosen)} combinations: {tally['read']} read, {tally['refused']} refused, {len(faults)} at fault")
    assert not faults, "\n".join([f"{len(faults)} of {len(chosen)}:", *faults])


@pytest.mark.parametrize("part", range(PARTS))
def test_a_data_set_is_read_right_or_refused_with_a_sentence(part, tmp_path):
    judge_all(drawn(DEFAULT)[part::PARTS], tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("part", range(PARTS))
def test_many_more_combinations(part, tmp_path):
    judge_all(drawn(MANY, seed=1)[part::PARTS], tmp_path)


def test_the_matrix_is_as_large_as_it_says():
    assert len(set(combinations())) == len(combinations()) >= MANY
    chosen = drawn(DEFAULT)
    for axis in ("layout", "encoding", "class_names"):
        counts = Counter(vars(each)[axis] for each in chosen)
        assert set(counts) == {vars(each)[axis] for each in combinations()}
