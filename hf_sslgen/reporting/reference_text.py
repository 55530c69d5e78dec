"""Published results beside a study's own, as plain text for a terminal."""

import textwrap

from hf_sslgen.names import printable, shorten
from hf_sslgen.reporting.reference_words import counted, difference_lines, reference_words
from hf_sslgen.reporting.terminal_tables import NAME_WIDTH, SETTING_WIDTH, TERMINAL_WIDTH, align
from hf_sslgen.study.inference.study_results import StudyResults
from hf_sslgen.study.reference.reference_lines import ReferenceComparison, ReferenceLine

HEADER = (
    *("backbone", "domain", "protocol", "published", "ours", "95% interval", "difference", "C published", "C ours"),
    "agreement",
)


def reference_tables_text(results: StudyResults) -> list[str]:
    """Return a block per table, of at most 160 columns: a line per result, and every known difference of protocol."""
    return [_block(comparison) for comparison in results.references]


def _block(comparison: ReferenceComparison) -> str:
    table = comparison.table
    title = f"Published beside ours: {table.title} ({table.name}); {counted(comparison)}"
    lines = [title, f"Source: {table.source}"]
    if comparison.lines:
        lines += align([HEADER, *map(_row, comparison.lines)], 3, len(HEADER) - 1)
        lines += [
            "Known differences of protocol:",
            *(f"  {text}" for text in difference_lines(comparison) or ["none"]),
        ]
    return "\n".join(part for line in lines for part in _wrapped(printable(line)))


def _wrapped(line: str) -> list[str]:
    """Break a long line; a table's keep their spaces, and are short enough."""
    return [line] if len(line) <= TERMINAL_WIDTH else textwrap.wrap(line, TERMINAL_WIDTH, subsequent_indent="    ")


def _row(line: ReferenceLine) -> tuple[str, ...]:
    names = shorten(line.backbone, NAME_WIDTH), shorten(line.domain, 16), shorten(line.protocol, SETTING_WIDTH)
    said = reference_words(line)
    accuracies = said.published, said.ours, said.interval, said.difference
    return *names, *accuracies, said.regularisation, said.own_regularisations, said.agreement
