"""Derived seeds: the same everywhere, different for whatever differs."""

import itertools

from hf_sslgen.randomness import derive_seed


def test_seed_is_the_same_in_every_version_and_process():
    """Recorded once: another value would give runs that were interrupted another continuation."""
    assert derive_seed(0, "order", 3) == 3421225812864122905


def test_seed_tells_types_and_boundaries_apart():
    parts = [(1,), ("1",), (1, 1), (11,), ("1", 1), ("a", "bc"), ("ab", "c"), ("abc",)]
    seeds = [derive_seed(*each) for each in parts]
    assert all(one != other for one, other in itertools.combinations(seeds, 2))
    assert all(0 <= seed < 2**63 for seed in seeds)
