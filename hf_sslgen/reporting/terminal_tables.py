"""Format stored numbers as plain text for a terminal, and select the differences shown first."""

import textwrap
from collections.abc import Mapping, Sequence

from hf_sslgen.analysis.numbers import Number
from hf_sslgen.metrics.catalogue.metric import Metric, Part
from hf_sslgen.metrics.catalogue.rows import numbers_shown_first, terminal_metrics
from hf_sslgen.metrics.stages import PRETRAINED_STAGE
from hf_sslgen.names import printable, shorten
from hf_sslgen.reporting.caution_words import caution_blocks, some_names
from hf_sslgen.reporting.claim_words import claim_summaries
from hf_sslgen.reporting.leaderboard import leaderboard
from hf_sslgen.reporting.table_rows import (
    Row,
    domains_of,
    rows_of,
    settings_of,
    shown_accuracy,
)
from hf_sslgen.reporting.vocabulary import (
    MISSING,
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
from hf_sslgen.study.inference.claims.claim_lines import NOT_TESTABLE
from hf_sslgen.study.inference.seed_averages import TargetDifference
from hf_sslgen.study.inference.study_results import StudyResults
from hf_sslgen.study.inference.target_groups import headline_accuracies, headline_metrics_of
from hf_sslgen.zoo.backbone_registry import UNTRAINED

NAME_WIDTH = 28
TERMINAL_WIDTH = 160
SETTING_WIDTH = 25


def differences_shown_first(
    targets: Sequence[TargetDifference], headline_metrics: Mapping[str, str]
) -> list[TargetDifference]:
    """Return the differences shown first, in the order of the four measurements.

    Args:
        targets: differences averaged over seeds.
        headline_metrics: the accuracy by which each domain is judged.
    """
    shown = numbers_shown_first()
    order = {metric: index for index, metric in enumerate(shown, start=1)}
    accuracies = headline_accuracies(targets, headline_metrics)
    others = [d for d in targets if shown.get(d.metric) == d.transform and not d.severity]
    return sorted(
        [*accuracies, *others],
        key=lambda d: (d.first, d.second, d.protocol, d.labels, d.stage, order.get(d.metric, 0)),
    )


def terminal_table(results: StudyResults) -> str:
    """Return the results as plain text of at most 160 columns: a table per domain and setting, then a line per
    difference, then a ranking over domains if there is a single one, then a line per kind of caution.

    Differences from the untrained control appear only in `comparisons.csv` and on the page. After each ECE stands the
    value a perfectly calibrated model would get. Intervals are 95% over these images.
    """
    blocks = []
    cells, headline_metrics = results.cells, headline_metrics_of(results.cells)
    for domain in domains_of(cells):
        for setting in settings_of(cells, domain):
            rows = rows_of(cells, domain, setting)
            first = rows[0].cell
            title = f"{domain} ({group_words(first.group)}), {setting_words(*setting)}: {shown_accuracy(first)}"
            lines = [title, "-" * len(title), *_numbers_aligned(rows)]
            blocks.append("\n".join(printable(line) for line in lines))
        here = [d for d in results.targets if d.domain == domain and d.second_objective != UNTRAINED]
        shown = differences_shown_first(here, headline_metrics)
        if shown:
            lines = [f"{domain}, paired differences (first - second, 95% interval, verdict and its scope)"]
            lines += align([_difference_row(difference) for difference in shown], right_from=4, right_to=6)
            blocks.append("\n".join(printable(line) for line in lines))
    if ranked := leaderboard(results.rankings):
        blocks.append("\n".join(printable(line) for line in ranked))
    if cautions := caution_lines(results):
        blocks.append("\n".join(cautions))
    return "\n\n".join(blocks) if blocks else "no cells"


def caution_lines(results: StudyResults) -> list[str]:
    """Return a heading and a line per kind of caution, of at most 160 columns; nothing if there is none."""
    lines = [
        f"  {block.title}: {some_names([shorten(name, NAME_WIDTH) for name in block.backbones], 2)}, {block.domains}"
        for block in caution_blocks(results)
    ]
    heading = ["Cautions (explained on the page; cautions.csv has all):"] if lines else []
    return [printable(line) for line in heading + lines]


def claim_lines(results: StudyResults) -> list[str]:
    """Return a heading and the verdicts on each claim of the literature, then the claims that no test was made of."""
    untested, lines = [], []
    for each in claim_summaries(results):
        if each.verdict.startswith(NOT_TESTABLE):
            untested.append(each.claim.id)
        else:
            lines.append(f"{each.claim.id}: {each.verdict}")
    if untested:
        lines.append(f"{NOT_TESTABLE}: {', '.join(untested)}")
    heading = ["Claims from the literature (explained on the page; claims.csv has all tests):"] if lines else []
    wrapped = (
        textwrap.wrap(f"  {line}", TERMINAL_WIDTH, subsequent_indent="    ", break_on_hyphens=False) for line in lines
    )
    return heading + [part for line in wrapped for part in line]


def _numbers_aligned(rows: Sequence[Row]) -> list[str]:
    titles = [metric.terminal_title for metric in terminal_metrics()]
    header = ["backbone", "objective", "accuracy %", *titles, "params", "licence", "time"]
    return align([header, *(_terminal_row(row) for row in rows)], 2, len(header) - 2)


def _terminal_row(row: Row) -> list[str]:
    accuracy = row.number(shown_accuracy(row.cell))
    interval = f" {format_interval(accuracy.low, accuracy.high, accuracy.metric)}" if accuracy else ""
    return [
        shorten(row.label, NAME_WIDTH),
        shorten(row.objective, 12),
        _shown(accuracy) + interval.rstrip(),
        *(_terminal_number(row, metric) for metric in terminal_metrics()),
        format_parameters(row.provenance.get("parameters")),
        shorten(row.provenance.get("licence") or MISSING, 12),
        format_seconds(row.provenance.get("seconds")),
    ]


def _terminal_number(row: Row, metric: Metric) -> str:
    """Return a number, followed in brackets by its reference value if it has one."""
    stage = PRETRAINED_STAGE if metric.part is Part.INVARIANCE else ""
    text = _shown(row.number(metric.name, metric.transform, stage))
    if not metric.beside or text == MISSING:
        return text
    return f"{text} ({_shown(row.number(metric.beside))})"


def _difference_row(difference: TargetDifference) -> list[str]:
    metric, claimed = words(difference.metric), difference.judgement.claimed
    setting = setting_words(difference.protocol, difference.labels)
    if difference.num_seeds > 1:
        setting += f", {difference.num_seeds} runs"
    name = f"{metric.title}, {transform_words(difference.transform)}" if difference.transform else metric.title
    return [
        f"  {shorten(difference.first, NAME_WIDTH)} - {shorten(difference.second, NAME_WIDTH)}",
        shorten(setting, SETTING_WIDTH),
        name,
        "pt" if metric.scale == 100 else metric.difference_unit.strip(),
        format_difference(difference.value, difference.metric),
        format_difference_interval(claimed.low, claimed.high, difference.metric),
        f"{difference.verdict} ({claimed.scope}{', not a twin' if difference.confounded_by else ''})",
    ]


def _shown(number: Number | None) -> str:
    return MISSING if number is None else format_value(number.value, number.metric)


def align(table: Sequence[Sequence[str]], right_from: int, right_to: int) -> list[str]:
    """Align columns; those in [right_from, right_to) to the right, the others to the left."""
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    return [
        "  ".join(
            text.rjust(width) if right_from <= column < right_to else text.ljust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]
