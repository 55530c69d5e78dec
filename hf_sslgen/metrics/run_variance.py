"""What training again adds to an interval: variance between runs, beside that between images or domains.

A difference is a mean over rows (images, clusters of images, or domains) and columns (training seeds or pretraining
runs), which are crossed: every run is measured on the same images. With R rows and C columns drawn at random,

    value[r, c] = mean + row[r] + column[c] + interaction[r, c]
    variance of the mean = var(row) / R + var(column) / C + var(interaction) / (R C)

The variance between row means contains the first and the last term, that between column means the last two, so the
interaction is subtracted once. Columns are few, and so may be rows, so both parts are estimated with few degrees of
freedom. At a level of error a the squared half width is

    (1 - w) (t_columns^2 column + t_rows^2 rows) + w t_both^2 (column + rows),    w = 12 a

where rows is the variance between row means without the interaction, and t_columns, t_rows and t_both are Student's
quantiles with the degrees of freedom of each part and of their sum (Satterthwaite 1946). The first term never covers
less than its level (Banerjee 1960), but errs in 1.5 to 5% of cases at a level of 5%. The second errs in up to 8% with
three columns, and in up to 1.7% at a level of 0.1%, because a column variance that is small by chance is trusted more.
Together they err in 1.7 to 6% at the level of 5%; the smaller the level, as for one of many verdicts that are adjusted
together, the less the second counts. docs/statistics.md has the simulations.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import optimize, special

from hf_sslgen.metrics.inputs import float_array, open_unit_level
from hf_sslgen.metrics.results import NO_INTERVAL, Interval

MIN_RUNS = 3
"""Minimum number of runs for a verdict on training again. Two reveal so little about how runs vary that an interval
either errs twice as often as it should or contains almost any value."""

SATTERTHWAITE_WEIGHT = 12.0
"""Multiplied by the level of error, this is the weight of Satterthwaite's interval."""

LEAST_SHARE = 0.5
"""Share of the squared width over rows that remains at least, even if columns happen to be alike."""

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
    columns = [array.mean(axis=0) for array in arrays]
    within = [array - means for array, means in zip(arrays, columns, strict=True)]
    of_rows = [deviations.mean(axis=1) for deviations in within]
    row = float(np.mean(of_rows, axis=0).var(ddof=1)) / rows
    freedom = sum(len(means) - 1 for means in columns)
    if freedom == 0:
        return RunVariance(float("nan"), 0, float("nan"), row)
    share = sum(1.0 / len(means) for means in columns) / len(arrays) ** 2  # of one column's variance in the mean
    between = sum(float(np.square(means - means.mean()).sum()) for means in columns) / freedom
    squares = sum(
        float(np.square(deviations - means[:, None]).sum()) for deviations, means in zip(within, of_rows, strict=True)
    )
    residual = squares / (freedom * (rows - 1))
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


def widened_interval(
    value: float,
    over_rows: Interval,
    variance: RunVariance,
    row_degrees_of_freedom: float = np.inf,
    level: float = 0.95,
) -> Interval:
    """Widen an interval over rows by what training again adds.

    Args:
        value: the mean.
        over_rows: its interval of this level over rows alone.
        variance: of the same mean.
        row_degrees_of_freedom: of the interval over rows, one less than there are domains; infinite for images.
        level: coverage.

    Returns:
        The interval; none where there is none over rows, or fewer than `MIN_RUNS` columns. It can be a little narrower
        than that over rows where columns differ less than the interaction alone would make them differ.
    """
    alpha = 1.0 - open_unit_level(level, "level")
    if np.isnan(over_rows.low) or not variance.is_testable:
        return NO_INTERVAL
    quantile = _quantile(row_degrees_of_freedom, alpha)
    down, up = (
        _squared_half_width(alpha, side / quantile, row_degrees_of_freedom, variance) ** 0.5
        for side in (value - over_rows.low, over_rows.high - value)
    )
    return Interval(value - down, value + up)


def widened_error(over_rows: float, variance: RunVariance, row_degrees_of_freedom: float = np.inf) -> float:
    """Compute the standard error of a mean from that over rows alone and what training again adds."""
    of_rows = _share_of_rows_alone(variance, row_degrees_of_freedom) * over_rows**2
    return float(np.sqrt(variance.column + of_rows))


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
    error = toward_zero / _quantile(row_degrees_of_freedom, 0.05)

    def excess(p: float) -> float:  # positive where the interval of level 1 - p excludes zero
        if variance is None:
            return value**2 - (_quantile(row_degrees_of_freedom, p) * error) ** 2
        return value**2 - _squared_half_width(p, error, row_degrees_of_freedom, variance)

    if excess(SMALLEST_P_VALUE) > 0.0:
        return SMALLEST_P_VALUE
    return float(optimize.brentq(excess, SMALLEST_P_VALUE, 1.0, xtol=1e-13))


def _squared_half_width(alpha: float, row_error: float, row_degrees_of_freedom: float, variance: RunVariance) -> float:
    """Return the square of half an interval's width, from the standard error over rows; see the top of the module."""
    row_quantile, column_quantile = (
        _quantile(freedom, alpha) for freedom in (row_degrees_of_freedom, variance.degrees_of_freedom)
    )
    of_rows = _share_of_rows_alone(variance, row_degrees_of_freedom) * row_error**2
    least = LEAST_SHARE * (row_quantile * row_error) ** 2
    both = variance.column + of_rows
    if both == 0.0:
        return least
    shares = variance.column / both, of_rows / both
    inverse = shares[0] ** 2 / variance.degrees_of_freedom + shares[1] ** 2 / row_degrees_of_freedom
    both_quantile = _quantile(1.0 / inverse if inverse > 0.0 else np.inf, alpha)
    apart = column_quantile**2 * variance.column + row_quantile**2 * of_rows
    weight = min(1.0, SATTERTHWAITE_WEIGHT * alpha)
    return max(least, (1.0 - weight) * apart + weight * both_quantile**2 * both)


def _share_of_rows_alone(variance: RunVariance, row_degrees_of_freedom: float) -> float:
    """Return the part of the variance between row means that columns do not contain already.

    With few rows the variance between them can be small by chance, so less is subtracted.
    """
    if variance.row == 0.0:
        return 0.0
    subtracted = (1.0 - 1.0 / row_degrees_of_freedom) * variance.interaction / variance.row
    return max(0.0, 1.0 - subtracted)


def _quantile(degrees_of_freedom: float, alpha: float) -> float:
    return float(special.stdtrit(degrees_of_freedom, 1.0 - alpha / 2.0))
