"""Invariance of a backbone's features to image transforms: single variants, family means, and the guards."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor

from hf_sslgen.analysis.estimated_numbers import mean_number, number_of
from hf_sslgen.analysis.families import FAMILIES, PAIR, families_of
from hf_sslgen.analysis.numbers import Analysis, Number
from hf_sslgen.analysis.one_pass import Moved, PassResults
from hf_sslgen.analysis.transforms import Variant
from hf_sslgen.domains.domain_loading import Domain
from hf_sslgen.domains.images import ImageSplit
from hf_sslgen.metrics import (
    CKAResult,
    ConsistencyResult,
    Estimate,
    InvarianceResult,
    MetricResult,
    debiased_linear_cka,
    invariance,
    invariance_values,
    prediction_consistency,
    representation_guards,
)
from hf_sslgen.metrics.defined import spread_to_all
from hf_sslgen.metrics.shares import credit_interval
from hf_sslgen.metrics.stages import FINE_TUNED_STAGE, Stage
from hf_sslgen.training.evaluation import estimate_of

OF_PAIRS = ("invariance", "cosine", "chance_cosine", "distance_invariance", "recall_at_1", "rank_auc")
OF_PREDICTIONS = ("prediction_consistency", "kappa")


def is_gray(pixels: Tensor) -> bool:
    """Whether images, (N, 3, S, S) bytes, are grayscale."""
    return bool((pixels.amax(1) - pixels.amin(1)).max() <= 1)


@dataclass(frozen=True, eq=False)
class Measured:
    """Invariance to one variant and related numbers on the images for which it is defined; None without any.

    `consistency` is also None in the pretrained stage, which has no predictions.
    """

    invariance: InvarianceResult
    similarity: CKAResult | None
    consistency: ConsistencyResult | None

    @property
    def defined(self) -> NDArray[np.bool_]:
        return ~np.isnan(self.invariance.per_sample_cosine)


Results = dict[tuple[str, str], Measured]
"""Results by transform and severity."""


def measure_variant(
    clean: tuple[NDArray[np.float32], NDArray[np.int64]], moved: Moved, classes: NDArray[np.int64] | None
) -> Measured:
    """Compare transformed images with the clean ones.

    Args:
        clean: features (N, D) and predictions (N,) of the untransformed images.
        classes: (N,), given only after fine-tuning, when chance pairs are drawn within a class and predictions are
            meaningful.
    """
    features, predictions = clean
    result = invariance(features, moved.features, groups=classes, unchanged=moved.unchanged)
    defined = ~np.isnan(result.per_sample_cosine)
    if not defined.any():
        return Measured(result, None, None)
    consistency = None
    if classes is not None:
        consistency = prediction_consistency(predictions[defined], moved.predictions[defined])
    return Measured(result, debiased_linear_cka(features[defined], moved.features[defined]), consistency)


def _variant_numbers(results: Results, stage: Stage) -> list[Number]:
    numbers = []
    for (transform, severity), measured in results.items():
        moved, similarity, consistency = measured.invariance, measured.similarity, measured.consistency
        undefined = Estimate(math.nan, math.nan, math.nan, moved.n, moved.reason)
        estimates = {metric: estimate_of(moved, metric) for metric in OF_PAIRS}
        # These numbers are measured only on the defined samples.
        estimates["linear_cka"] = undefined if similarity is None else _of_all(similarity, "linear_cka", moved.n)
        if stage == FINE_TUNED_STAGE:
            for metric in OF_PREDICTIONS:
                estimates[metric] = undefined if consistency is None else _of_all(consistency, metric, moved.n)
        numbers += [
            number_of(metric, estimate, stage, transform, severity, moved.n_undefined)
            for metric, estimate in estimates.items()
        ]
    return numbers


def _of_all(result: MetricResult, field: str, num_images: int) -> Estimate:
    return replace(estimate_of(result, field), n=num_images)


def _family_numbers(
    results: Results, classes: NDArray[np.int64] | None, not_label_preserving: tuple[str, ...], stage: Stage
) -> list[Number]:
    """Compute the mean over each family's variants, averaged image by image."""
    numbers = []
    for family in FAMILIES:
        members = [
            measured.invariance
            for (transform, _), measured in results.items()
            if family in families_of(transform, int(measured.defined.sum()), not_label_preserving)
        ]
        if members:
            corrected = np.mean([spread_to_all(_invariance_values(member, classes)) for member in members], axis=0)
            found = np.mean([spread_to_all(member.per_sample_recall_at_1) for member in members], axis=0)
            numbers += [
                mean_number("invariance", corrected, stage, family),
                mean_number("recall_at_1", found, stage, family, interval=credit_interval(found)),
            ]
    return numbers


def _invariance_values(result: InvarianceResult, classes: NDArray[np.int64] | None) -> NDArray[np.float64]:
    return invariance_values(
        result.per_sample_cosine,
        result.per_sample_chance_cosine,
        result.per_sample_candidate_chance_cosine,
        classes,
    )


def _guard_numbers(features: NDArray[np.float32], stage: Stage) -> list[Number]:
    guards = representation_guards(features, stage)
    values = {
        "covariance_effective_rank": guards.covariance_effective_rank,
        "rankme": guards.rankme,
        "dead_dimension_share": guards.dead_dimension_share,
        "collapsed": math.nan if guards.reason else float(guards.collapsed),
    }
    return [
        Number(metric, value, n=guards.n, stage=stage, reason=guards.reason if np.isnan(value) else "")
        for metric, value in values.items()
    ]


def _variant_records(variant: tuple[str, str], measured: Measured, subset: ImageSplit, stage: Stage) -> pd.DataFrame:
    result = measured.invariance
    records = pd.DataFrame(
        {
            "sample_id": subset.sample_ids,
            "stage": stage,
            "transform": variant[0],
            "severity": variant[1],
            "reference": subset.labels,
            "cosine": result.per_sample_cosine,
            "chance_cosine": result.per_sample_chance_cosine,
            "candidate_chance_cosine": result.per_sample_candidate_chance_cosine,
            "relative_distance": result.per_sample_relative_distance,
            "recall_at_1": result.per_sample_recall_at_1,
            "rank_auc": result.per_sample_rank_auc,
        }
    )
    if stage == FINE_TUNED_STAGE:
        records["consistent"] = np.nan
        if measured.consistency is not None:
            records.loc[measured.defined, "consistent"] = measured.consistency.per_sample_consistent.astype(float)
    return records


def invariance_numbers(
    outputs: PassResults, variants: Sequence[Variant], domain: Domain, subset: ImageSplit, stage: Stage
) -> Analysis:
    """Measure the invariance of the classifier's input to every variant, with the guards against collapse.

    After fine-tuning, chance pairs are drawn within a class, because features then cluster by class.
    """
    clean = outputs.features, outputs.logits.argmax(axis=1)
    classes = subset.labels if stage == FINE_TUNED_STAGE else None
    results = {
        (variant.transform, variant.severity): measure_variant(clean, outputs.moved(variant), classes)
        for variant in variants
    }
    numbers = [
        *_variant_numbers(results, stage),
        *_family_numbers(results, classes, domain.not_label_preserving, stage),
        *_guard_numbers(clean[0], stage),
    ]
    records = [_variant_records(variant, measured, subset, stage) for variant, measured in results.items()]
    return Analysis(tuple(numbers), pd.concat(records, ignore_index=True))


def pair_numbers(outputs: PassResults, pairs: ImageSplit, num_alone: int, stage: Stage) -> Analysis:
    """Measure invariance between two pictures of the same thing, in place of a picture and its transformed version.

    Args:
        outputs: results of the pass over `pairs`.
        pairs: all first pictures, followed by all second ones in the same order.
        num_alone: number of images without a second picture, which count as undefined.
    """
    features, predictions = outputs.features, outputs.logits.argmax(axis=1)
    half = len(pairs) // 2
    anchors = pairs.select(np.arange(half))
    moved = Moved(features[half:], predictions[half:], np.zeros(half, dtype=np.bool_))
    classes = anchors.labels if stage == FINE_TUNED_STAGE else None
    measured = measure_variant((features[:half], predictions[:half]), moved, classes)
    numbers = [
        replace(number, n_undefined=number.n_undefined + num_alone)
        for number in _variant_numbers({(PAIR, ""): measured}, stage)
    ]
    return Analysis(tuple(numbers), _variant_records((PAIR, ""), measured, anchors, stage))
