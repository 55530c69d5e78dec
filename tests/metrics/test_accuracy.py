import json
import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import accuracy_score, balanced_accuracy_score

from hf_sslgen.metrics import accuracy


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
    low, high = binomtest(1, 2).proportion_ci(0.95, method="wilson")
    assert json.loads(json.dumps(result.to_dict())) == {
        "accuracy": 0.5,
        "accuracy_interval": [pytest.approx(low), pytest.approx(high)],
        "mean_per_class_accuracy": 0.5,
        "n_absent_classes": 1,
        "n": 2,
    }
    assert str(result).startswith(
        "AccuracyResult: accuracy = 0.5 [0.09453, 0.9055], mean_per_class_accuracy = 0.5, n_absent_classes = 1, n = 2"
    )


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
