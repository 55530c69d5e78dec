"""Invariance of a backbone's features to image transforms: single variants, family means, and the guards."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from torch import Tensor

from hf_sslgen.analysis.estimated_numbers import mean_number, number_of, numbers_of
from hf_sslgen.analysis.families import FAMILIES, PAIR, families_of
from hf_sslgen.analysis.numbers import Analysis, Number
from hf_sslgen.analysis.one_pass import Moved, PassResults
from hf_sslgen.analysis.transforms import Variant
from hf_sslgen.domains.images import ImageSplit
from hf_sslgen.domains.measured_images import MeasuredDomain
from hf_sslgen.metrics import Estimate
from hf_sslgen.metrics.catalogue.feature_metrics import SIMILARITY_COLUMNS
from hf_sslgen.metrics.catalogue.measurement import measure
from hf_sslgen.metrics.catalogue.metric import Paired, Subject
from hf_sslgen.metrics.catalogue.rows import compared_on, measured_on
from hf_sslgen.metrics.defined import spread_to_all
from hf_sslgen.metrics.shares import credit_interval
from hf_sslgen.metrics.stages import FINE_TUNED_STAGE, Stage


def is_gray(pixels: Tensor) -> bool:
    """Whether images, (N, 3, S, S) bytes, are grayscale."""
    return bool((pixels.amax(1) - pixels.amin(1)).max() <= 1)


@dataclass(frozen=True, eq=False)
class Measured:
    """Invariance to one variant: numbers, columns for the records, and on which images it is defined."""

    estimates: dict[str, Estimate]
    columns: dict[str, NDArray[Any]]
    defined: NDArray[np.bool_]

    @property
    def num_undefined(self) -> int:
        return int((~self.defined).sum())


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
    of_all = measure(Subject.TRANSFORMED, features, moved.features, classes, moved.unchanged)
    defined = ~np.isnan(of_all.columns[SIMILARITY_COLUMNS[0]])
    found = Measured(dict(of_all.estimates), dict(of_all.columns), defined)
    _add_changed(found, Subject.CHANGED_FEATURES, features, moved.features)
    if classes is not None:
        _add_changed(found, Subject.CHANGED_PREDICTIONS, predictions, moved.predictions)
    return found


def _add_changed(found: Measured, subject: Subject, before: NDArray[Any], after: NDArray[Any]) -> None:
    """Add what is measured on the images for which invariance is defined; without any it is undefined too."""
    n, defined = len(found.defined), found.defined
    measured = measure(subject, before[defined], after[defined]) if defined.any() else None
    undefined = Estimate(math.nan, math.nan, math.nan, n, found.estimates["invariance"].reason)
    for metric, _ in measured_on(subject):
        found.estimates[metric.name] = undefined if measured is None else replace(measured.estimates[metric.name], n=n)
        for column in metric.columns:
            values = np.full(n, np.nan)
            if measured is not None:
                values[defined] = measured.columns[column.name]
            found.columns[column.name] = values


def _variant_numbers(results: Results, stage: Stage) -> list[Number]:
    return [
        number_of(metric, estimate, stage, transform, severity, measured.num_undefined)
        for (transform, severity), measured in results.items()
        for metric, estimate in measured.estimates.items()
    ]


def _family_numbers(
    results: Results, classes: NDArray[np.int64] | None, not_label_preserving: tuple[str, ...], stage: Stage
) -> list[Number]:
    """Compute the mean over each family's variants, averaged image by image."""
    numbers = []
    for family in FAMILIES:
        members = [
            {**measured.columns, "stage": stage, "reference": classes}
            for (transform, _), measured in results.items()
            if family in families_of(transform, int(measured.defined.sum()), not_label_preserving)
        ]
        for metric, compared in compared_on((Subject.TRANSFORMED,)) if members else ():
            values = np.mean([spread_to_all(metric.values(rows)) for rows in members], axis=0)
            interval = credit_interval(values) if compared.paired is Paired.SHARE else None
            numbers.append(mean_number(metric.name, values, stage, family, interval))
    return numbers


def _guard_numbers(features: NDArray[np.float32], stage: Stage) -> list[Number]:
    return numbers_of(measure(Subject.ENCODER, features, stage), stage)


def _variant_records(variant: tuple[str, str], measured: Measured, subset: ImageSplit, stage: Stage) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "sample_id": subset.sample_ids,
            "stage": stage,
            "transform": variant[0],
            "severity": variant[1],
            "reference": subset.labels,
            **measured.columns,
        }
    )


def invariance_numbers(
    outputs: PassResults, variants: Sequence[Variant], domain: MeasuredDomain, subset: ImageSplit, stage: Stage
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
