import itertools
import json
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import accuracy_score, balanced_accuracy_score, top_k_accuracy_score

from hf_sslgen.metrics import accuracy, top_k_accuracy


def test_small_case_by_hand():
    result = accuracy([0, 0, 1, 2], [0, 0, 0, 2], num_classes=5)
    assert result.accuracy == 0.75
    assert result.mean_per_class_accuracy == pytest.approx((2 / 3 + 1.0) / 2)
    assert result.n_absent_classes == 3
    assert result.n == 4
    assert result.per_sample_correct.tolist() == [True, True, False, True]


def test_absent_classes_are_not_counted_without_num_classes():
    assert accuracy([0, 4], [0, 4]).n_absent_classes == 0


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=40), st.randoms())
def test_agrees_with_scikit_learn_and_ignores_order(pairs, random):
    references, predictions = (list(column) for column in zip(*pairs, strict=True))
    result = accuracy(predictions, references, num_classes=5)
    assert result.accuracy == pytest.approx(accuracy_score(references, predictions))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scikit-learn warns about predicted classes that no reference has
        assert result.mean_per_class_accuracy == pytest.approx(balanced_accuracy_score(references, predictions))

    random.shuffle(pairs)
    shuffled = accuracy([p for _, p in pairs], [r for r, _ in pairs], num_classes=5)
    assert shuffled.mean_per_class_accuracy == pytest.approx(result.mean_per_class_accuracy)


def test_tensors_and_result_as_json_and_text():
    result = accuracy(torch.tensor([0, 1]), torch.tensor([0, 0]), num_classes=2)
    low, high = binomtest(1, 2).proportion_ci(0.95, method="exact")
    assert json.loads(json.dumps(result.to_dict())) == {
        "accuracy": 0.5,
        "accuracy_interval": [pytest.approx(low), pytest.approx(high)],
        "mean_per_class_accuracy": 0.5,
        "mean_per_class_accuracy_interval": [pytest.approx(np.nan, nan_ok=True)] * 2,
        "n_absent_classes": 1,
        "n": 2,
    }
    expected = "accuracy = 0.5 [0.01258, 0.9874], mean_per_class_accuracy = 0.5, n_absent_classes = 1, n = 2"
    assert str(result) == f"AccuracyResult: {expected}"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([[0.1, 0.9]], [1]), r"predictions must have shape \(N,\), got shape \(1, 2\)"),
        (([0, 1], [1]), r"predictions and references must have the same length, got shapes \(2,\) and \(1,\)"),
        (([0, 3], [1, 1], 3), r"predictions must be integer class labels in \[0, 3\), but predictions\[1\] is 3"),
        (([0, 1], [1, -1], 3), r"references\[1\] is -1"),
        (([], []), "predictions must not be empty"),
        (([0], [0], 0), "num_classes must be an integer of at least 1, got 0"),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        accuracy(*arguments)


# --- top k ---


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 40), st.integers(3, 12), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_top_k_agrees_with_scikit_learn_where_nothing_ties(n, num_classes, k, seed):
    k = min(k, num_classes - 1)
    generator = np.random.default_rng(seed)
    scores, references = generator.normal(size=(n, num_classes)), generator.integers(num_classes, size=n)
    result = top_k_accuracy(scores, references, k)
    expected = top_k_accuracy_score(references, scores, k=k, labels=np.arange(num_classes))
    assert result.top_k_accuracy == pytest.approx(expected)
    low, high = binomtest(int(result.per_sample_credit.sum()), n).proportion_ci(0.95, method="exact")
    assert result.intervals["top_k_accuracy"] == pytest.approx((low, high), abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 5))
def test_ties_get_the_credit_that_breaking_them_at_random_gives_on_average(seed, k):
    generator = np.random.default_rng(seed)
    scores, references = generator.integers(0, 3, (6, 6)), generator.integers(6, size=6)
    credit = np.zeros(6)
    for order in itertools.permutations(range(6)):  # every way in which a stable sort could break ties
        best = np.argsort(-scores[:, order], axis=1, kind="stable")[:, :k]
        credit += (np.array(order)[best] == references[:, None]).any(axis=1)
    np.testing.assert_allclose(top_k_accuracy(scores, references, k).per_sample_credit, credit / 720)


def test_top_k_ignores_scale_order_of_classes_and_precision():
    generator = np.random.default_rng(0)
    logits = generator.integers(-8, 8, (300, 20)).astype(np.float32)
    references = generator.integers(20, size=300)
    credit = top_k_accuracy(logits, references).per_sample_credit
    classes = generator.permutation(20)
    permuted = top_k_accuracy(logits[:, np.argsort(classes)], classes[references])
    assert np.count_nonzero((credit > 0) & (credit < 1)) > 0
    np.testing.assert_array_equal(permuted.per_sample_credit, credit)
    np.testing.assert_array_equal(top_k_accuracy(torch.tensor(logits).half(), references).per_sample_credit, credit)
    np.testing.assert_array_equal(top_k_accuracy(np.exp(logits / 8), references).per_sample_credit, credit)


@pytest.mark.parametrize(("num_classes", "k"), [(1, 1), (5, 5), (4, 5)])
def test_no_more_classes_than_guesses_is_nan_with_a_reason(num_classes, k):
    result = top_k_accuracy(np.ones((3, num_classes)), [0, 0, 0], k)
    assert np.isnan(result.top_k_accuracy)
    assert np.isnan(result.per_sample_credit).all()
    assert result.reason == f"with {num_classes} classes, {k} guesses are always right"
