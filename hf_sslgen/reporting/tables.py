"""Tables of stored numbers: data frames, CSV files, and plain text for a terminal."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

import pandas as pd

from hf_sslgen.analysis.numbers import Number
from hf_sslgen.files import replace_file
from hf_sslgen.reporting.rows import (
    Row,
    domains_of,
    group_of,
    headline_metric,
    headline_metrics,
    objective_of,
    protocols_of,
    rows_of,
    untrained_backbones,
)
from hf_sslgen.reporting.vocabulary import (
    MISSING,
    OVERALL_FAMILY,
    PRETRAINED_PROTOCOL,
    SOURCE_STAGE,
    format_decimals,
    format_interval,
    format_parameters,
    format_seconds,
    format_value,
    group_words,
    protocol_words,
    transform_words,
    words,
)
from hf_sslgen.study.cells import Cell
from hf_sslgen.study.pairs import Difference

RESULT_COLUMNS = [
    "backbone",
    "objective",
    "domain",
    "group",
    "protocol",
    "stage",
    "seed",
    "transform",
    "severity",
    "metric",
    "value",
    "low",
    "high",
    "n",
]
COMPARISON_COLUMNS = [
    "first",
    "second",
    "domain",
    "group",
    "protocol",
    "stage",
    "seed",
    "transform",
    "severity",
    "metric",
    "value",
    "low",
    "high",
    "n",
    "verdict",
    "reason",
]
HEADLINE_COMPARISONS = {
    "confidence_gap": "",
    "brier_score": "",
    "gini": "",
    "spatial_spread": "",
    "zero_map_rate": "",
    "invariance": OVERALL_FAMILY,
    "recall_at_1": OVERALL_FAMILY,
}
"""Numbers, beside the headline accuracy, whose differences are shown first: metric to transform."""

NAME_WIDTH = 28


def results_frame(cells: Iterable[Cell]) -> pd.DataFrame:
    """A row per number of every cell, with columns `RESULT_COLUMNS`; what can't be had is NaN."""
    rows = [
        {
            "backbone": cell.backbone,
            "objective": objective_of(cell),
            "domain": cell.domain,
            "group": group_of(cell),
            "protocol": cell.protocol,
            "seed": cell.seed,
            **{key: value for key, value in asdict(number).items() if key in RESULT_COLUMNS},
        }
        for cell in cells
        for number in cell.numbers
    ]
    return pd.DataFrame(rows, columns=RESULT_COLUMNS)


def differences_frame(differences: Iterable[Difference]) -> pd.DataFrame:
    """A row per paired difference, `first` minus `second`, with its verdict; columns `COMPARISON_COLUMNS`."""
    rows = [{**asdict(difference), "verdict": difference.verdict} for difference in differences]
    return pd.DataFrame(rows, columns=COMPARISON_COLUMNS)


def write_results_csv(cells: Iterable[Cell], path: Path) -> None:
    """Write `results_frame` as CSV at full precision; NaN is an empty field."""
    with replace_file(path) as unfinished:
        results_frame(cells).to_csv(unfinished, index=False)


def write_comparisons_csv(differences: Iterable[Difference], path: Path) -> None:
    """Write `differences_frame` as CSV at full precision; NaN is an empty field."""
    with replace_file(path) as unfinished:
        differences_frame(differences).to_csv(unfinished, index=False)


def headline_differences(differences: Iterable[Difference], accuracy: str) -> list[Difference]:
    """The differences shown first, in the order of the four measurements; `accuracy` is the domain's headline."""
    shown = {accuracy: "", **HEADLINE_COMPARISONS}
    order = {metric: index for index, metric in enumerate(shown)}
    chosen = [d for d in differences if shown.get(d.metric) == d.transform and not d.severity]
    return sorted(chosen, key=lambda d: (d.first, d.second, d.protocol, d.stage, d.seed, order[d.metric]))


def terminal_table(cells: Sequence[Cell], differences: Sequence[Difference]) -> str:
    """Results as plain text of at most 160 columns: a table per domain and protocol, then a line per difference.

    Differences from the untrained control are left to `comparisons.csv` and the page. ECE is followed by what a
    perfectly calibrated model would get. Intervals are 95% over these images.
    """
    blocks = []
    accuracies, controls = headline_metrics(cells), untrained_backbones(cells)
    for domain in domains_of(cells):
        for protocol in protocols_of(cells, domain):
            rows = rows_of(cells, domain, protocol)
            first = rows[0].cell
            title = f"{domain} ({group_words(group_of(first))}), {protocol_words(protocol)}: {headline_metric(first)}"
            lines = [title, "-" * len(title), *_align([_HEADER, *(_terminal_row(row) for row in rows)])]
            blocks.append("\n".join(_printable(line) for line in lines))
        here = [d for d in differences if d.domain == domain and not {d.first, d.second} & controls]
        shown = headline_differences(here, accuracies[domain])
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
        _shown(row.number("invariance", OVERALL_FAMILY, SOURCE_STAGE)),
        _shown(row.number("recall_at_1", OVERALL_FAMILY, SOURCE_STAGE)),
        format_parameters(row.provenance.get("parameters")),
        _shorten(row.provenance.get("licence") or MISSING, 12),
        format_seconds(row.provenance.get("seconds")),
    ]


def _difference_row(difference: Difference) -> list[str]:
    metric = words(difference.metric)
    setting = protocol_words(difference.protocol)
    if difference.protocol != PRETRAINED_PROTOCOL and difference.seed:
        setting += f", seed {difference.seed}"
    value, low, high = (
        format_decimals(x * metric.scale, metric.decimals, signed=True)
        for x in (difference.value, difference.low, difference.high)
    )
    name = f"{metric.title}, {transform_words(difference.transform)}" if difference.transform else metric.title
    return [
        f"  {_shorten(difference.first, NAME_WIDTH)} - {_shorten(difference.second, NAME_WIDTH)}",
        setting,
        name,
        "pt" if metric.scale == 100 else metric.difference_unit.strip(),
        value,
        "" if MISSING in (low, high) else f"[{low}, {high}]",
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
