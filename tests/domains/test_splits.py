"""Properties of splits and subsets for any labels, fractions and seeds."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_sslgen.domains.splits import content_id, few_per_class, is_held_out, stratified_split, stratified_subset

LABELS = st.lists(st.integers(0, 6), min_size=1, max_size=80).map(lambda labels: np.array(labels, dtype=np.int64))
SEEDS = st.integers(0, 2**31)


def _counts(labels: np.ndarray) -> dict[int, int]:
    return dict(zip(*(each.tolist() for each in np.unique(labels, return_counts=True)), strict=True))


@given(labels=LABELS, fraction=st.floats(0, 1), seed=SEEDS)
def test_split_is_a_stratified_partition(labels, fraction, seed):
    kept, held_out = stratified_split(labels, fraction, seed)
    assert sorted([*kept, *held_out]) == list(range(len(labels)))
    assert (np.diff(kept) > 0).all() and (np.diff(held_out) > 0).all()
    taken = _counts(labels[held_out])
    for label, count in _counts(labels).items():
        if count == 1 or fraction == 0:
            assert label not in taken
        else:
            assert 1 <= taken[label] <= count - 1
            assert abs(taken[label] - fraction * count) <= 1
    again = stratified_split(labels, fraction, seed)
    assert np.array_equal(again[0], kept) and np.array_equal(again[1], held_out)


@given(labels=LABELS, size=st.integers(1, 100), seed=SEEDS)
def test_subset_has_the_size_and_the_shares_asked_for(labels, size, seed):
    positions = stratified_subset(labels, size, seed)
    assert len(positions) == min(size, len(labels))
    assert (np.diff(positions) > 0).all() and set(positions) <= set(range(len(labels)))
    taken = _counts(labels[positions])
    for label, count in _counts(labels).items():
        share = count * min(1, size / len(labels))
        assert abs(taken.get(label, 0) - share) < 1


@given(labels=LABELS, number=st.integers(1, 20), seed=SEEDS)
def test_few_per_class_takes_the_number_or_all_and_nests(labels, number, seed):
    positions = few_per_class(labels, number, seed)
    assert (np.diff(positions) > 0).all()
    assert _counts(labels[positions]) == {label: min(count, number) for label, count in _counts(labels).items()}
    assert set(positions) <= set(few_per_class(labels, number + 1, seed))


def test_seed_decides_which_images():
    labels = np.repeat(np.arange(4), 50)
    for choose in (
        lambda seed: stratified_split(labels, 0.2, seed)[1],
        lambda seed: stratified_subset(labels, 40, seed),
        lambda seed: few_per_class(labels, 10, seed),
    ):
        assert np.array_equal(choose(0), choose(0))
        assert not np.array_equal(choose(0), choose(1))


@pytest.mark.parametrize("fraction", [0.05, 0.2, 0.5])
def test_share_held_out_of_a_stream_is_near_the_fraction(fraction):
    identities = [content_id(str(number).encode()) for number in range(4000)]
    assert len(set(identities)) == 4000 and all(0 <= identity < 2**63 for identity in identities)
    for seed in (0, 1):
        share = np.mean([is_held_out(identity, fraction, seed) for identity in identities])
        assert abs(share - fraction) < 5 * np.sqrt(fraction * (1 - fraction) / 4000)
    assert not any(is_held_out(identity, 0.0, 0) for identity in identities)
    chosen = {seed: {each for each in identities if is_held_out(each, 0.2, seed)} for seed in (0, 1)}
    assert chosen[0] != chosen[1]
