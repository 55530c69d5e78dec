"""Records of several pairs of cells, aligned to the same images."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hf_sslgen.metrics.clusters import GROUP

if TYPE_CHECKING:
    import pandas as pd

Records = tuple["pd.DataFrame", "pd.DataFrame"]
Values = Callable[["pd.DataFrame"], NDArray[np.float64]]
"""Returns the values, one per row, whose mean is the number."""


@dataclass(frozen=True, eq=False)
class Replicates:
    """Records of both sides of every pair, by run."""

    runs: Sequence[Sequence[Records]]

    @property
    def sides(self) -> list["pd.DataFrame"]:
        return [side for run in self.runs for pair in run for side in pair]

    @property
    def num_images(self) -> int:
        return len(self.sides[0])

    @property
    def groups(self) -> NDArray[np.int64] | None:
        """The number of each image's group, (N,); None if the domain's images do not come in groups."""
        with_groups = (side for side in self.sides if GROUP in side.columns)
        return next((side[GROUP].to_numpy(np.int64) for side in with_groups), None)

    def have(self, columns: Sequence[str]) -> bool:
        return all(column in side.columns for side in self.sides for column in columns)

    def num_defined(self, column: str) -> int:
        return min(int(side[column].notna().sum()) for side in self.sides)

    def of_variant(self, transform: str, severity: str) -> "Replicates":
        def rows(side: "pd.DataFrame") -> "pd.DataFrame":
            return side[(side["transform"] == transform) & (side["severity"] == severity)]

        return Replicates([[(rows(a), rows(b)) for a, b in run] for run in self.runs])

    def aligned(self, optional: Sequence[str]) -> "Replicates":
        """Return the rows of the images that all have, in one order; a value of the `optional` columns that is missing
        on one side of a pair is removed from both."""
        shared = reduce(np.intersect1d, [side["sample_id"].to_numpy() for side in self.sides])

        def paired(a: "pd.DataFrame", b: "pd.DataFrame") -> Records:
            first, second = (side.set_index("sample_id").loc[shared] for side in (a, b))
            for column in optional:
                if column in first.columns and column in second.columns:
                    missing = (first[column].isna() | second[column].isna()).to_numpy()
                    first.loc[missing, column] = np.nan
                    second.loc[missing, column] = np.nan
            return first, second

        return Replicates([[paired(a, b) for a, b in run] for run in self.runs])

    def differences(self, values: Values) -> list[list[NDArray[np.float64]]]:
        """Return by run and pair the first side's values minus the second's, (N,) each; images must be aligned."""
        return [[values(a) - values(b) for a, b in run] for run in self.runs]


def distinct(pairs: Sequence[Records]) -> Sequence[Records]:
    """Return the pairs, or only one if all are the same: a deterministic probe that ran again is not another run."""
    (first, second), *others = pairs
    return pairs[:1] if all(a.equals(first) and b.equals(second) for a, b in others) else pairs
