"""Real-world pairs: which images are paired, and that chance pairs never show the same thing."""

import doctest

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_sslgen.analysis import picture_pairs as module
from hf_sslgen.analysis.families import families_of
from hf_sslgen.analysis.picture_pairs import pair_partners
from hf_sslgen.metrics import invariance

KEYS = st.lists(st.integers(-1, 6), max_size=30).map(lambda keys: np.array(keys, dtype=np.int64))


@settings(max_examples=200, deadline=None)
@given(KEYS, st.integers(0, 9), st.one_of(st.none(), st.integers(1, 4)))
def test_every_thing_seen_twice_is_one_pair(keys, seed, max_pairs):
    pairs = pair_partners(keys, seed, max_pairs)
    anchors, partners = pairs.anchors.tolist(), pairs.partners.tolist()
    counts = {key: int((keys == key).sum()) for key in set(keys.tolist()) if key >= 0}
    repeated = {key for key, count in counts.items() if count >= 2}
    assert len(anchors) == len(partners) == min(len(repeated), max_pairs or len(repeated))
    assert anchors == sorted(anchors)
    assert all(keys[a] == keys[p] and a != p for a, p in zip(anchors, partners, strict=True))
    assert len({int(keys[a]) for a in anchors}) == len(anchors) and {int(keys[a]) for a in anchors} <= repeated
    assert pairs.n_alone == len(keys) - sum(counts[key] for key in repeated)
    again = pair_partners(keys, seed, max_pairs)
    assert (again.anchors.tolist(), again.partners.tolist()) == (anchors, partners)


def test_pairs_are_drawn_uniformly_in_both_directions():
    keys = np.array([0, 1, 0, 2, 0, 2])
    drawn = [pair_partners(keys, seed) for seed in range(3000)]
    first = [(int(pairs.anchors[0]), int(pairs.partners[0])) for pairs in drawn if keys[pairs.anchors[0]] == 0]
    first += [(int(pairs.anchors[1]), int(pairs.partners[1])) for pairs in drawn if keys[pairs.anchors[1]] == 0]
    possible = [(a, p) for a in (0, 2, 4) for p in (0, 2, 4) if a != p]
    shares = [first.count(pair) / len(drawn) for pair in possible]
    assert sum(shares) == 1 and shares == pytest.approx([1 / 6] * 6, abs=0.03)
    few = [keys[pair_partners(keys, seed, max_pairs=1).anchors[0]] for seed in range(1000)]
    assert few.count(0) / 1000 == pytest.approx(0.5, abs=0.06) and few.count(2) + few.count(0) == 1000


def test_chance_pairs_show_different_things():
    """Against double loops over the pairs of images whose keys differ."""
    generator = np.random.default_rng(0)
    keys = generator.integers(0, 40, 200)
    things = generator.standard_normal((40, 16))
    features = things[keys] + 0.3 * generator.standard_normal((200, 16))
    pairs = pair_partners(keys, 0)
    result = invariance(features[pairs.anchors], features[pairs.partners])
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    chance = [unit[a] @ unit[p] for a in pairs.anchors for p in pairs.partners if keys[a] != keys[p]]
    assert len(chance) == len(pairs.anchors) * (len(pairs.anchors) - 1)
    assert result.chance_cosine == pytest.approx(np.mean(chance), abs=1e-12)
    assert result.invariance > 0.8
    unrelated = invariance(features[pairs.anchors], features[generator.permutation(pairs.partners)])
    assert abs(unrelated.invariance) < 0.15


@pytest.mark.parametrize("keys", [[], [-1, -1, -1], [0, 1, 2], [0, -1, -1]])
def test_without_pairs_there_are_none(keys):
    pairs = pair_partners(np.array(keys, dtype=np.int64), 0)
    assert len(pairs.anchors) == len(pairs.partners) == 0 and pairs.n_alone == len(keys)


def test_documented_example():
    assert doctest.testmod(module).attempted == 2
    assert doctest.testmod(module).failed == 0


def test_a_pair_is_no_member_of_a_family() -> None:
    assert families_of("pair", 100, ()) == ()
    assert families_of("rotation", 100, ()) == ("mean", "mean_geometric")
