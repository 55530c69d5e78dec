"""Records of a cell as arrays: the rows of each variant of the images, sorted by image.

They take a fraction of the time and memory of a table of all rows: a column without any value for a variant takes no
memory, and the rows of a variant are found by name. `record_files` reads them.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from hf_sslgen.metrics.catalogue.metric import Metric
from hf_sslgen.metrics.inputs import FloatArray

if TYPE_CHECKING:
    import pandas as pd

SAMPLE, STAGE, TRANSFORM, SEVERITY = "sample_id", "stage", "transform", "severity"
KEYS: Final = (SAMPLE, STAGE, TRANSFORM, SEVERITY)
"""Columns that all records have; the last three contain text."""

CLEAN: Final = ("", "")
"""Transform and severity of an image as it is."""

EMPTY: Final = (0,)
"""Strides of a column without any value, which is one NaN repeated."""

Variant = tuple[str, str]
"""A transform and its severity."""


@dataclass(frozen=True, eq=False)
class VariantRows(Mapping[str, NDArray[Any]]):
    """The rows of one variant, by image: a mapping from columns to arrays of shape (N,).

    Whole numbers without gaps are integers, everything else is float64 with NaN where a value is missing.

    Attributes:
        sample_ids: of the images, (N,), in ascending order.
        stages: of the rows, (N,).
        columns: the others.
    """

    sample_ids: NDArray[Any]
    stages: NDArray[np.str_]
    columns: Mapping[str, NDArray[Any]]
    _values: dict[str, FloatArray] = field(default_factory=dict, repr=False)

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.stages if name == STAGE else self.columns[name]

    def __iter__(self) -> Iterator[str]:
        yield STAGE
        yield from self.columns

    def __len__(self) -> int:
        return 1 + len(self.columns)

    @property
    def num_images(self) -> int:
        return len(self.sample_ids)

    @property
    def filled(self) -> list[str]:
        """The columns that have a value for any image."""
        return [name for name, column in self.columns.items() if column.strides != EMPTY]

    @property
    def num_bytes(self) -> int:
        """Memory that the columns take; what has no value takes none."""
        return sum(self.columns[name].nbytes for name in self.filled)

    def values_of(self, metric: Metric) -> FloatArray:
        """Return a number's values, (N,), whose mean it is; computed once."""
        if metric.name not in self._values:
            self._values[metric.name] = metric.values(self)
        return self._values[metric.name]

    def is_missing(self, name: str) -> NDArray[np.bool_]:
        """Return whether images lack a value, (N,)."""
        column = self.columns[name]
        return np.isnan(column) if column.dtype.kind == "f" else np.zeros(len(column), dtype=bool)

    def num_defined(self, name: str) -> int:
        return self.num_images - int(np.count_nonzero(self.is_missing(name)))

    def frame(self) -> "pd.DataFrame":
        """Return the rows as a table, with the column of sample ids."""
        import pandas as pd

        return pd.DataFrame({SAMPLE: self.sample_ids, **self})

    def taken(self, sample_ids: NDArray[Any]) -> "VariantRows":
        """Return the rows of these images, which must be among its own."""
        at = np.searchsorted(self.sample_ids, sample_ids)
        return VariantRows(sample_ids, self.stages[at], {name: column[at] for name, column in self.columns.items()})

    def without(self, missing: Mapping[str, NDArray[np.bool_]]) -> "VariantRows":
        """Return the rows without the values of these columns and images, (N,)."""
        removed = {name: np.where(gone, np.nan, self.columns[name]) for name, gone in missing.items()}
        return VariantRows(self.sample_ids, self.stages, {**self.columns, **removed})

    def equals(self, other: "VariantRows") -> bool:
        """Return whether both have the same images and values."""
        if self is other:
            return True
        if self.columns.keys() != other.columns.keys() or not same_images(self.sample_ids, other.sample_ids):
            return False
        return np.array_equal(self.stages, other.stages) and all(
            column is other.columns[name] or np.array_equal(column, other.columns[name], equal_nan=True)
            for name, column in self.columns.items()
        )


@dataclass(frozen=True, eq=False)
class RecordColumns:
    """The records of a cell.

    Attributes:
        variants: rows by transform and severity, in the order of the file; those of untransformed images as `CLEAN`.
        names: all columns but the keys.
    """

    variants: Mapping[Variant, VariantRows]
    names: tuple[str, ...]

    @property
    def clean(self) -> VariantRows:
        """The rows of untransformed images; there may be none."""
        return self.of(CLEAN)

    def of(self, variant: Variant) -> VariantRows:
        """Return the rows of a variant; there may be none."""
        return self.variants.get(variant) or self._without_rows

    @cached_property
    def _without_rows(self) -> VariantRows:
        nothing = np.empty(0)
        return VariantRows(nothing, np.empty(0, dtype=str), dict.fromkeys(self.names, nothing))

    @property
    def moved(self) -> list[Variant]:
        """The variants of transformed images, and others that have a transform's name."""
        return [variant for variant in self.variants if variant != CLEAN]

    @property
    def num_bytes(self) -> int:
        return sum(rows.num_bytes for rows in self.variants.values())

    def sharing_images(self, shared: Callable[[NDArray[Any]], NDArray[Any]]) -> "RecordColumns":
        """Return the records with the arrays of sample ids that `shared` returns for its own, equal to them."""
        rows = {v: VariantRows(shared(r.sample_ids), r.stages, r.columns) for v, r in self.variants.items()}
        return RecordColumns(rows, self.names)

    def equals(self, other: "RecordColumns") -> bool:
        """Return whether both have the same rows."""
        if self is other:
            return True
        return self.variants.keys() == other.variants.keys() and all(
            rows.equals(other.variants[variant]) for variant, rows in self.variants.items()
        )


def same_images(first: NDArray[Any], second: NDArray[Any]) -> bool:
    """Return whether two arrays of sample ids, (N,), are the same."""
    return first is second or (first.dtype.kind == second.dtype.kind and np.array_equal(first, second))
