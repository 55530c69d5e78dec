"""Ways to combine what rows and few columns say of a mean's variance, by how often their intervals err.

The mean squares of a crossed design of normal effects are drawn directly: between rows, between columns, and of the
interaction. How large each effect is goes over a grid, and the lowest and highest rate of error count.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy import special

from hf_sslgen.metrics.inputs import FloatArray
from hf_sslgen.metrics.results import Interval
from hf_sslgen.metrics.run_variance import LEAST_SHARE, SATTERTHWAITE_WEIGHT, RunVariance, widened_interval

ROWS, COLUMNS, LEVELS = (4, 8, 12, 1000), (3, 5), (0.05, 0.005)
SHARES = (0.0, 0.1, 0.3, 0.6, 0.9)
"""Of the interaction in the variance between row means."""
COLUMN_VARIANCES = (0.0, 0.05, 0.2, 0.5, 1.0, 2.0, 4.0, 10.0, 30.0)
"""Times the variance between row means."""


@dataclass(frozen=True)
class MeanSquares:
    """Drawn means, and what each says of its variance; arrays of shape (M,)."""

    mean: FloatArray
    row: FloatArray
    column: FloatArray
    interaction: FloatArray
    rows: int
    columns: int

    def parts(self, alpha: float) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Squared half widths of square-and-add and of Satterthwaite's interval, and of the one over rows alone."""
        freedom_of_rows, freedom_of_columns = self.rows - 1, self.columns - 1
        alone = np.maximum(0.0, self.row - (1.0 - 1.0 / freedom_of_rows) * self.interaction)
        both = self.column + alone
        freedom = both**2 / (self.column**2 / freedom_of_columns + alone**2 / freedom_of_rows)
        of_rows, of_columns = _squared(freedom_of_rows, alpha), _squared(freedom_of_columns, alpha)
        return of_columns * self.column + of_rows * alone, _squared(freedom, alpha) * both, of_rows * self.row


def _squared(freedom: FloatArray | float, alpha: float) -> FloatArray:
    return np.square(special.stdtrit(freedom, 1.0 - alpha / 2.0))


def _square_and_add(squares: MeanSquares, alpha: float) -> FloatArray:
    return squares.parts(alpha)[0]


def _satterthwaite(squares: MeanSquares, alpha: float) -> FloatArray:
    return squares.parts(alpha)[1]


def _of_package(squares: MeanSquares, alpha: float) -> FloatArray:
    """What studies use, for arrays: the interval of `hf_sslgen.metrics.run_variance`, with which the first few are
    compared, or that over rows if it is wider."""
    apart, together, over_rows = squares.parts(alpha)
    weight = min(1.0, SATTERTHWAITE_WEIGHT * alpha)
    found = np.maximum((1.0 - weight) * apart + weight * together, LEAST_SHARE * over_rows)
    for index in range(3):
        values = (float(each[index]) for each in (squares.column, squares.interaction, squares.row))
        column, interaction, row = values
        variance, half = RunVariance(column, squares.columns - 1, interaction, row), float(over_rows[index]) ** 0.5
        interval = widened_interval(0.0, Interval(-half, half), variance, squares.rows - 1, 1.0 - alpha)
        if not np.isclose(interval.high**2, found[index], rtol=1e-6):
            raise RuntimeError(f"the package's interval {interval} is not {found[index] ** 0.5}")
    return np.maximum(found, over_rows)


WAYS: dict[str, Callable[[MeanSquares, float], FloatArray]] = {
    "square-and-add": _square_and_add,
    "Satterthwaite": _satterthwaite,
    "used": _of_package,
}


def rates_of_error(rows: int, columns: int, repetitions: int, seed: int) -> dict[tuple[str, float], list[float]]:
    """Return by way and level the rates of error over all sizes of effects."""
    generator = np.random.default_rng([seed, rows, columns])
    rates: dict[tuple[str, float], list[float]] = {}
    for share, of_columns in product(SHARES, COLUMN_VARIANCES):
        squares = _draw(rows, columns, share, of_columns, repetitions, generator)
        for (name, way), alpha in product(WAYS.items(), LEVELS):
            errs = np.square(squares.mean) > way(squares, alpha)
            rates.setdefault((name, alpha), []).append(float(errs.mean()))
    return rates


def _draw(
    rows: int, columns: int, share: float, of_columns: float, repetitions: int, generator: np.random.Generator
) -> MeanSquares:
    def scaled(freedom: int) -> FloatArray:
        return generator.chisquare(freedom, repetitions) / freedom

    return MeanSquares(
        generator.normal(0.0, np.sqrt(1.0 + of_columns), repetitions),
        scaled(rows - 1),
        (of_columns + share) * scaled(columns - 1),
        share * scaled((rows - 1) * (columns - 1)),
        rows,
        columns,
    )
