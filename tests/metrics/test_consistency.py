import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from hf_sslgen.metrics import prediction_consistency

pytestmark = pytest.mark.filterwarnings("error")

labels = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=40)


@settings(max_examples=80, deadline=None)
@given(labels)
def test_agrees_with_scikit_learn(drawn):
    clean, moved = np.array(drawn).T
    result = prediction_consistency(clean, moved)
    assert result.prediction_consistency == sum(a == b for a, b in drawn) / len(drawn)
    assert result.per_sample_consistent.tolist() == [a == b for a, b in drawn]
    if len({label for pair in drawn for label in pair}) == 1:
        assert np.isnan(result.kappa)
        assert result.reason == "every prediction is the same class, so chance agrees as well"
    else:
        assert result.kappa == pytest.approx(cohen_kappa_score(clean, moved))
        assert result.reason == ""


@settings(max_examples=40, deadline=None)
@given(labels, st.permutations(range(5)), st.randoms(use_true_random=False))
def test_names_of_classes_order_and_sides_change_nothing(drawn, names, random):
    result = prediction_consistency(*zip(*drawn, strict=True))
    random.shuffle(drawn)
    renamed = prediction_consistency([2**62 + names[b] for _, b in drawn], [2**62 + names[a] for a, _ in drawn])
    assert renamed.prediction_consistency == result.prediction_consistency
    assert renamed.kappa == pytest.approx(result.kappa, nan_ok=True)


def test_known_levels():
    assert prediction_consistency([0, 1, 2], [0, 1, 2]).kappa == 1.0
    assert prediction_consistency([0, 1], [1, 0]).kappa == -1.0
    assert prediction_consistency([0, 0], [1, 1]).kappa == 0.0
    generator = np.random.default_rng(0)
    unrelated = prediction_consistency(*generator.choice(3, (2, 20000), p=[0.7, 0.2, 0.1]))
    assert unrelated.prediction_consistency == pytest.approx(0.49 + 0.04 + 0.01, abs=0.01)
    assert unrelated.kappa == pytest.approx(0.0, abs=0.02)


def fleiss_standard_error(clean, moved):
    """Of kappa, from the table of agreement (Fleiss, Cohen and Everitt 1969, equation 13)."""
    table = np.zeros((3, 3))
    np.add.at(table, (clean, moved), 1.0 / len(clean))
    row, column = table.sum(axis=1), table.sum(axis=0)
    agree, chance = np.trace(table), row @ column
    kappa = (agree - chance) / (1 - chance)
    diagonal = sum(table[i, i] * (1 - (row[i] + column[i]) * (1 - kappa)) ** 2 for i in range(3))
    off = sum(table[i, j] * (column[i] + row[j]) ** 2 for i in range(3) for j in range(3) if i != j)
    variance = diagonal + (1 - kappa) ** 2 * off - (kappa - chance * (1 - kappa)) ** 2
    return np.sqrt(variance / len(clean)) / (1 - chance)


def test_interval_of_kappa_has_the_standard_error_of_fleiss():
    generator = np.random.default_rng(0)
    clean = generator.choice(3, 4000, p=[0.6, 0.3, 0.1])
    moved = np.where(generator.random(4000) < 0.5, clean, generator.choice(3, 4000))
    low, high = prediction_consistency(clean, moved).intervals["kappa"]
    assert high - low == pytest.approx(2 * 1.9606 * fleiss_standard_error(clean, moved), rel=2e-2)


def test_interval_of_kappa_covers():
    generator = np.random.default_rng(1)
    margins, other, stay = np.array([0.6, 0.3, 0.1]), np.array([0.2, 0.2, 0.6]), 0.7
    joint = stay * np.diag(margins) + (1 - stay) * np.outer(margins, other)
    chance = joint.sum(axis=0) @ joint.sum(axis=1)
    truth = (np.trace(joint) - chance) / (1 - chance)
    covered = 0
    for _ in range(300):
        clean = generator.choice(3, 200, p=margins)
        moved = np.where(generator.random(200) < stay, clean, generator.choice(3, 200, p=other))
        low, high = prediction_consistency(clean, moved).intervals["kappa"]
        covered += low <= truth <= high
    assert 0.92 <= covered / 300 <= 0.98


@pytest.mark.parametrize("flips", [0, 1, 9, 50, 91, 100])
def test_intervals_keep_a_width_with_few_flips_or_few_that_stay(flips):
    clean = np.arange(100) % 4
    moved = np.where(np.arange(100) < flips, (clean + 1) % 4, clean)
    result = prediction_consistency(clean, moved)
    intervals = result.intervals
    assert -1.0 <= intervals["kappa"].low <= result.kappa <= intervals["kappa"].high <= 1.0
    assert intervals["kappa"].low < intervals["kappa"].high
    assert intervals["prediction_consistency"].low <= 1 - flips / 100 <= intervals["prediction_consistency"].high
    assert intervals["prediction_consistency"].low < intervals["prediction_consistency"].high
