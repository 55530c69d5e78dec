"""Numbers of images that come in groups: their intervals are over groups, and the records say each image's group."""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hf_sslgen.analysis.families import FAMILIES, families_of
from hf_sslgen.analysis.numbers import Analysis, Number
from hf_sslgen.domains.images import ImageSplit
from hf_sslgen.metrics.catalogue.metric import Compared, Metric, Paired
from hf_sslgen.metrics.catalogue.rows import METRICS
from hf_sslgen.metrics.clusters import (
    GROUP,
    GroupedInterval,
    grouped_class_share_interval,
    grouped_few_interval,
    grouped_mean_interval,
    grouped_share_interval,
)
from hf_sslgen.metrics.defined import spread_to_all
from hf_sslgen.metrics.results import NO_INTERVAL
from hf_sslgen.metrics.two_groups import SURE

if TYPE_CHECKING:
    import pandas as pd


def over_groups(analysis: Analysis, test: ImageSplit, not_label_preserving: tuple[str, ...] = ()) -> Analysis:
    """Return an analysis with intervals over groups of the test images; as it is if these do not come in groups.

    A number that has no interval over images gets none over groups either. Numbers without a value per image in the
    records (calibration errors, the re-initialised control) lose theirs.

    Args:
        not_label_preserving: transforms that family means leave out.
    """
    if not test.has("group"):
        return analysis
    codes = dict(zip(test.sample_ids.tolist(), test.group_codes().tolist(), strict=True))
    group_of = analysis.records["sample_id"].map(codes)
    records = analysis.records.assign(**{GROUP: group_of.astype(np.int64)})
    numbers = []
    for number in analysis.numbers:
        if not math.isnan(number.low):
            (low, high), reason = _interval(number, records, not_label_preserving)
            number = replace(number, low=low, high=high, reason=reason)
        numbers.append(number)
    return replace(analysis, numbers=tuple(numbers), records=records)


def _interval(number: Number, records: "pd.DataFrame", not_preserving: tuple[str, ...]) -> GroupedInterval:
    metric = METRICS.get(number.metric)
    if metric is None or not (isinstance(metric.compared, Compared) or metric.is_column_mean):
        return GroupedInterval(NO_INTERVAL, "it has no interval over groups of images")
    if number.transform in FAMILIES:
        return _family_interval(metric, number.transform, records, not_preserving)
    rows = records[(records["transform"] == number.transform) & (records["severity"] == number.severity)]
    return _interval_of(metric, metric.values(rows), rows)


def _interval_of(metric: Metric, values: NDArray[np.float64], rows: "pd.DataFrame") -> GroupedInterval:
    """Compute the interval of the mean of a metric's values, (N,), from the rows of the same images."""
    groups = rows[GROUP].to_numpy(np.int64)
    kind = metric.compared.paired if isinstance(metric.compared, Compared) else Paired.MEAN
    if kind is Paired.SHARE:
        return grouped_share_interval(values, groups)
    if kind is Paired.CLASS_SHARE:
        return grouped_class_share_interval(values, rows["reference"].to_numpy(np.int64), groups)
    if kind is Paired.OUTCOME:
        return grouped_few_interval(values, ~rows["correct"].to_numpy(bool), groups, "are predicted wrongly")
    if kind is Paired.CONFIDENCE:
        few = rows["confidence"].to_numpy(float) <= SURE
        return grouped_few_interval(values, few, groups, f"have a confidence of at most {SURE}")
    return grouped_mean_interval(values, groups)


def _family_interval(
    metric: Metric, family: str, records: "pd.DataFrame", not_preserving: tuple[str, ...]
) -> GroupedInterval:
    """Compute the interval of a mean over the variants of a family, averaged image by image."""
    members = [
        (spread_to_all(values), rows)
        for transform, rows, values in _variants(metric, records)
        if family in families_of(transform, int((~np.isnan(values)).sum()), not_preserving)
    ]
    return _interval_of(metric, np.mean([values for values, _ in members], axis=0), members[0][1])


def _variants(metric: Metric, records: "pd.DataFrame") -> Iterator[tuple[str, "pd.DataFrame", NDArray[np.float64]]]:
    """Iterate over the variants, all of the same images in the same order: transform, rows and values."""
    moved = records[records["transform"] != ""]
    for (transform, _), rows in moved.groupby(["transform", "severity"], sort=False):
        yield str(transform), rows, metric.values(rows)
