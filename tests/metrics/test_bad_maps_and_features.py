"""What can't be measured is refused by name in every function of attribution and invariance, or NaN with a reason."""

from collections.abc import Callable
from dataclasses import fields

import numpy as np
import pytest
import torch

from hf_sslgen import metrics

pytestmark = pytest.mark.filterwarnings("error")

MAPS = np.random.default_rng(0).normal(size=(4, 3, 3)) + 0.5
MASKS = np.tile(np.eye(3), (4, 1, 1))
BOXES = np.tile([0.1, 0.2, 0.6, 0.9], (4, 1))
FEATURES = np.random.default_rng(1).normal(size=(8, 2))
MOVED = FEATURES + 0.3 * np.random.default_rng(2).normal(size=(8, 2))
LABELS = np.array([0, 1, 2, 0, 1, 2, 0, 1])
WHITENING = metrics.fit_whitening(np.random.default_rng(3).normal(size=(40, 2)))

# Every array argument of every function: a call with that argument replaced, its name, and its axes.
ARGUMENTS: dict[str, tuple[Callable, str, str, np.ndarray]] = {
    "concentration": (metrics.attribution_concentration, "maps", "N, h, w", MAPS),
    "localization": (lambda x: metrics.attribution_localization(x, MASKS), "maps", "N, h, w", MAPS),
    "localization masks": (lambda x: metrics.attribution_localization(MAPS, x), "masks", "N, h', w'", MASKS),
    "localization boxes": (lambda x: metrics.attribution_localization(MAPS, boxes=x), "boxes", "N, 4", BOXES),
    "invariance": (lambda x: metrics.invariance(x, MOVED), "features", "N, D", FEATURES),
    "invariance t": (lambda x: metrics.invariance(FEATURES, x), "transformed_features", "N, D", MOVED),
    "invariance groups": (lambda x: metrics.invariance(FEATURES, MOVED, x), "groups", "N,", LABELS),
    "invariance unchanged": (
        lambda x: metrics.invariance(FEATURES, MOVED, unchanged=x),
        "unchanged",
        "N,",
        LABELS == 2,
    ),
    "guards": (metrics.representation_guards, "features", "N, D", FEATURES),
    "fit_whitening": (metrics.fit_whitening, "training_features", "n, D", FEATURES),
    "whitened": (lambda x: metrics.whitened_cosine(WHITENING, x, MOVED), "features", "N, D", FEATURES),
    "whitened t": (lambda x: metrics.whitened_cosine(WHITENING, FEATURES, x), "transformed_features", "N, D", MOVED),
    "whitened unchanged": (
        lambda x: metrics.whitened_cosine(WHITENING, FEATURES, MOVED, x),
        "unchanged",
        "N,",
        LABELS == 2,
    ),
    "cka": (lambda x: metrics.debiased_linear_cka(x, MOVED), "features", "N, D", FEATURES),
    "cka t": (lambda x: metrics.debiased_linear_cka(FEATURES, x), "transformed_features", "N, D'", MOVED),
    "consistency": (lambda x: metrics.prediction_consistency(x, LABELS), "predictions", "N,", LABELS),
    "consistency t": (
        lambda x: metrics.prediction_consistency(LABELS, x),
        "transformed_predictions",
        "N,",
        LABELS,
    ),
}
OPTIONAL = {
    "localization masks",
    "localization boxes",
    "invariance groups",
    "invariance unchanged",
    "whitened unchanged",
}
REAL = {name: case for name, case in ARGUMENTS.items() if case[3].dtype == np.float64}


def replaced(array, value):
    changed = array.astype(np.float64)
    changed.flat[1] = value
    return changed


@pytest.mark.parametrize("case", ARGUMENTS)
@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (None, "real numbers, got dtype object"),
        ("ab", "real numbers, got dtype <U2"),
        (lambda x: x.astype(str), "real numbers, got dtype <U"),
        (lambda x: x.astype(object), "real numbers, got dtype object"),
        (lambda x: x.astype(complex), "real numbers, got dtype complex128"),
        (lambda x: [*x.tolist()[:-1], [[1.0] * 7] * 5], "a regular numeric array, got list"),
        (lambda x: np.ma.masked_array(x, x != x), "a plain array, got a masked array"),
        (lambda x: torch.ones(x.shape, device="meta"), "a dense tensor"),
        (lambda x: x[:0], "not be empty"),
        (lambda x: x[None], r"have shape \({axes}\), got shape \(1, "),
        (lambda x: x[0], r"have shape \({axes}\), got shape \("),
        (lambda x: replaced(x, np.nan), r"\[{place}\] is nan"),
        (lambda x: torch.tensor(replaced(x, np.nan)).bfloat16(), r"\[{place}\] is nan"),
        (lambda x: replaced(x, np.inf), r"\[{place}\] is inf"),
        (lambda x: torch.tensor(replaced(x, -np.inf)).half(), r"\[{place}\] is -inf"),
    ],
)
def test_bad_arrays(case, bad, message):
    function, name, axes, good = ARGUMENTS[case]
    if bad is None and case in OPTIONAL:
        return
    place = ", ".join("0" * (good.ndim - 1) + "1")
    message = message.replace("{axes}", axes).replace("{place}", place)
    with pytest.raises(ValueError, match=rf"^{name}(\[\d\])? must .*{message}"):
        function(bad(good) if callable(bad) else bad)


@pytest.mark.parametrize(
    "case", [case for case in ARGUMENTS if case not in ("concentration", "guards", "fit_whitening")]
)
def test_lengths_that_differ(case):
    function, name, _, good = ARGUMENTS[case]
    with pytest.raises(
        ValueError, match=rf"{name}.* must have (the same length|one shape), got .*shapes?|one shape, got"
    ):
        function(good[:-1])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: metrics.attribution_localization(MAPS), "give either masks or boxes, got neither"),
        (lambda: metrics.attribution_localization(MAPS, MASKS, BOXES), "give either masks or boxes, got both"),
        (
            lambda: metrics.attribution_localization(MAPS, MASKS * 255),
            r"masks must be in \[0, 1\].*\[0, 0, 0\] is 255",
        ),
        (lambda: metrics.attribution_localization(MAPS, MASKS - 0.1), r"masks must be in \[0, 1\].*is -0.1"),
        (
            lambda: metrics.attribution_localization(MAPS, np.ones((4, 6, 4))),
            "masks must have a height and width that are multiples of the maps' 3 x 3, got 6 x 4",
        ),
        (
            lambda: metrics.attribution_localization(MAPS, np.ones((4, 2, 3))),
            "multiples of the maps' 3 x 3, got 2",
        ),
        (lambda: metrics.attribution_localization(MAPS, boxes=np.ones((4, 5))), r"boxes must have shape \(N, 4\): x0"),
        (lambda: metrics.attribution_localization(MAPS, boxes=BOXES * 224), r"boxes must be in \[0, 1\], shares of"),
        (
            lambda: metrics.attribution_localization(MAPS, boxes=BOXES - 0.2),
            r"boxes\[0, 0\] is -0.1",
        ),
        (
            lambda: metrics.attribution_localization(MAPS, boxes=BOXES[:, [2, 1, 0, 3]]),
            r"x0 < x1 and y0 < y1, but boxes\[0\] is \[0.6, 0.2, 0.1, 0.9\]",
        ),
        (lambda: metrics.attribution_localization(MAPS, boxes=BOXES[:, [0, 1, 2, 1]]), "x0 < x1 and y0 < y1"),
        (
            lambda: metrics.attribution_localization(MAPS, MASKS, sign="negative"),
            "sign must be 'positive' or 'absolute'",
        ),
        (lambda: metrics.attribution_concentration(MAPS, None), "sign must be 'positive' or 'absolute', got None"),
        (lambda: metrics.representation_guards(FEATURES, "tuned"), "stage must be 'pretrained' or 'fine-tuned'"),
        (lambda: metrics.noise_null(0, 7), "height must be an integer of at least 1, got 0"),
        (lambda: metrics.noise_null(7, 2.0), "width must be an integer of at least 1, got 2.0"),
        (lambda: metrics.noise_null(7, 7, num_maps=True), "num_maps must be an integer of at least 1, got True"),
        (lambda: metrics.fit_whitening(FEATURES, 0), "dimension must be an integer of at least 1, got 0"),
        (
            lambda: metrics.invariance(FEATURES, MOVED, gallery_size=2.5),
            "gallery_size must be an integer of",
        ),
        (lambda: metrics.invariance(FEATURES, MOVED, LABELS - 1), r"groups must be .*groups\[0\] is -1"),
        (
            lambda: metrics.invariance(FEATURES, MOVED, unchanged=LABELS),
            r"must be boolean.*unchanged\[2\] is 2",
        ),
        (lambda: metrics.prediction_consistency(LABELS, LABELS + 0.5), r"transformed_predictions\[0\] is 0.5"),
        (lambda: metrics.prediction_consistency(LABELS - 1, LABELS), r"predictions\[0\] is -1"),
        (
            lambda: metrics.invariance_statistic([0.5, np.inf], [0, 0], [0, 0]),
            "sample_cosine must be finite or NaN",
        ),
        (lambda: metrics.invariance_statistic([0.5], [0.1, 0], [0.1]), "must have the same length"),
        (
            lambda: metrics.invariance_statistic([0.5], [0.1], [0.1], [0, 1]),
            "sample_cosine and groups must have",
        ),
    ],
)
def test_bad_choices(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def undefined(result):
    """Names of the numbers that are NaN."""
    return {
        field.name
        for field in fields(result)
        if isinstance(vars(result)[field.name], float) and np.isnan(vars(result)[field.name])
    }


INVARIANCE = {"invariance", "chance_cosine", "distance_invariance", "recall_at_1", "rank_auc"}


@pytest.mark.parametrize(
    ("call", "names", "reason"),
    [
        (lambda: metrics.invariance([[1, 2]], [[2, 1]]), INVARIANCE, "1 of 1 samples are defined"),
        (lambda: metrics.invariance(np.zeros((3, 2)), MOVED[:3]), INVARIANCE | {"cosine"}, "0 of 3 samples are"),
        (lambda: metrics.invariance(FEATURES, MOVED, unchanged=[1] * 8), INVARIANCE | {"cosine"}, "0 of 8 samples"),
        (lambda: metrics.invariance([[1], [2]], [[3], [4]]), {"invariance"}, "chance cosine is 1 within"),
        (lambda: metrics.invariance([[1], [-2], [3]], [[3], [4], [-5]]), set(), ""),
        (
            lambda: metrics.representation_guards([[1, 2]]),
            {"covariance_effective_rank", "rankme", "dead_dimension_share"},
            "1 samples",
        ),
        (lambda: metrics.whitened_cosine(WHITENING, [[1, 2]], [[2, 1]]), set(), ""),
        (
            lambda: metrics.whitened_cosine(metrics.fit_whitening([[1.0]]), [[1]], [[1]]),
            {"whitened_cosine"},
            "1 train",
        ),
        (lambda: metrics.debiased_linear_cka([[1]], [[2]]), {"linear_cka"}, "1 samples are too few"),
        (lambda: metrics.debiased_linear_cka([[1], [2], [4], [9]], [[2], [4], [8], [18]]), set(), ""),
        (lambda: metrics.prediction_consistency([3], [3]), {"kappa"}, "every prediction is the same class"),
        (lambda: metrics.prediction_consistency([3], [4]), set(), ""),
        (lambda: metrics.attribution_concentration([[[2.0]]]), {"spread"}, "a 1 x 1 grid has no spread"),
        (
            lambda: metrics.attribution_localization([[[-2.0]]], [[[1]]]),
            {"mass_accuracy", "lift", "pointing_game", "area_share"},
            "every map is all-zero",
        ),
    ],
)
def test_what_cannot_be_had_is_nan_with_a_reason(call, names, reason):
    result = call()
    assert undefined(result) == names
    assert result.reason.startswith(reason)
    assert bool(result.reason) == bool(names)
    assert (
        all(np.isnan(result.intervals.get(name, (np.nan,))[0]) for name in names)
        if "intervals" in vars(result)
        else True
    )


def flat(result):
    """All numbers of a result, those of its samples included."""
    values = [np.ravel(value) for value in vars(result).values() if isinstance(value, (int, float, np.ndarray))]
    return np.concatenate(values).astype(np.float64)


@pytest.mark.parametrize("case", REAL)
@pytest.mark.parametrize("scale", [1e300, 1e-300])
def test_very_large_and_small_values_give_the_same_numbers(case, scale):
    function, _, _, good = REAL[case]
    if case in ("localization masks", "localization boxes", "fit_whitening"):
        return  # in [0, 1], or (test_whitening) moved together
    if case.startswith(("whitened", "invariance", "cka t")):
        result = function(good * scale)  # one side alone: what does not depend on scale is kept
        cosine = {"whitened": "whitened_cosine", "invariance": "cosine", "cka": "linear_cka"}[case.split()[0]]
        assert np.isfinite(vars(result)[cosine])
        if not case.startswith("whitened"):
            assert vars(result)[cosine] == pytest.approx(vars(function(good))[cosine])
        return
    np.testing.assert_allclose(flat(function(good * scale)), flat(function(good)), rtol=1e-6)


@pytest.mark.parametrize("case", ARGUMENTS)
@pytest.mark.parametrize(
    "form",
    [
        lambda x: np.repeat(x, 2, axis=0)[::2],
        np.asfortranarray,
        lambda x: x[::-1].copy()[::-1],
        lambda x: x.tolist(),
        torch.tensor,
        lambda x: [torch.tensor(row) for row in x],
    ],
)
def test_forms_of_the_same_array(case, form):
    function, _, _, good = ARGUMENTS[case]
    np.testing.assert_allclose(flat(function(form(good))), flat(function(good)), rtol=1e-12)


@pytest.mark.parametrize("case", REAL)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_half_precision(case, dtype):
    function, _, _, good = REAL[case]
    narrow = torch.tensor(good).to(dtype)
    np.testing.assert_allclose(
        flat(function(narrow.requires_grad_())), flat(function(narrow.detach().double())), rtol=1e-12
    )


@pytest.mark.parametrize("case", ARGUMENTS)
def test_arguments_are_left_as_they_were(case):
    function, _, _, good = ARGUMENTS[case]
    array = good.copy()
    array.flags.writeable = False
    function(array)
    np.testing.assert_array_equal(array, good)
    writeable = good.copy()
    function(writeable)
    np.testing.assert_array_equal(writeable, good)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.bool_, np.int64])
def test_whole_numbers_are_features_too(dtype):
    z = np.array([[-128, 3], [5, 127], [9, -2], [1, 1]]).astype(dtype)
    moved = z[::-1]
    expected = metrics.invariance(z.astype(float), moved.astype(float))
    np.testing.assert_allclose(flat(metrics.invariance(z, moved)), flat(expected))
