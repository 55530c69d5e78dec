"""What cannot be measured is refused by name in every function of accuracy, confidence and calibration."""

import numpy as np
import pytest
import torch

from hf_sslgen import metrics

pytestmark = pytest.mark.filterwarnings("error")

OF_CONFIDENCES = {
    name: vars(metrics)[name]
    for name in (
        "prediction_confidence",
        "expected_calibration_error",
        "adaptive_calibration_error",
        "debiased_calibration_error",
        "ks_calibration_error",
        "top_label_brier",
        "risk_coverage",
    )
}
OF_PROBABILITIES = {
    name: vars(metrics)[name]
    for name in (
        "top_label",
        "brier_score",
        "negative_log_likelihood",
        "classwise_calibration_error",
        "confidence_summary",
    )
}
OF_LOGITS = {
    "fit_temperature": (metrics.fit_temperature, "validation_logits", "validation_references"),
    "top_k_accuracy": (metrics.top_k_accuracy, "scores", "references"),
} | {
    name: (lambda scores, references, f=f: f(scores, references, from_logits=True), "probabilities", "references")
    for name, f in OF_PROBABILITIES.items()
}

NO_ARRAYS = [
    (None, "real numbers, got dtype object"),
    ("ab", "real numbers, got dtype <U2"),
    (["a", "b"], "real numbers, got dtype <U1"),
    (np.array([0.5, None]), "real numbers, got dtype object"),
    (np.array([0.5, 0.5], dtype=object), "real numbers, got dtype object"),
    (np.array([0.5 + 0j, 0.5]), "real numbers, got dtype complex128"),
    (np.array(["2020-01-01"], dtype="M8[D]"), "real numbers, got dtype datetime64"),
    ([[0.5], [0.5, 0.5]], "a regular numeric array, got list"),
    (np.ma.masked_array([0.5, 0.5], [False, True]), "a plain array, got a masked array"),
    (torch.ones(2, 2).to_sparse(), "a dense tensor"),
    (torch.ones(2, 2, device="meta"), "a dense tensor"),
    ({"a": 1}, "real numbers, got dtype object"),
]

BAD_CONFIDENCES = [
    *NO_ARRAYS[:-3],
    (torch.ones(2, device="meta"), "a dense tensor"),
    (0.5, r"shape \(N,\), got shape \(\)"),
    ([[0.5, 0.5]], r"shape \(N,\), got shape \(1, 2\)"),
    ([], "must not be empty"),
    ([0.5, np.nan], r"finite, but confidences\[1\] is nan"),
    ([np.inf, 0.5], r"finite, but confidences\[0\] is inf"),
    (torch.tensor([0.5, float("nan")]).bfloat16(), r"finite, but confidences\[1\] is nan"),
    ([0.5, -1e-5], r"probabilities in \[0, 1\], but confidences\[1\] is -1e-05"),
    ([0.5, 1.1], r"probabilities in \[0, 1\], but confidences\[1\] is 1.1"),
    ([50, 95], r"probabilities in \[0, 1\], but confidences\[0\] is 50"),
    ([True, False], r"probabilities in \[0, 1\], got booleans"),
    ([0.5], r"must have the same length, got shapes \(1,\) and \(2,\)"),
]


@pytest.mark.parametrize("function", OF_CONFIDENCES.values(), ids=OF_CONFIDENCES)
@pytest.mark.parametrize(("confidences", "message"), BAD_CONFIDENCES)
def test_bad_confidences(function, confidences, message):
    with pytest.raises(ValueError, match="confidences.*" + message):
        function(confidences, [1, 0])


@pytest.mark.parametrize("confidences", [["a"], [np.nan], [1.5], [], [[0.5]], [True]])
def test_the_null_band_refuses_bad_confidences_too(confidences):
    with pytest.raises(ValueError, match="confidences must"):
        metrics.reliability_null_band(confidences)


@pytest.mark.parametrize("function", OF_CONFIDENCES.values(), ids=OF_CONFIDENCES)
@pytest.mark.parametrize(
    ("correct", "message"),
    [
        *NO_ARRAYS[:7],
        ([0, 2], r"boolean, or 0 and 1 \(1 where the prediction is right\), but correct\[1\] is 2"),
        ([0, -1], r"correct\[1\] is -1"),
        ([0.5, 1.0], r"correct\[0\] is 0.5"),
        ([np.nan, 1.0], r"correct\[0\] is nan"),
        ([[0, 1]], r"shape \(N,\), got shape \(1, 2\)"),
        ([], "must not be empty"),
        ([1, 0, 1], r"must have the same length, got shapes \(2,\) and \(3,\)"),
    ],
)
def test_bad_correct(function, correct, message):
    with pytest.raises(ValueError, match="correct.*" + message):
        function([0.5, 0.6], correct)


GOOD = [[0.25, 0.75], [0.5, 0.5]]
BAD_SHAPES = [
    *NO_ARRAYS,
    ([0.5, 0.5], r"shape \(N, C\), got shape \(2,\)"),
    (0.5, r"shape \(N, C\), got shape \(\)"),
    (torch.tensor(0.5), r"shape \(N, C\), got shape \(\)"),
    (np.ones((2, 2, 1)), r"shape \(N, C\), got shape \(2, 2, 1\)"),
    (np.ones((0, 2)), r"not be empty: expected shape \(N, C\), got shape \(0, 2\)"),
    (np.ones((2, 0)), r"not be empty"),
    (np.ones((2, 2), dtype=bool), "got booleans"),
    ([[0.5, 0.5], [np.nan, 0.5]], r"finite, but \w+\[1, 0\] is nan"),
    ([[0.5, 0.5], [0.5, np.inf]], r"finite, but \w+\[1, 1\] is inf"),
    ([[0.5, -np.inf], [0.5, 0.5]], r"finite, but \w+\[0, 1\] is -inf"),
    (torch.tensor([[0.5, 0.5], [float("inf"), 0]]).half(), r"finite, but \w+\[1, 0\] is inf"),
]


@pytest.mark.parametrize("function", OF_PROBABILITIES.values(), ids=OF_PROBABILITIES)
@pytest.mark.parametrize(
    ("probabilities", "message"),
    [
        *BAD_SHAPES,
        ([[0.5, 0.5], [2.0, -1.0]], r"probabilities in \[0, 1\] \(pass logits with from_logits=True.*\[1, 0\] is 2.0"),
        ([[0.5, 0.5], [1.00001, 0.0]], r"probabilities in \[0, 1\].*\[1, 0\] is 1.00001"),
        ([[0.6, 0.6], [0.5, 0.5]], "rows that sum to 1 within 0.001, but row 0 sums to 1.2"),
        ([[0.5, 0.5], [0.0, 0.0]], "row 1 sums to 0 "),
        ([[0.5, 0.5]], r"must have the same length, got shapes \(1, 2\) and \(2,\)"),
    ],
)
def test_bad_probabilities(function, probabilities, message):
    with pytest.raises(ValueError, match="probabilities.*" + message):
        function(probabilities, [0, 0])


@pytest.mark.parametrize(("function", "name"), [(f, name) for f, name, _ in OF_LOGITS.values()], ids=OF_LOGITS)
@pytest.mark.parametrize(("logits", "message"), BAD_SHAPES)
def test_bad_logits(function, name, logits, message):
    with pytest.raises(ValueError, match=f"{name}.*" + message):
        function(logits, [0, 0])


@pytest.mark.parametrize(("logits", "message"), BAD_SHAPES)
def test_bad_logits_of_apply(logits, message):
    with pytest.raises(ValueError, match="logits.*" + message):
        metrics.apply_temperature(logits, 1.0)


BAD_LABELS = [
    *NO_ARRAYS[:7],
    ([0, 2], r"integer class labels in \[0, 2\), but references\[1\] is 2"),
    ([0, -1], r"references\[1\] is -1"),
    ([0, -100], r"references\[1\] is -100"),
    ([0.0, 0.5], r"references\[1\] is 0.5"),
    ([0.0, np.nan], r"references\[1\] is nan"),
    ([0.0, np.inf], r"references\[1\] is inf"),
    ([[0], [1]], r"shape \(N,\), got shape \(2, 1\)"),
    ([[1, 0], [0, 1]], r"shape \(N,\), got shape \(2, 2\)"),
    ([], "must not be empty"),
    ([0, 1, 1], r"must have the same length, got shapes \(2, 2\) and \(3,\)"),
]


@pytest.mark.parametrize("function", OF_PROBABILITIES.values(), ids=OF_PROBABILITIES)
@pytest.mark.parametrize(("references", "message"), BAD_LABELS)
def test_bad_references(function, references, message):
    with pytest.raises(ValueError, match="references.*" + message):
        function(GOOD, references)


@pytest.mark.parametrize("function", [f for f, _, _ in OF_LOGITS.values()], ids=OF_LOGITS)
@pytest.mark.parametrize(("references", "message"), BAD_LABELS)
def test_bad_references_of_logits(function, references, message):
    with pytest.raises(ValueError, match="references.*" + message):
        function(GOOD, references)


@pytest.mark.parametrize(
    ("references", "message"), [case for case in BAD_LABELS if "shape" not in case[1] or "N," in case[1]]
)
@pytest.mark.parametrize("place", [0, 1])
def test_bad_labels_of_accuracy(references, message, place):
    arguments = [[0, 1], [0, 1]]
    arguments[place] = references
    name = ("predictions", "references")[place]
    with pytest.raises(ValueError, match=f"{name}.*" + message.replace("references", name)):
        metrics.accuracy(*arguments, num_classes=2)


@pytest.mark.parametrize("bad", [0, -1, 1.5, True, "3", None, np.float64(2.0)])
def test_bad_counts(bad):
    for call in (
        lambda: metrics.expected_calibration_error([0.5], [1], num_bins=bad),
        lambda: metrics.adaptive_calibration_error([0.5], [1], num_bins=bad),
        lambda: metrics.debiased_calibration_error([0.5], [1], num_bins=bad),
        lambda: metrics.classwise_calibration_error(GOOD, [0, 1], num_bins=bad),
        lambda: metrics.confidence_summary(GOOD, [0, 1], num_bins=bad),
        lambda: metrics.reliability_null_band([0.5], num_bins=bad),
    ):
        with pytest.raises(ValueError, match="num_bins must be an integer of at least 1, got "):
            call()
    with pytest.raises(ValueError, match="k must be an integer of at least 1, got "):
        metrics.top_k_accuracy(GOOD, [0, 1], k=bad)
    if bad != 0 or bad is True:
        with pytest.raises(ValueError, match="num_simulations must be an integer of at least 0, got "):
            metrics.expected_calibration_error([0.5], [1], num_simulations=bad)


@pytest.mark.parametrize("function", OF_CONFIDENCES.values(), ids=OF_CONFIDENCES)
@pytest.mark.parametrize(("p", "y"), [(0.0, 0), (1.0, 1), (0.7, 1), (0.7, 0)])
def test_one_sample_is_measured(function, p, y):
    values = function([p], [y]).to_dict()
    assert values["n"] == 1
    missing = [name for name, value in values.items() if isinstance(value, float) and np.isnan(value)]
    if "reason" in values:
        assert bool(missing) == bool(values["reason"])
    else:
        assert set(missing) <= {"ece_if_calibrated_95"}


@pytest.mark.parametrize(
    "form",
    [
        lambda x: np.array(x, dtype=np.float32),
        lambda x: np.array(x, dtype=np.float16),
        lambda x: np.array(x + x)[: len(x)],
        lambda x: np.repeat(x, 2)[::2],
        lambda x: torch.tensor(x).bfloat16(),
        lambda x: torch.tensor(x).half().requires_grad_(),
        lambda x: [torch.tensor(value) for value in x],
        tuple,
    ],
)
@pytest.mark.parametrize("function", OF_CONFIDENCES.values(), ids=OF_CONFIDENCES)
def test_forms_of_the_same_confidences(function, form):
    p, y = [0.25, 0.5, 0.5, 0.75, 1.0], [0, 1, 0, 1, 1]
    assert str(function(form(p), torch.tensor(y))) == str(function(p, y))


@pytest.mark.parametrize("function", OF_CONFIDENCES.values(), ids=OF_CONFIDENCES)
def test_arguments_are_left_as_they_were(function):
    p, y = np.array([0.9, 0.1, 0.5]), np.array([True, False, True])
    p.flags.writeable = y.flags.writeable = False
    function(p, y)
    assert (p.tolist(), y.tolist()) == ([0.9, 0.1, 0.5], [True, False, True])


@pytest.mark.parametrize("function", [f for f, _, _ in OF_LOGITS.values()], ids=OF_LOGITS)
def test_scores_are_left_as_they_were(function):
    scores = np.array(GOOD * 3)
    scores.flags.writeable = False
    function(scores, np.array([0, 1] * 3))
    assert scores.tolist() == GOOD * 3
