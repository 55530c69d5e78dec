"""Invariance of a backbone's features to transforms of the images: each variant, family means, and the guards."""

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor
from tqdm.auto import tqdm

from hf_sslgen.analysis.families import FAMILIES, families_of
from hf_sslgen.analysis.forward import encode
from hf_sslgen.analysis.numbers import Analysis, Number, Stage, estimated
from hf_sslgen.analysis.subset import AnalysisSettings, subset_pixels
from hf_sslgen.analysis.transforms import Variant, preset_variants
from hf_sslgen.domains.images import ImageSplit
from hf_sslgen.domains.loading import Domain
from hf_sslgen.metrics import (
    InvarianceResult,
    Statistic,
    average_statistic,
    invariance,
    invariance_statistic,
    mean_statistic,
    representation_guards,
)
from hf_sslgen.zoo.loading import LoadedBackbone

UNCHANGED_TOLERANCE = 1 / 255 + 1e-6
"""One level of an 8-bit image; the rest is float32 rounding of differences between values in [0, 1]."""

Results = dict[Variant, InvarianceResult]


def is_gray(pixels: Tensor) -> bool:
    """Whether images, (N, 3, S, S) bytes, have no colour."""
    return bool((pixels.amax(1) - pixels.amin(1)).max() <= 1)


def transformed_features(
    backbone: LoadedBackbone,
    pixels: Tensor,
    sample_ids: NDArray[np.int64],
    variant: Variant,
    settings: AnalysisSettings,
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Features of transformed images, and which images the transform left as they were.

    Args:
        pixels: (N, 3, S, S) bytes.

    Returns:
        (N, D) and (N,).
    """
    features, unchanged = [], []
    ids = torch.from_numpy(sample_ids)
    for batch, batch_ids in zip(pixels.split(settings.batch_size), ids.split(settings.batch_size), strict=True):
        clean = batch.float() / 255
        moved = variant(clean, batch_ids.tolist(), settings.seed)
        unchanged.append(((moved - clean).abs().amax((1, 2, 3)) <= UNCHANGED_TOLERANCE).numpy())
        features.append(encode(backbone, moved, settings.batch_size))
    return np.concatenate(features), np.concatenate(unchanged)


def _statistics(result: InvarianceResult, groups: NDArray[np.int64] | None) -> dict[str, Statistic]:
    return {
        "invariance": invariance_statistic(
            result.per_sample_cosine,
            result.per_sample_chance_cosine,
            result.per_sample_candidate_chance_cosine,
            groups,
        ),
        "cosine": mean_statistic(result.per_sample_cosine),
        "chance_cosine": mean_statistic(result.per_sample_chance_cosine),
        "recall_at_1": mean_statistic(result.per_sample_recall_at_1),
    }


def _variant_numbers(results: Results, groups: NDArray[np.int64] | None, stage: Stage) -> list[Number]:
    return [
        estimated(
            metric,
            statistic,
            result.n,
            stage,
            variant.transform,
            variant.severity,
            result.n_undefined,
            result.reason,
        )
        for variant, result in results.items()
        for metric, statistic in _statistics(result, groups).items()
    ]


def _family_numbers(
    results: Results,
    groups: NDArray[np.int64] | None,
    num_images: int,
    not_label_preserving: tuple[str, ...],
    stage: Stage,
) -> list[Number]:
    numbers = []
    for family in FAMILIES:
        members = [
            _statistics(result, groups)
            for variant, result in results.items()
            if family in families_of(variant.transform, result.n - result.n_undefined, not_label_preserving)
        ]
        for metric in ("invariance", "recall_at_1") if members else ():
            mean = average_statistic([statistics[metric] for statistics in members])
            numbers.append(estimated(metric, mean, num_images, stage, family))
    return numbers


def _guard_numbers(features: NDArray[np.float32], stage: Stage) -> list[Number]:
    guards = representation_guards(features, stage)
    values = {
        "effective_rank": guards.effective_rank,
        "dead_dimension_share": guards.dead_dimension_share,
        "collapsed": float(guards.collapsed),
    }
    return [Number(metric, value, n=guards.n, stage=stage, reason=guards.reason) for metric, value in values.items()]


def _variant_records(variant: Variant, result: InvarianceResult, subset: ImageSplit, stage: Stage) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "sample_id": subset.sample_ids,
            "stage": stage,
            "transform": variant.transform,
            "severity": variant.severity,
            "reference": subset.labels,
            "cosine": result.per_sample_cosine,
            "chance_cosine": result.per_sample_chance_cosine,
            "candidate_chance_cosine": result.per_sample_candidate_chance_cosine,
            "recall_at_1": result.per_sample_recall_at_1,
        }
    )


def invariance_analysis(
    backbone: LoadedBackbone, domain: Domain, subset: ImageSplit, stage: Stage, settings: AnalysisSettings
) -> Analysis:
    """Invariance of the classifier's input to every variant of the preset, with the guards against collapse.

    After fine-tuning chance pairs are drawn within the class, because features then cluster by class.
    """
    pixels = subset_pixels(backbone, subset)
    clean = encode(backbone, pixels, settings.batch_size)
    groups = subset.labels if stage == "fine-tuned" else None
    variants = preset_variants(settings.transforms, is_gray(pixels), domain.not_label_preserving)
    results: Results = {}
    for variant in tqdm(variants, desc=f"{backbone.name}: transforms", disable=None, leave=False):
        features, unchanged = transformed_features(backbone, pixels, subset.sample_ids, variant, settings)
        results[variant] = invariance(clean, features, groups=groups, unchanged=unchanged)
    numbers = [
        *_variant_numbers(results, groups, stage),
        *_family_numbers(results, groups, len(subset), domain.not_label_preserving, stage),
        *_guard_numbers(clean, stage),
    ]
    records = [_variant_records(variant, result, subset, stage) for variant, result in results.items()]
    return Analysis(tuple(numbers), pd.concat(records, ignore_index=True))
