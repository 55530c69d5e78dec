"""Inputs and contenders of each comparison. A contender is built from the inputs, then called as often as needed.

Peers are imported only where they run, so a missing one affects only its own rows.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from hf_sslgen import metric_path
from hf_sslgen.metrics import (
    attribution_concentration,
    brier_score,
    expected_calibration_error,
    invariance,
    negative_log_likelihood,
    top_label,
)

Inputs = dict[str, npt.NDArray[Any]]
Call = Callable[[], object]
BLOCK = 100  # rows made at a time, so that making the inputs does not raise the peak of memory
NUM_BINS = 15


@dataclass(frozen=True)
class Contender:
    """One way to compute the number.

    Attributes:
        build: takes the inputs and returns a call without arguments; conversions that a user does once are done here.
        share: the part of the inputs that it is given; its time is divided by this.
        package: the peer it needs, or "" for none.
    """

    build: Callable[[Inputs], Call]
    share: float = 1.0
    package: str = ""


@dataclass(frozen=True)
class Case:
    """Contenders on one set of inputs; `sizes` are the arguments of `make`, in full and for a quick look."""

    make: Callable[..., Inputs]
    sizes: tuple[int, ...]
    quick_sizes: tuple[int, ...]
    contenders: dict[str, Contender] = field(default_factory=dict)


def class_probabilities(n: int, num_classes: int) -> Inputs:
    """Return the float32 softmax of normal logits, filled in place, and labels."""
    generator = np.random.default_rng(0)
    probabilities = np.empty((n, num_classes), dtype=np.float32)
    for start in range(0, n, BLOCK):
        block = probabilities[start : start + BLOCK]
        block[:] = np.exp(3.0 * generator.standard_normal(block.shape, dtype=np.float32))
        block /= block.sum(axis=1, keepdims=True)
    return {"probabilities": probabilities, "references": generator.integers(num_classes, size=n)}


def scalar_columns(n: int) -> Inputs:
    generator = np.random.default_rng(1)
    predictions, references = generator.integers(3, size=(2, n))
    return {"predictions": predictions, "references": references, "confidences": generator.random(n)}


def attribution_maps(n: int) -> Inputs:
    """Return rectified noise of 7 x 7 cells, float32."""
    noise = np.random.default_rng(2).standard_normal((n, 7, 7), dtype=np.float32)
    return {"maps": np.maximum(noise, 0.0, out=noise)}


def feature_pairs(n: int, dimension: int) -> Inputs:
    """Return float32 features, and transformed ones in which half of the variance is new."""
    generator = np.random.default_rng(3)
    features = generator.standard_normal((n, dimension), dtype=np.float32)
    moved = np.empty_like(features)
    for start in range(0, n, BLOCK):
        rows = slice(start, start + BLOCK)
        moved[rows] = features[rows] + generator.standard_normal(features[rows].shape, dtype=np.float32)
    return {"features": features, "transformed_features": moved}


def _one_pass(inputs: Inputs) -> Call:
    p = inputs["probabilities"]
    return lambda: (p.argmax(axis=1), p.max(axis=1), p.sum(axis=1))


def _calibration(inputs: Inputs) -> Call:
    def call() -> object:
        top = top_label(inputs["probabilities"], inputs["references"])
        return expected_calibration_error(top.per_sample_confidence, top.per_sample_correct, NUM_BINS)

    return call


def _brier(inputs: Inputs) -> Call:
    return lambda: brier_score(inputs["probabilities"], inputs["references"])


def _likelihood(inputs: Inputs) -> Call:
    return lambda: negative_log_likelihood(inputs["probabilities"], inputs["references"])


def _netcal(inputs: Inputs) -> Call:
    from netcal.metrics import ECE

    return lambda: ECE(bins=NUM_BINS).measure(inputs["probabilities"], inputs["references"])


def _torchmetrics(inputs: Inputs) -> Call:
    import torch
    from torchmetrics.functional.classification import multiclass_calibration_error

    p, y = torch.from_numpy(inputs["probabilities"]), torch.from_numpy(inputs["references"])
    return lambda: multiclass_calibration_error(p, y, num_classes=p.shape[1], n_bins=NUM_BINS, norm="l1")


def _pure_scalars(inputs: Inputs) -> Call:
    return lambda: expected_calibration_error(
        inputs["confidences"], inputs["predictions"] == inputs["references"], NUM_BINS
    )


def _evaluate(inputs: Inputs) -> Call:
    import evaluate

    metric = evaluate.load(metric_path("expected_calibration_error"))
    return lambda: metric.compute(**inputs)


def _concentration(inputs: Inputs) -> Call:
    return lambda: attribution_concentration(inputs["maps"])


def _quantus_one_by_one(inputs: Inputs) -> Call:
    """Call quantus's public API, which normalises over the batch, so only batches of one map give that map's Gini."""
    metric, images, labels = _quantus(inputs)
    maps = inputs["maps"][: len(images), None]

    def call() -> object:
        return [
            metric(model=None, x_batch=images[i : i + 1], y_batch=labels[i : i + 1], a_batch=maps[i : i + 1].copy())
            for i in range(len(maps))
        ]

    return call


def _quantus_formula(inputs: Inputs) -> Call:
    """Call quantus's formula on the whole batch, bypassing its public API and all checks."""
    metric, images, _ = _quantus(inputs)
    return lambda: metric.evaluate_batch(x_batch=images, a_batch=inputs["maps"][:, None].copy())


def _quantus(inputs: Inputs) -> tuple[Any, npt.NDArray[Any], npt.NDArray[Any]]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import quantus
    n = len(inputs["maps"])
    return quantus.Sparseness(disable_warnings=True), np.zeros((n, 1, 7, 7), np.float32), np.zeros(n, np.int64)


def _invariance(inputs: Inputs) -> Call:
    return lambda: invariance(inputs["features"], inputs["transformed_features"])


def _cosines(inputs: Inputs) -> Call:
    """Compute all cosines at once in float32, the most obvious implementation."""

    def call() -> object:
        z, z_t = (x / np.linalg.norm(x, axis=1, keepdims=True) for x in inputs.values())
        return z @ z_t.T

    return call


CASES = {
    "class probabilities": Case(
        class_probabilities,
        (50_000, 1_000),
        (2_000, 50),
        {
            "argmax + max + row sum": Contender(_one_pass),
            "ECE": Contender(_calibration),
            "Brier score": Contender(_brier),
            "negative log-likelihood": Contender(_likelihood),
            "netcal": Contender(_netcal, package="netcal"),
            "torchmetrics": Contender(_torchmetrics, package="torchmetrics"),
        },
    ),
    "scalars": Case(
        scalar_columns,
        (50_000,),
        (2_000,),
        {"ECE": Contender(_pure_scalars), "evaluate": Contender(_evaluate)},
    ),
    "maps": Case(
        attribution_maps,
        (50_000,),
        (1_000,),
        {
            "all concentration numbers": Contender(_concentration),
            "quantus, map by map": Contender(_quantus_one_by_one, share=0.02, package="quantus"),
            "quantus, formula on the batch": Contender(_quantus_formula, package="quantus"),
        },
    ),
    "pairs": Case(
        feature_pairs,
        (5_000, 2_048),
        (300, 16),
        {"invariance": Contender(_invariance), "cosines of all pairs": Contender(_cosines)},
    ),
    "narrow pairs": Case(feature_pairs, (5_000, 64), (300, 16), {"invariance": Contender(_invariance)}),
}
