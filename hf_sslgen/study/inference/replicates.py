"""Records of several pairs of cells, aligned to the same images."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from hf_sslgen.metrics.catalogue.metric import Metric
from hf_sslgen.metrics.clusters import GROUP
from hf_sslgen.metrics.inputs import FloatArray
from hf_sslgen.study.cells.record_columns import RecordColumns, Variant, VariantRows, same_images

Values = Callable[[VariantRows], FloatArray]
"""Returns the values, one per row, whose mean is the number."""


@dataclass(frozen=True, eq=False)
class Replicates:
    """Rows of one variant of the images, of both sides of every pair, by run."""

    runs: Sequence[Sequence[tuple[VariantRows, VariantRows]]]

    @property
    def sides(self) -> list[VariantRows]:
        return [side for run in self.runs for pair in run for side in pair]

    @property
    def num_images(self) -> int:
        return self.runs[0][0][0].num_images

    @property
    def is_one_pair(self) -> bool:
        return len(self.runs) == len(self.runs[0]) == 1

    @property
    def groups(self) -> NDArray[np.int64] | None:
        """The number of each image's group, (N,); None if the domain's images do not come in groups."""
        return next((side[GROUP] for side in self.sides if GROUP in side), None)

    def have(self, columns: Sequence[str]) -> bool:
        return all(column in side for side in self.sides for column in columns)

    def num_defined(self, column: str) -> int:
        return min(side.num_defined(column) for side in self.sides)

    def aligned(self, optional: Sequence[str]) -> "Replicates":
        """Return the rows of the images that all have, in one order; a value of the `optional` columns that is missing
        on one side of a pair is removed from both."""
        first, *others = (side.sample_ids for side in self.sides)
        runs = self.runs
        if not all(same_images(first, other) for other in others):
            shared = reduce(_in_both, others, first)
            runs = [[(a.taken(shared), b.taken(shared)) for a, b in run] for run in runs]
        return Replicates([[_without_one_sided(a, b, optional) for a, b in run] for run in runs])

    def differences(self, metric: Metric) -> list[list[FloatArray]]:
        """Return by run and pair the first side's values of a number minus the second's, (N,) each; images must be
        aligned."""
        return [[a.values_of(metric) - b.values_of(metric) for a, b in run] for run in self.runs]


@dataclass(frozen=True, eq=False)
class CellPairs:
    """All records of both sides of every pair, by run."""

    runs: Sequence[Sequence[tuple[RecordColumns, RecordColumns]]]

    def of(self, variant: Variant) -> Replicates:
        """Return the rows of one variant."""
        return Replicates([[(a.of(variant), b.of(variant)) for a, b in run] for run in self.runs])


def distinct(pairs: Sequence[tuple[RecordColumns, RecordColumns]]) -> Sequence[tuple[RecordColumns, RecordColumns]]:
    """Return the pairs, or only one if all are the same: a deterministic probe that ran again is not another run."""
    (first, second), *others = pairs
    return pairs[:1] if all(a.equals(first) and b.equals(second) for a, b in others) else pairs


def _in_both(first: NDArray, second: NDArray) -> NDArray:
    """Return the sample ids in both; numbers and texts have none in common."""
    if (first.dtype.kind in "iu") != (second.dtype.kind in "iu"):
        return first[:0]
    return np.intersect1d(first, second)


def _without_one_sided(
    first: VariantRows, second: VariantRows, columns: Sequence[str]
) -> tuple[VariantRows, VariantRows]:
    of_first, of_second = {}, {}
    for name in columns:
        if name in first and name in second:
            gone, other = first.is_missing(name), second.is_missing(name)
            if not np.array_equal(gone, other):
                of_first[name] = of_second[name] = gone | other
    return (first.without(of_first), second.without(of_second)) if of_first else (first, second)
