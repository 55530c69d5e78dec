"""What training again adds to an interval: variance between runs, beside that between images or domains.

A difference is a mean over rows (images, clusters of images, or domains) and columns (training seeds or pretraining
runs), which are crossed: every run is measured on the same images. With R rows and C columns drawn at random,

    value[r, c] = mean + row[r] + column[c] + interaction[r, c]
    variance of the mean = var(row) / R + var(column) / C + var(interaction) / (R C)

The variance between row means holds the first and the last term, that between column means the last two. Columns are
few, so their part has Student's quantile with its own degrees of freedom, and the parts are put together by
square-and-add:

    half^2 = t(C - 1)^2 column_variance + (half width over rows)^2 (1 - interaction_variance / row_variance)

This never covers less than it says where the parts are known (Banerjee 1960), while Satterthwaite's degrees of freedom
err in up to 8% of cases at three columns, because a column variance that comes out small by chance is trusted more.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import optimize, special

from hf_sslgen.metrics.inputs import FloatArray, float_array, open_unit_level
from hf_sslgen.metrics.results import NO_INTERVAL, Interval

MIN_RUNS = 3
"""Runs from which a verdict on training again is given. Two say so little of how runs vary that an interval either
errs twice as often as it says or holds everything."""

NOISE_SHARE = 0.8
"""Column means vary by the interaction alone to this share of its variance, or less, where columns do not differ."""

SMALLEST_P_VALUE = 1e-12


@dataclass(frozen=True)
class RunVariance:
    """How the mean of crossed rows and columns varies, in squared units of the values.

    Attributes:
        column: variance of the mean from the spread of column means.
        degrees_of_freedom: of `column`; 0 where there is only one column, and then `column` is NaN.
        interaction: the part of `column` that rows and columns share.
        row: variance of the mean from the spread of row means.
    """

    column: float
    degrees_of_freedom: int
    interaction: float
    row: float

    @property
    def is_testable(self) -> bool:
        return self.degrees_of_freedom >= MIN_RUNS - 1

    @property
    def runs_differ(self) -> bool:
        """Whether columns differ by more than the interaction would make them differ."""
        return self.column > NOISE_SHARE * self.interaction


def crossed_variance(values: npt.ArrayLike) -> RunVariance:
    """Estimate how the mean of crossed rows and columns varies.

    Args:
        values: one per row and column, shape (R, C).
    """
    return nested_variance([values])


def nested_variance(groups: Sequence[npt.ArrayLike]) -> RunVariance:
    """Estimate how a mean over fixed groups of random columns varies, such as over pretrained backbones trained again.

    The mean is that of the groups' means. Columns are taken to vary alike in all groups; a group of one column shares
    the variance of the others.

    Args:
        groups: for each group the values of its columns on the same rows, shape (R, C_g).
    """
    arrays = [float_array(group, f"groups[{index}]", ("R", "C")) for index, group in enumerate(groups)]
    if not arrays:
        raise ValueError("groups must hold at least one array, got none")
    rows = len(arrays[0])
    if rows < 2 or any(len(array) != rows for array in arrays):
        raise ValueError(f"groups must have the same rows, at least two, got {[len(array) for array in arrays]}")
    over_rows = np.mean([array.mean(axis=1) for array in arrays], axis=0)
    row = float(over_rows.var(ddof=1)) / rows
    freedom = sum(array.shape[1] - 1 for array in arrays)
    if freedom == 0:
        return RunVariance(float("nan"), 0, float("nan"), row)
    share = sum(1.0 / array.shape[1] for array in arrays) / len(arrays) ** 2  # of one column's variance in the mean
    between = sum(float(np.square(array.mean(axis=0) - array.mean()).sum()) for array in arrays) / freedom
    residual = sum(_interaction_squares(array) for array in arrays) / (freedom * (rows - 1))
    return RunVariance(share * between, freedom, share * residual / rows, row)


def contrast_variance(a: npt.ArrayLike, b: npt.ArrayLike) -> RunVariance:
    """Estimate how the mean of `a` minus that of `b` varies, if both have the same random columns on different rows.

    Args:
        a, b: values by row and column, shapes (R_a, C) and (R_b, C).
    """
    one, other = crossed_variance(a), crossed_variance(b)
    if one.degrees_of_freedom != other.degrees_of_freedom:
        raise ValueError(f"a and b must have the same columns, got shapes {np.shape(a)} and {np.shape(b)}")
    of_columns = float_array(a, "a", ("R_a", "C")).mean(axis=0) - float_array(b, "b", ("R_b", "C")).mean(axis=0)
    if one.degrees_of_freedom == 0:
        return RunVariance(float("nan"), 0, float("nan"), one.row + other.row)
    column = float(of_columns.var(ddof=1)) / len(of_columns)
    return RunVariance(column, one.degrees_of_freedom, one.interaction + other.interaction, one.row + other.row)


def widened_interval(value: float, over_rows: Interval, variance: RunVariance, level: float = 0.95) -> Interval:
    """Widen an interval over rows by what training again adds.

    Args:
        value: the mean.
        over_rows: its interval of this level over rows alone.
        variance: of the same mean.
        level: coverage.

    Returns:
        The interval; none where there is none over rows, or fewer than `MIN_RUNS` columns.
    """
    level = open_unit_level(level, "level")
    if np.isnan(over_rows.low) or not variance.is_testable:
        return NO_INTERVAL
    if not variance.runs_differ:
        return over_rows
    quantile = float(special.stdtrit(variance.degrees_of_freedom, (1.0 + level) / 2.0))
    added, kept = quantile**2 * variance.column, _share_of_rows_alone(variance)
    down, up = (float(np.sqrt(added + kept * side**2)) for side in (value - over_rows.low, over_rows.high - value))
    return Interval(value - down, value + up)


def widened_error(over_rows: float, variance: RunVariance) -> float:
    """Compute the standard error of a mean from that over rows alone and what training again adds."""
    if not variance.runs_differ:
        return over_rows
    return float(np.sqrt(variance.column + _share_of_rows_alone(variance) * over_rows**2))


def interval_p_value(
    value: float,
    over_rows: Interval,
    variance: RunVariance | None = None,
    row_degrees_of_freedom: float = np.inf,
) -> float:
    """Compute the two-sided p-value of no difference that agrees with a 95% interval: below 0.05 if it excludes zero.

    The interval's half width on the side of zero is read as that many standard errors as Student's quantile says.

    Args:
        value: the difference.
        over_rows: its 95% interval over rows alone.
        variance: what training again adds; the p-value then agrees with `widened_interval`.
        row_degrees_of_freedom: of the interval over rows, one less than there are domains; infinite for images.

    Returns:
        NaN where there is no interval.
    """
    if np.isnan(over_rows.low) or (variance is not None and not variance.is_testable):
        return float("nan")
    if value == 0.0:
        return 1.0
    toward_zero = value - over_rows.low if value > 0.0 else over_rows.high - value
    error = toward_zero / float(special.stdtrit(row_degrees_of_freedom, 0.975))

    def excess(p: float) -> float:  # positive where the interval of level 1 - p excludes zero
        of_rows = (float(special.stdtrit(row_degrees_of_freedom, 1.0 - p / 2.0)) * error) ** 2
        if variance is None or not variance.runs_differ:
            return value**2 - of_rows
        added = float(special.stdtrit(variance.degrees_of_freedom, 1.0 - p / 2.0)) ** 2 * variance.column
        return value**2 - added - _share_of_rows_alone(variance) * of_rows

    if excess(SMALLEST_P_VALUE) > 0.0:
        return SMALLEST_P_VALUE
    return float(optimize.brentq(excess, SMALLEST_P_VALUE, 1.0, xtol=1e-13))


def _share_of_rows_alone(variance: RunVariance) -> float:
    """The part of the variance between row means that columns do not hold already."""
    return max(0.0, 1.0 - variance.interaction / variance.row) if variance.row > 0.0 else 0.0


def _interaction_squares(array: FloatArray) -> float:
    residual = array - array.mean(axis=0) - array.mean(axis=1, keepdims=True) + array.mean()
    return float(np.square(residual).sum())
