"""Draw invariance against the severity of each transform."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hf_sslgen.analysis.numbers import Number
from hf_sslgen.metrics import Estimate, InvarianceResult
from hf_sslgen.metrics.results import NO_INTERVAL
from hf_sslgen.reporting.figures.figure_style import (
    FAINT,
    FONT_SIZE,
    INK,
    WIDTH_INCHES,
    BackboneStyle,
    Styles,
    interval_lengths,
    interval_marks,
    literal,
    name_legend,
    new_figure,
    shortened,
    style_axes,
    styles_for,
)
from hf_sslgen.reporting.vocabulary import severity_words, transform_words

PANELS_PER_LINE = 3
MIN_SEVERITIES = 2
"""Minimum number of severities of a transform to draw; a single one says nothing about severity."""

MANY = 8
"""Number of severities beyond which labels are smaller."""

Variants = Mapping[tuple[str, str], InvarianceResult | Estimate]
"""Results by transform and severity; a severity is written like `+20`, `0.5` or `right 0.1`."""


def invariance_by_severity(results: Mapping[str, Variants], styles: Styles | None = None) -> Figure:
    """Draw chance-corrected invariance against severity, a panel per transform and a line per backbone.

    0 is chance: the transformed image is no closer to its original than to other images. Severities are in numeric
    order at equal distances; severities that begin with a word, such as a direction, are grouped by it. A transform
    without any value, such as a change of hue in gray images, has no panel.

    Args:
        results: for each name, the results of `invariance`, or estimates with intervals (`bootstrap_interval`), by
            (transform, severity).
        styles: style of each backbone; None assigns styles by position.

    Raises:
        ValueError: there is no name or no value, or a key is not a pair of strings.
    """
    styles = styles_for(results, styles, "results")
    transforms = _severities(
        key
        for variants in results.values()
        for key, result in variants.items()
        if not math.isnan(_estimate(result).value)
    )
    if not transforms:
        raise ValueError("results must contain a value other than NaN for some (transform, severity), got none")
    columns = min(PANELS_PER_LINE, len(transforms))
    lines = math.ceil(len(transforms) / columns)
    width = max(columns, 1.5) / PANELS_PER_LINE * WIDTH_INCHES
    figure = new_figure(2.1 * lines + 0.35 + 0.2 * math.ceil(len(results) / 3), width)
    grid = figure.subplots(lines, columns, squeeze=False, sharey=True)
    for axes, (transform, severities) in zip(grid.flat, transforms.items(), strict=False):
        for rank, (name, variants) in enumerate(results.items()):
            shift = (rank - (len(results) - 1) / 2) * min(0.12, 0.5 / len(results))
            _line(axes, transform, severities, variants, shift, styles[name])
        _label_axes(axes, transform, severities)
    for axes in grid.flat[len(transforms) :]:
        axes.set_visible(False)
    for axes in grid[:, 0]:
        axes.set_ylabel("Invariance (0: chance)", fontsize=FONT_SIZE)
    low, high = grid[0, 0].get_ylim()
    grid[0, 0].set_ylim(min(low, -0.05), max(high, 1.02))
    handles = [grid[0, 0].errorbar([], [], yerr=[], **interval_marks(styles[name])) for name in results]
    name_legend(figure, handles, [literal(shortened(name)) for name in results])
    return figure


def invariance_by_severity_of_numbers(
    numbers_by_backbone: Mapping[str, Sequence[Number]], styles: Styles | None = None
) -> Figure | None:
    """Draw `invariance_by_severity` from cells' numbers; None if no transform was measured at several severities.

    Args:
        numbers_by_backbone: numbers of one stage on one domain; numbers other than invariance to a transform are
            skipped.
    """
    several = transforms_at_severities(numbers_by_backbone)
    return panels_by_severity(numbers_by_backbone, styles) if several else None


def panels_by_severity(numbers_by_backbone: Mapping[str, Sequence[Number]], styles: Styles | None = None) -> Figure:
    """Draw the same; raises ValueError if no transform was measured at several severities."""
    several = transforms_at_severities(numbers_by_backbone)
    drawn: dict[str, dict[tuple[str, str], Estimate]] = {}
    for name, numbers in numbers_by_backbone.items():
        for n in _at_severities(numbers):
            variants = drawn.setdefault(name, {})
            if n.transform in several:
                variants[n.transform, n.severity] = Estimate(n.value, n.low, n.high, n.n)
    return invariance_by_severity(drawn, styles)


def transforms_at_severities(numbers_by_backbone: Mapping[str, Sequence[Number]]) -> set[str]:
    """Return the transforms measured at several severities."""
    severities: dict[str, set[str]] = {}
    for n in (n for numbers in numbers_by_backbone.values() for n in _at_severities(numbers)):
        severities.setdefault(n.transform, set()).add(n.severity)
    return {transform for transform, of_transform in severities.items() if len(of_transform) >= MIN_SEVERITIES}


def _at_severities(numbers: Sequence[Number]) -> list[Number]:
    return [n for n in numbers if n.metric == "invariance" and n.severity and not math.isnan(n.value)]


def _severities(keys: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Return each transform's severities in drawing order, with transforms in the order of the keys."""
    found: dict[str, dict[str, None]] = {}
    for key in keys:
        if not (isinstance(key, tuple) and len(key) == 2 and all(isinstance(part, str) for part in key)):
            raise ValueError(f"results must have (transform, severity) pairs of strings as keys, got {key!r}")
        found.setdefault(key[0], {})[key[1]] = None
    drawn = {}
    for transform, severities in found.items():
        words = list(dict.fromkeys(_parsed(severity)[0] for severity in severities))
        drawn[transform] = sorted(severities, key=lambda s: (words.index(_parsed(s)[0]), _parsed(s)[1]))
    return drawn


def _parsed(severity: str) -> tuple[str, float]:
    """Split a severity into a word and a number; a severity without a number is all word."""
    match = re.fullmatch(r"(.*?)\s*([+-]?\d*\.?\d+)", severity)
    return (match[1], float(match[2])) if match else (severity, 0.0)


def _by_word(severities: Sequence[str]) -> list[list[int]]:
    """Group positions by their word; a line connects each group."""
    groups: dict[str, list[int]] = {}
    for position, severity in enumerate(severities):
        groups.setdefault(_parsed(severity)[0], []).append(position)
    return list(groups.values())


def _estimate(result: InvarianceResult | Estimate | None) -> Estimate:
    """Return the value with its interval; NaN if there is none."""
    if isinstance(result, Estimate):
        return result
    if result is None:
        return Estimate(math.nan, math.nan, math.nan, 0)
    return Estimate(result.invariance, *result.intervals.get("invariance", NO_INTERVAL), result.n)


def _line(
    axes: Axes, transform: str, severities: Sequence[str], variants: Variants, shift: float, style: BackboneStyle
) -> None:
    """Draw a backbone's values, connected among severities with the same word; missing values and NaN are skipped."""
    estimates = [_estimate(variants.get((transform, severity))) for severity in severities]
    for group in _by_word(severities):
        drawn = [position for position in group if not math.isnan(estimates[position].value)]
        values = [estimates[position] for position in drawn]
        axes.errorbar(
            [position + shift for position in drawn],
            [estimate.value for estimate in values],
            yerr=np.array([interval_lengths(e.value, e.low, e.high) for e in values]).reshape(-1, 2).T,
            linewidth=1.1,
            **interval_marks(style),
        )


def _label_axes(axes: Axes, transform: str, severities: Sequence[str]) -> None:
    """Label positions with numbers, and each group once with its word below."""
    for group in _by_word(severities)[1:]:
        axes.axvline(group[0] - 0.5, color=FAINT, linewidth=0.8)
    labels = []
    for group in _by_word(severities):
        for index, position in enumerate(group):
            word, _ = _parsed(severities[position])
            text = severities[position].removeprefix(word).strip() or word
            text = text.replace("0.", ".") if len(severities) > MANY else text
            middle = index == (len(group) - 1) // 2
            labels.append(f"{text}\n{word}" if middle and word and word != text else text)
    axes.set_xticks(range(len(severities)), [literal(label) for label in labels])
    axes.set_xlim(-0.6, len(severities) - 0.4)
    axes.axhline(0, color=INK, linewidth=1)
    axes.set_title(literal(transform_words(transform)), loc="left", fontsize=FONT_SIZE, color=INK)
    if any(severities):
        axes.set_xlabel(severity_words(transform), fontsize=FONT_SIZE - 1)
    style_axes(axes, "y")
    if len(severities) > MANY:
        axes.tick_params(axis="x", labelsize=FONT_SIZE - 2.5)
