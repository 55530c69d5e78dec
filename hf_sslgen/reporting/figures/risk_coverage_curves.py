"""Draw risk-coverage curves: the error that remains when only the most confident predictions are kept."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from hf_sslgen.metrics import RiskCoverageResult, risk_coverage
from hf_sslgen.reporting.figures.figure_style import (
    FONT_SIZE,
    INK,
    MUTED,
    Styles,
    empty_figure,
    literal,
    name_legend,
    new_figure,
    shortened,
    style_axes,
    styles_for,
)
from hf_sslgen.reporting.figures.reliability_diagrams import confident_predictions
from hf_sslgen.study.cells.cell_folder import Cell

MAX_POINTS, ORACLE_POINTS = 120, 30
"""Number of drawn points of a curve; more would only make the figure larger."""


def risk_coverage_curves(results: Mapping[str, RiskCoverageResult], styles: Styles | None = None) -> Figure:
    """Draw the error rate among the most confident share of the samples, by share (El-Yaniv and Wiener 2010).

    Dotted: the oracle, which puts every wrong prediction last. Dashed: a random order, whose expected error is the
    error over all samples. Confidence is useful to the extent that the curve stays below dashed and near dotted.

    Args:
        results: results of `hf_sslgen.metrics.risk_coverage` by name.
        styles: style of each model; None assigns styles by position.

    Raises:
        ValueError: there is no result, or a name has no style.
    """
    styles = styles_for(results, styles, "results")
    figure = new_figure(3.6 + 0.2 * len(results), 6.0)
    axes = figure.subplots()
    handles, labels = [], []
    for name, result in results.items():
        style = styles[name]
        kept = _thinned(len(result.coverage), MAX_POINTS)
        (line,) = axes.plot(
            100 * result.coverage[kept],
            100 * result.risk[kept],
            color=style.color,
            linewidth=1.6,
            marker=style.marker,
            markersize=5,
            markeredgewidth=0,
            markevery=(0.15, 0.2),
            clip_on=False,
            zorder=3,
        )
        axes.plot(*_oracle(result), color=style.color, linewidth=1.1, linestyle=":")
        axes.plot([0, 100], [100 * result.risk[-1]] * 2, color=style.color, linewidth=0.9, linestyle=(0, (6, 4)))
        handles.append(line)
        labels.append(
            f"{literal(shortened(name, 36))}: AURC {100 * result.aurc:.2f}%, "
            f"{100 * result.excess_aurc:.2f} points above the oracle"
        )
    handles += [
        Line2D([], [], color=MUTED, linewidth=0.9, linestyle=(0, (6, 4))),
        Line2D([], [], color=MUTED, linewidth=1.1, linestyle=":"),
    ]
    labels += ["random order", "oracle: wrong predictions last"]
    axes.set_xlim(0, 100)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("Coverage: share of most confident images (%)", fontsize=FONT_SIZE)
    axes.set_ylabel("Risk: errors among them (%)", fontsize=FONT_SIZE, color=INK)
    style_axes(axes, "both")
    name_legend(figure, handles, labels, columns=1)
    return figure


def risk_coverage_of_cells(cells: Sequence[Cell], styles: Styles | None = None) -> Figure:
    """Draw `risk_coverage_curves` of the cells that have predictions with confidences, using their stored areas."""
    results = {}
    for cell in cells:
        predictions = confident_predictions(cell)
        if predictions is not None:
            results[cell.backbone] = _with_stored_areas(risk_coverage(*predictions), cell)
    if not results:
        return empty_figure("no prediction confidence was measured")
    return risk_coverage_curves(results, styles)


def _with_stored_areas(result: RiskCoverageResult, cell: Cell) -> RiskCoverageResult:
    area, excess = cell.number("aurc"), cell.number("excess_aurc")
    if area is None or excess is None:
        return result
    return replace(result, aurc=area.value, excess_aurc=excess.value)


def _thinned(length: int, at_most: int) -> npt.NDArray[np.int64]:
    """Return indices of at most `at_most` out of `length` points, including both ends."""
    return np.unique(np.linspace(0, length - 1, min(length, at_most)).round().astype(np.int64))


def _oracle(result: RiskCoverageResult) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return coverage and risk, in percent, of the order in which every wrong prediction comes last."""
    num_wrong = round(float(result.risk[-1]) * result.n)
    num_right = result.n - num_wrong
    wrong = _thinned(num_wrong + 1, ORACLE_POINTS)
    wrong = wrong if num_right else np.maximum(wrong, 1)
    answered = num_right + wrong
    coverage = np.concatenate([[0.0], answered / result.n])
    risk = np.concatenate([[0.0 if num_right else 1.0], wrong / answered])
    return 100 * coverage, 100 * risk
