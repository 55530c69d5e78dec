"""Draw the course of pretraining: loss and k-NN accuracy by epoch."""

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from hf_sslgen.reporting.figures.figure_style import FONT_SIZE, INK, MUTED, PALETTE, literal, new_figure, style_axes

Log = Sequence[Mapping[str, float]]

HEIGHT_INCHES = 3.0


def pretraining_curves(log: Log, objective: str, initial_knn_accuracy: float | None) -> Figure:
    """Draw loss and, if it was monitored, k-NN accuracy on held-out source images by epoch.

    Args:
        log: a row per epoch with `epoch`, `loss` and, in some rows, `knn_accuracy`.
        initial_knn_accuracy: k-NN accuracy of the initial weights; None if it was not monitored.
    """
    watched = [row for row in log if "knn_accuracy" in row]
    figure = new_figure(HEIGHT_INCHES)
    panels = figure.subplots(1, 2 if watched else 1, squeeze=False)[0]
    _draw_loss(panels[0], log, objective)
    if watched:
        _draw_accuracy(panels[1], watched, initial_knn_accuracy)
    for axes in panels:
        axes.set_xlabel("Epoch", fontsize=FONT_SIZE)
        axes.set_xlim(0, log[-1]["epoch"] * 1.04)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        style_axes(axes, "both")
    return figure


def _draw_loss(axes: Axes, log: Log, objective: str) -> None:
    epochs, losses = [row["epoch"] for row in log], [row["loss"] for row in log]
    axes.plot(epochs, losses, color=PALETTE[0], marker="o", markersize=3.5)
    axes.set_title(f"Training loss, {literal(objective)}", fontsize=FONT_SIZE, color=INK, loc="left")


def _draw_accuracy(axes: Axes, watched: Log, initial: float | None) -> None:
    epochs, accuracies = [row["epoch"] for row in watched], [100 * row["knn_accuracy"] for row in watched]
    if initial is not None:
        epochs, accuracies = [0, *epochs], [100 * initial, *accuracies]
        axes.axhline(100 * initial, color=MUTED, linestyle="--", linewidth=1)
        axes.annotate(
            f"untrained {100 * initial:.1f}",
            (1.0, 100 * initial),
            xycoords=("axes fraction", "data"),
            xytext=(0, -4),
            textcoords="offset points",
            ha="right",
            va="top",
            fontsize=FONT_SIZE - 1,
            color=MUTED,
        )
    axes.plot(epochs, accuracies, color=PALETTE[1], marker="s", markersize=4, clip_on=False)
    axes.annotate(
        f"{accuracies[-1]:.1f}",
        (epochs[-1], accuracies[-1]),
        xytext=(0, 6),
        textcoords="offset points",
        ha="center",
        fontsize=FONT_SIZE - 1,
        color=INK,
    )
    axes.set_title("k-NN accuracy on held-out source images (%)", fontsize=FONT_SIZE, color=INK, loc="left")
    axes.set_ylim(0, 1.12 * max(accuracies))
