"""How pretraining went: loss and k-NN accuracy by epoch."""

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from hf_sslgen.reporting.figure_style import FONT_SIZE, MUTED, PALETTE, literal, new_figure, style_axes


def pretraining_curves(log: Sequence[Mapping[str, float]], objective: str, untrained_knn_accuracy: float) -> Figure:
    """Loss by epoch, and k-NN accuracy on held-out source images where it was measured, beside the untrained network.

    Args:
        log: a row per epoch with `epoch`, `loss` and, in some, `knn_accuracy`.
        untrained_knn_accuracy: of the same network before training, by all training images.
    """
    figure = new_figure(2.8)
    left, right = figure.subplots(1, 2)
    left.plot([row["epoch"] for row in log], [row["loss"] for row in log], color=PALETTE[0], marker="o", markersize=3)
    left.set_ylabel(f"Loss ({literal(objective)})", fontsize=FONT_SIZE)
    watched = [row for row in log if "knn_accuracy" in row]
    right.plot(
        [row["epoch"] for row in watched],
        [100 * row["knn_accuracy"] for row in watched],
        color=PALETTE[1],
        marker="s",
        markersize=4,
    )
    right.axhline(100 * untrained_knn_accuracy, color=MUTED, linestyle="--", linewidth=1)
    right.annotate(
        "untrained",
        (0.99, 100 * untrained_knn_accuracy),
        xycoords=("axes fraction", "data"),
        ha="right",
        va="bottom",
        fontsize=FONT_SIZE - 1,
        color=MUTED,
    )
    right.set_ylabel("k-NN accuracy on the source (%)", fontsize=FONT_SIZE)
    right.set_ylim(bottom=0)
    for axes in (left, right):
        axes.set_xlabel("Epoch", fontsize=FONT_SIZE)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        style_axes(axes, "both")
    return figure
