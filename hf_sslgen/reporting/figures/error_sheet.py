"""Draw the surest errors of a cell, as pictures with their true and predicted class."""

import math
from collections.abc import Sequence

from matplotlib.figure import Figure
from PIL import Image

from hf_sslgen.reporting.figures.figure_style import FONT_SIZE, INK, literal, new_figure, shortened
from hf_sslgen.study.pictures.picture_choice import WrongPrediction

PER_LINE = 6
MOST = 12
WIDTH_OF_NAME = 18


def error_sheet(
    errors: Sequence[WrongPrediction], images: Sequence[Image.Image], class_names: Sequence[str]
) -> Figure:
    """Draw images that were predicted wrongly, in the order given.

    Args:
        errors, images: at least one, of equal number.
        class_names: names of labels.
    """
    lines = math.ceil(len(images) / PER_LINE)
    figure = new_figure(1.95 * lines)
    grid = figure.subplots(lines, PER_LINE, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, error, image in zip(grid.flat, errors, images, strict=False):
        axes.imshow(image)
        true, predicted = (
            literal(shortened(class_names[index], WIDTH_OF_NAME)) for index in (error.reference, error.prediction)
        )
        words = f"true: {true}\npredicted: {predicted}\n{100 * error.confidence:.1f}% sure"
        axes.set_title(words, loc="left", fontsize=FONT_SIZE - 2, color=INK)
    return figure
