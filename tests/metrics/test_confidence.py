import numpy as np
import pytest
from confidence_samples import columns, samples, simulated
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit
from scipy.stats import t
from sklearn.metrics import roc_auc_score

from hf_sslgen.metrics import prediction_confidence

pytestmark = pytest.mark.filterwarnings("error")


def test_confidence_by_hand():
    result = prediction_confidence([0.9, 0.8, 0.6, 0.7], [1, 1, 0, 0])
    assert result.mean_confidence == pytest.approx(0.75)
    assert result.mean_confidence_correct == pytest.approx(0.85)
    assert result.mean_confidence_incorrect == pytest.approx(0.65)
    assert result.gap == pytest.approx(0.25)
    assert result.auroc == 1.0
    assert (result.n, result.reason) == (4, "")


@pytest.mark.parametrize("outcome", [0, 1])
def test_one_sided_outcomes_give_nan_with_a_reason(outcome):
    result = prediction_confidence([0.5, 0.7], [outcome] * 2)
    missing = result.mean_confidence_incorrect if outcome else result.mean_confidence_correct
    there = result.mean_confidence_correct if outcome else result.mean_confidence_incorrect
    assert np.isnan(result.auroc)
    assert np.isnan(missing)
    assert there == pytest.approx(0.6)
    assert result.gap == pytest.approx(0.6 - outcome)
    assert result.reason.startswith(f"every prediction is {'correct' if outcome else 'incorrect'}")


@settings(max_examples=80, deadline=None)
@given(samples)
def test_auroc_agrees_with_scikit_learn_including_ties(pairs):
    p, y = columns(pairs)
    assume(0 < y.sum() < len(y))
    assert prediction_confidence(p, y).auroc == pytest.approx(roc_auc_score(y, p))


@settings(max_examples=40, deadline=None)
@given(samples, st.randoms(use_true_random=False))
def test_order_does_not_matter(pairs, random):
    result = prediction_confidence(*columns(pairs))
    random.shuffle(pairs)
    shuffled = prediction_confidence(*columns(pairs))
    for name in ("mean_confidence", "mean_confidence_correct", "mean_confidence_incorrect", "gap", "auroc"):
        assert vars(shuffled)[name] == pytest.approx(vars(result)[name], nan_ok=True, abs=1e-12)


# --- intervals ---


def delong_variance(p, y):
    """Variance of the AUROC from all pairs, as DeLong, DeLong and Clarke-Pearson write it."""
    right, wrong = p[y], p[~y]
    wins = (right[:, None] > wrong) + 0.5 * (right[:, None] == wrong)
    return wins.mean(axis=1).var(ddof=1) / len(right) + wins.mean(axis=0).var(ddof=1) / len(wrong)


@pytest.mark.parametrize("decimals", [1, 12])
def test_auroc_interval_holds_delongs_from_all_pairs_and_newcombes(decimals):
    p, y = simulated(150)
    p = p.round(decimals)  # to one decimal most samples tie
    result = prediction_confidence(p, y)
    fewer = min(y.sum(), (~y).sum())
    half = t.ppf(0.975, fewer - 1) * np.sqrt(delong_variance(p, y)) / (result.auroc * (1 - result.auroc))
    expected = expit(logit(result.auroc) - half), expit(logit(result.auroc) + half)
    low, high = result.intervals["auroc"]
    score = [bound for bound in (low, high) if _standard_errors(bound, result.auroc, p, y) == pytest.approx(1.959964)]
    for bound, of_delong in ((low, expected[0]), (high, expected[1])):
        assert bound == pytest.approx(of_delong, abs=1e-10) or bound in score
    assert low <= expected[0] + 1e-10
    assert high >= expected[1] - 1e-10


def _standard_errors(x, auroc, p, y):
    """How many of Hanley and McNeil's standard errors at x, with both sides at their mean size, `auroc` is off."""
    m, n = y.sum(), (~y).sum()
    star = (m + n) / 2 - 1
    variance = x * (1 - x) * (1 + star * (1 - x) / (2 - x) + star * x / (1 + x)) / (m * n)
    return abs(x - auroc) / np.sqrt(variance)


@pytest.mark.parametrize(("tied", "value"), [("right", 1.0), ("wrong", 1.0), ("wrong", 0.5)])
def test_auroc_interval_does_not_collapse_where_one_side_is_tied(tied, value):
    """Of the wrong ones 5% are tied with the right ones, of which a sample of 20 may hold none."""
    generator = np.random.default_rng(3)
    held = []
    for _ in range(300):
        right, wrong = generator.beta(8, 1, 180), generator.beta(3, 3, 20)
        if tied == "right":
            right[:], wrong = value, np.where(generator.random(20) < 0.05, value, wrong)
        else:
            wrong = np.where(generator.random(20) < 0.95, value, wrong)
        result = prediction_confidence(np.append(right, wrong), [1] * 180 + [0] * 20)
        large = generator.beta(8, 1, 20_000)
        if tied == "right":
            truth = 1 - 0.05 / 2
        else:
            truth = 0.95 * np.mean(large > value) + 0.05 * np.mean(large[:, None] > generator.beta(3, 3, 50))
        low, high = result.intervals["auroc"]
        held.append(low <= truth <= high)
        assert high - low > 0.05
    assert np.mean(held) > 0.92


def test_auroc_has_no_interval_where_a_side_is_small():
    few = prediction_confidence(np.linspace(0.1, 0.9, 50), [1] * 41 + [0] * 9)
    assert few.auroc == 0.0
    mixed = prediction_confidence(np.linspace(0.1, 0.9, 50), ([1, 0] * 9) + [1] * 32)
    assert 0 < mixed.auroc < 1
    perfect = prediction_confidence([0.9] * 20 + [0.2] * 20, [1] * 20 + [0] * 20)
    assert perfect.auroc == 1.0
    assert perfect.intervals["auroc"].low < 0.95
    assert perfect.intervals["auroc"].high == 1.0
    for result in (few, mixed):
        assert np.isnan(result.intervals["auroc"]).all()
        assert "auroc_interval" in result.to_dict()


def test_intervals_hold_their_numbers_and_are_absent_for_one_sample():
    result = prediction_confidence(*simulated(300, sharpness=1.5))
    for name, (low, high) in result.intervals.items():
        assert low < vars(result)[name] < high
    alone = prediction_confidence([0.5], [1])
    assert all(np.isnan(interval).all() for interval in alone.intervals.values())
    assert str(alone).startswith("ConfidenceResult: mean_confidence = 0.5, ")


def test_auroc_interval_covers():
    truth = prediction_confidence(*simulated(400_000, seed=1)).auroc
    intervals = [prediction_confidence(*simulated(200, seed=seed)).intervals["auroc"] for seed in range(2, 602)]
    covered = np.mean([low <= truth <= high for low, high in intervals])
    assert 0.92 <= covered <= 0.97
