"""Paired differences: a number of one backbone minus the same number of another, everything else being equal.

The interval is over the test images that all cells involved share, or over the groups that these come in, such as
patients, so it says nothing about other images. Several pairs of cells, such as one per fine-tuning seed, are averaged
image by image.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hf_sslgen.analysis.families import FAMILIES, families_of
from hf_sslgen.metrics import Estimate
from hf_sslgen.metrics.catalogue.feature_metrics import SIMILARITY_COLUMNS
from hf_sslgen.metrics.catalogue.metric import Subject
from hf_sslgen.metrics.catalogue.rows import CLEAN, compared_on, undefined_columns
from hf_sslgen.study.cells.cell_folder import ALL_LABELS, Cell
from hf_sslgen.study.cells.record_columns import CLEAN as CLEAN_VARIANT
from hf_sslgen.study.inference import paired
from hf_sslgen.study.inference.judgement import verdict_of
from hf_sslgen.study.inference.number_differences import (
    compare_number,
    degrees_of_freedom,
    estimate_difference,
    unit_of,
)
from hf_sslgen.study.inference.replicates import CellPairs, distinct
from hf_sslgen.study.inference.scopes import ONE_RUN, RunVariances, run_variances
from hf_sslgen.zoo.backbone_registry import UNTRAINED


@dataclass(frozen=True)
class Difference:
    """`first` minus `second` in one number; `first` is the self-supervised backbone, or any backbone compared with its
    untrained control.

    `pretraining_seed` is None unless it is known for both; an untrained control does not need one. `n` counts `unit`:
    test images, or few-shot episodes. `variances` is how the difference varies between the runs that were averaged.
    `row_degrees_of_freedom` are those of the interval: one less than groups of images; infinite without groups.
    `confounded_by`, `also_differs_in` and `not_known` are those of `hf_sslgen.study.inference.confounds.Confounds`.
    """

    metric: str
    first: str
    second: str
    domain: str
    group: str
    protocol: str
    stage: str
    transform: str
    severity: str
    seed: int
    value: float
    low: float
    high: float
    n: int
    reason: str = ""
    labels: str = ALL_LABELS
    first_objective: str = "unknown"
    second_objective: str = "unknown"
    source: str = ""
    pretraining_seed: int | None = None
    unit: str = "images"
    variances: RunVariances = ONE_RUN
    row_degrees_of_freedom: float = math.inf
    confounded_by: str = ""
    also_differs_in: str = ""
    not_known: str = ""

    @property
    def verdict(self) -> str:
        """`higher`, `lower`, or `undecided` if there is no interval or it includes zero."""
        return verdict_of(self.low, self.high)


@dataclass(frozen=True)
class _Compared:
    """A number that was compared, averaged over the pairs."""

    metric: str
    estimate: Estimate
    num_defined: int
    stage: str
    transform: str = ""
    severity: str = ""
    unit: str = "images"
    variances: RunVariances = ONE_RUN
    row_degrees_of_freedom: float = math.inf


def compare_cells(first: Cell, second: Cell, differing: Mapping[str, str] | None = None) -> list[Difference]:
    """Compare every number that both cells have on the images that they share.

    Args:
        first, second: cells with the same domain, protocol, label budget and seed.
        differing: what the differences say of what else the backbones differ in, by field.
    """
    return compare_averaged([[(first, second)]], differing)


def compare_averaged(
    runs: Sequence[Sequence[tuple[Cell, Cell]]], differing: Mapping[str, str] | None = None
) -> list[Difference]:
    """Return each number's difference on the images that all cells share, averaged within runs and then over runs.

    Args:
        runs: for each pretraining run a pair of cells per fine-tuning seed, all with the same domain, protocol and
            label budget. The differences have the names and seeds of the very first pair.
        differing: as for `compare_cells`.
    """
    pairs = CellPairs([distinct([(first.columns(), second.columns()) for first, second in run]) for run in runs])
    compared = _clean_numbers(pairs) + _invariance_numbers(
        pairs, tuple(runs[0][0][0].provenance["not_label_preserving"])
    )
    return _differences(runs[0][0], compared, differing or {})


def _differences(
    pair: tuple[Cell, Cell], compared: Sequence[_Compared], differing: Mapping[str, str]
) -> list[Difference]:
    first, second = pair
    seeds_known = first.pretraining_seed is not None and (
        second.pretraining_seed is not None or second.objective == UNTRAINED
    )
    return [
        Difference(
            metric=number.metric,
            first=first.backbone,
            second=second.backbone,
            domain=first.domain,
            group=first.group,
            protocol=first.protocol,
            stage=number.stage,
            transform=number.transform,
            severity=number.severity,
            seed=first.seed,
            value=number.estimate.value,
            low=number.estimate.low,
            high=number.estimate.high,
            n=number.num_defined,
            reason=number.estimate.reason,
            labels=first.labels,
            first_objective=first.objective,
            second_objective=second.objective,
            source=first.source,
            pretraining_seed=first.pretraining_seed if seeds_known else None,
            unit=number.unit,
            variances=number.variances,
            row_degrees_of_freedom=number.row_degrees_of_freedom,
            **differing,
        )
        for number in compared
    ]


def _clean_numbers(pairs: CellPairs) -> list[_Compared]:
    """Return the numbers of untransformed images whose columns all cells have; not every protocol measures all."""
    rows = pairs.of(CLEAN_VARIANT).aligned(undefined_columns())
    if not rows.num_images:
        return []
    stage = str(rows.sides[0].stages[0])
    unit = unit_of(rows)
    found = []
    for metric, compared in compared_on(CLEAN):
        if not rows.have(metric.compared_columns):
            continue
        estimate, variances = compare_number(metric, compared.paired, rows, pairs)
        found.append(
            _Compared(
                metric.name,
                estimate,
                rows.num_defined(metric.compared_columns[0]),
                stage,
                unit=unit,
                variances=variances,
                row_degrees_of_freedom=degrees_of_freedom(rows.groups),
            )
        )
    return found


def _invariance_numbers(pairs: CellPairs, not_preserving: tuple[str, ...]) -> list[_Compared]:
    """Return the numbers per variant, then per family.

    Family means are over the variants that preserve labels and change at least two images.
    """
    found: list[_Compared] = []
    members: dict[tuple[str, str], list[paired.Runs]] = {}
    # All variants of a family have the same images in the same order.
    stage, family_rows = "", pairs.of(CLEAN_VARIANT)
    numbers = compared_on((Subject.TRANSFORMED,))
    columns = tuple(dict.fromkeys(column for metric, _ in numbers for column in metric.compared_columns))
    for transform, severity in pairs.runs[0][0][0].moved:
        rows = pairs.of((transform, severity)).aligned(columns)
        if not rows.num_images or not rows.have(SIMILARITY_COLUMNS):  # cells with earlier definitions lack some
            continue
        stage = str(rows.sides[0].stages[0])
        defined = rows.num_defined(SIMILARITY_COLUMNS[0])
        for metric, compared in numbers:
            if not rows.have(metric.compared_columns):
                continue
            differences = rows.differences(metric)
            estimate = estimate_difference(compared.paired, rows, differences)
            variances = ONE_RUN if rows.is_one_pair else run_variances(paired.contributions(differences, rows.groups))
            named = metric.name, estimate, defined, stage, transform, severity
            freedom = degrees_of_freedom(rows.groups)
            found.append(_Compared(*named, variances=variances, row_degrees_of_freedom=freedom))
            for family in families_of(transform, defined, not_preserving):
                family_rows = rows
                members.setdefault((family, metric.name), []).append(paired.spread_to_images(differences))
    for family in FAMILIES:
        for metric, compared in numbers:
            if (family, metric.name) in members:
                averages = paired.mean_over_variants(members[family, metric.name])
                images = paired.per_image(averages)
                estimate = estimate_difference(compared.paired, family_rows, [[images]])
                variances = (
                    ONE_RUN if rows.is_one_pair else run_variances(paired.by_group(averages, family_rows.groups))
                )
                freedom = degrees_of_freedom(family_rows.groups)
                named = metric.name, estimate, len(images), stage, family, ""
                found.append(_Compared(*named, variances=variances, row_degrees_of_freedom=freedom))
    return found
