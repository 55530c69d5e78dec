"""Stored numbers as plain text for a terminal, and which differences are shown first."""

from collections.abc import Mapping, Sequence

from hf_sslgen.analysis.numbers import Number
from hf_sslgen.metrics.stages import PRETRAINED_STAGE
from hf_sslgen.reporting.rows import (
    Row,
    domains_of,
    headline_metric,
    rows_of,
    settings_of,
)
from hf_sslgen.reporting.vocabulary import (
    MISSING,
    OVERALL_FAMILY,
    format_difference,
    format_difference_interval,
    format_interval,
    format_parameters,
    format_seconds,
    format_value,
    group_words,
    setting_words,
    transform_words,
    words,
)
from hf_sslgen.study.inference.seed_averages import TargetDifference
from hf_sslgen.study.inference.target_groups import StudyResults, headline_accuracies, headline_metrics_of
from hf_sslgen.zoo.backbone_registry import UNTRAINED

HEADLINE_COMPARISONS = {
    "confidence_gap": "",
    "brier_score": "",
    "gini": "",
    "spatial_spread": "",
    "zero_map_rate": "",
    "lift": "",
    "invariance": OVERALL_FAMILY,
    "recall_at_1": OVERALL_FAMILY,
}
"""Numbers, beside the headline accuracy, whose differences are shown first: metric to transform."""

NAME_WIDTH = 28
SETTING_WIDTH = 30


def headline_differences(
    targets: Sequence[TargetDifference], headline_metrics: Mapping[str, str]
) -> list[TargetDifference]:
    """The differences shown first, in the order of the four measurements.

    Args:
        targets: differences averaged over seeds.
        headline_metrics: the accuracy each domain is judged by.
    """
    order = {metric: index for index, metric in enumerate(HEADLINE_COMPARISONS, start=1)}
    accuracies = headline_accuracies(targets, headline_metrics)
    others = [d for d in targets if HEADLINE_COMPARISONS.get(d.metric) == d.transform and not d.severity]
    return sorted(
        [*accuracies, *others],
        key=lambda d: (d.first, d.second, d.protocol, d.labels, d.stage, order.get(d.metric, 0)),
    )


def terminal_table(results: StudyResults) -> str:
    """Results as plain text of at most 160 columns: a table per domain and setting, then a line per difference.

    Differences from the untrained control are left to `comparisons.csv` and the page. ECE is followed by what a
    perfectly calibrated model would get. Intervals are 95% over these images.
    """
    blocks = []
    cells, headline_metrics = results.cells, headline_metrics_of(results.cells)
    for domain in domains_of(cells):
        for setting in settings_of(cells, domain):
            rows = rows_of(cells, domain, setting)
            first = rows[0].cell
            title = f"{domain} ({group_words(first.group)}), {setting_words(*setting)}: {headline_metric(first)}"
            lines = [title, "-" * len(title), *_align([_HEADER, *(_terminal_row(row) for row in rows)])]
            blocks.append("\n".join(_printable(line) for line in lines))
        here = [d for d in results.targets if d.domain == domain and d.second_objective != UNTRAINED]
        shown = headline_differences(here, headline_metrics)
        if shown:
            lines = [f"{domain}, paired differences (first - second, 95% interval over these images)"]
            lines += _align([_difference_row(difference) for difference in shown], right_from=4, right_to=6)
            blocks.append("\n".join(_printable(line) for line in lines))
    return "\n\n".join(blocks) if blocks else "no cells"


_HEADER = [
    "backbone",
    "objective",
    "accuracy %",
    "gap pt",
    "ECE (null) pt",
    "gini",
    "spread",
    "zero %",
    "inv.",
    "r@1 %",
    "params",
    "licence",
    "time",
]


def _terminal_row(row: Row) -> list[str]:
    accuracy = row.number(headline_metric(row.cell))
    interval = f" {format_interval(accuracy.low, accuracy.high, accuracy.metric)}" if accuracy else ""
    ece, null = _shown(row.number("expected_calibration_error")), _shown(row.number("ece_if_calibrated"))
    return [
        _shorten(row.label, NAME_WIDTH),
        _shorten(row.objective, 12),
        _shown(accuracy) + interval.rstrip(),
        _shown(row.number("confidence_gap")),
        ece if ece == MISSING else f"{ece} ({null})",
        _shown(row.number("gini")),
        _shown(row.number("spatial_spread")),
        _shown(row.number("zero_map_rate")),
        _shown(row.number("invariance", OVERALL_FAMILY, PRETRAINED_STAGE)),
        _shown(row.number("recall_at_1", OVERALL_FAMILY, PRETRAINED_STAGE)),
        format_parameters(row.provenance.get("parameters")),
        _shorten(row.provenance.get("licence") or MISSING, 12),
        format_seconds(row.provenance.get("seconds")),
    ]


def _difference_row(difference: TargetDifference) -> list[str]:
    metric = words(difference.metric)
    setting = setting_words(difference.protocol, difference.labels)
    if difference.num_seeds > 1:
        setting += f", {difference.num_seeds} runs"
    name = f"{metric.title}, {transform_words(difference.transform)}" if difference.transform else metric.title
    return [
        f"  {_shorten(difference.first, NAME_WIDTH)} - {_shorten(difference.second, NAME_WIDTH)}",
        _shorten(setting, SETTING_WIDTH),
        name,
        "pt" if metric.scale == 100 else metric.difference_unit.strip(),
        format_difference(difference.value, difference.metric),
        format_difference_interval(difference.low, difference.high, difference.metric),
        difference.verdict,
    ]


def _shown(number: Number | None) -> str:
    return MISSING if number is None else format_value(number.value, number.metric)


def _align(table: Sequence[Sequence[str]], right_from: int = 2, right_to: int = 11) -> list[str]:
    """Lines of equal column widths; columns in [right_from, right_to) are aligned right, the others left."""
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    return [
        "  ".join(
            text.rjust(width) if right_from <= column < right_to else text.ljust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]


def _shorten(text: str, width: int) -> str:
    """At most `width` characters, cut in the middle: names of one family differ at their ends."""
    if len(text) <= width:
        return text
    tail = (width - 1) // 2
    return f"{text[: width - 1 - tail]}…{text[-tail:]}"


def _printable(text: str) -> str:
    """Text in which control characters of a name can't move the cursor or start an escape sequence."""
    return "".join(character if character.isprintable() else "?" for character in text)
