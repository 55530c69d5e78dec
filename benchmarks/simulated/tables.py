"""Markdown tables of estimators' errors and intervals' coverage."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from simulated.repetitions import Row

LOWEST_COVERAGE, HIGHEST_COVERAGE = 0.92, 0.975
BEGIN, END = "<!-- tables: begin -->", "<!-- tables: end -->"
NOT_RUN = "<!-- not run: it takes hours and writes these tables; tests/benchmarks runs the script on less -->"
"""Tells the test of the documentation's commands about the one that makes the tables."""


def is_covered(row: Row) -> bool:
    """Whether an interval contains the truth in 92 to 97.5% of the datasets that get one, up to chance.

    Chance is two standard errors of a coverage at the bound. If no dataset gets an interval, the result is true.
    """
    given = row.repetitions * (1.0 - row.without_interval)
    if given == 0.0:
        return True
    below, above = (2.0 * math.sqrt(bound * (1.0 - bound) / given) for bound in (LOWEST_COVERAGE, HIGHEST_COVERAGE))
    return LOWEST_COVERAGE - below <= row.coverage <= HIGHEST_COVERAGE + above


def as_markdown(rows: Sequence[Row], descriptions: Mapping[str, str], command: str) -> str:
    """Return two tables per scenario, and a list of the intervals with coverage outside the limits."""
    parts = [f"Printed by\n\n{NOT_RUN}\n```console\n$ {command}\n```", _repetitions(rows)]
    for name, description in descriptions.items():
        mine = [row for row in rows if row.scenario == name]
        sizes = list(dict.fromkeys(row.n for row in mine))
        parts += [f"### {name[0].upper()}{name[1:]}", description, _errors(mine, sizes)]
        if any(row.is_interval for row in mine):
            parts.append(_coverage(mine, sizes))
    parts += ["### Intervals outside 92 to 97.5%", _outside(rows)]
    return "\n\n".join(parts)


def _repetitions(rows: Iterable[Row]) -> str:
    sizes_by_repetitions: dict[int, set[int]] = {}
    for row in rows:
        sizes_by_repetitions.setdefault(row.repetitions, set()).add(row.n)
    said = []
    for repetitions, sizes in sorted(sizes_by_repetitions.items(), reverse=True):
        error = 100.0 * math.sqrt(0.95 * 0.05 / repetitions)
        numbers = ", ".join(str(n) for n in sorted(sizes))
        said.append(f"{repetitions} datasets (n = {numbers}): a coverage of 95% has a standard error of {error:.1f}.")
    return " ".join(said)


def write_results(text: str, content: Mapping[str, Any], markdown: Path | None, numbers: Path | None) -> None:
    """Print the tables, or put them between the markers of a file, and write the numbers behind them if asked to."""
    if markdown is None:
        print(text)
    else:
        replace_between_markers(markdown, text)
    if numbers is not None:
        numbers.parent.mkdir(parents=True, exist_ok=True)
        numbers.write_text(json.dumps(content, indent=1), encoding="utf-8")


def replace_between_markers(path: Path, text: str) -> None:
    """Put text between the markers of a file, or write a new file with nothing else."""
    before, after = "", ""
    if path.exists():
        content = path.read_text(encoding="utf-8")
        if content.count(BEGIN) != 1 or content.count(END) != 1:
            raise SystemExit(f"{path} must contain {BEGIN} and {END} once each, around the text to replace")
        before, _, rest = content.partition(BEGIN)
        after = rest.partition(END)[2]
    path.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after or chr(10)}", encoding="utf-8")


def _errors(rows: Iterable[Row], sizes: Sequence[int]) -> str:
    by_number: dict[str, dict[int, Row]] = {}
    for row in rows:
        if not row.is_interval:
            by_number.setdefault(row.number, {})[row.n] = row
    lines = [
        line("bias / root-mean-square error", "truth", *(f"n = {n}" for n in sizes)),
        line("---", *("---:" for _ in range(len(sizes) + 1))),
    ]
    for number, found in by_number.items():
        truths = [found[n].truth for n in sizes]
        same = all(math.isclose(t, truths[0], rel_tol=1e-9, abs_tol=1e-12) for t in truths)
        truth = _short(truths[0]) if same else " / ".join(_short(t) for t in truths)
        lines.append(line(f"`{number}`", truth, *(_error(found[n]) for n in sizes)))
    return "\n".join(lines)


def _error(row: Row) -> str:
    clear = abs(row.bias) > 3.0 * row.bias_error  # otherwise it can't be distinguished from zero
    undefined = f" ({100.0 * row.undefined / row.repetitions:.0f}% undefined)" if row.undefined else ""
    return f"{_short(row.bias) if clear else '0'} / {_short(row.rmse)}{undefined}"


def _coverage(rows: Iterable[Row], sizes: Sequence[int]) -> str:
    by_number: dict[str, dict[int, Row]] = {}
    for row in rows:
        if row.is_interval:
            by_number.setdefault(row.number, {})[row.n] = row
    lines = [
        line("coverage of 95% intervals, and the share of datasets that get one", *(f"n = {n}" for n in sizes)),
        line("---", *("---:" for _ in sizes)),
    ]
    for number, found in sorted(by_number.items()):
        lines.append(line(f"`{number}`", *(_covered(found.get(n)) for n in sizes)))
    return "\n".join(lines)


def _covered(row: Row | None) -> str:
    if row is None or math.isnan(row.coverage):
        return "none"
    mark = "" if is_covered(row) else "**"
    covered = f"{mark}{100.0 * row.coverage:.1f}{mark}"
    return covered if row.without_interval == 0.0 else f"{covered} ({_percent(1.0 - row.without_interval)})"


def _percent(share: float) -> str:
    return f"{100.0 * share:.0f}%" if 0.005 <= share <= 0.995 else f"{100.0 * share:.1f}%"


def _outside(rows: Iterable[Row]) -> str:
    found = [row for row in rows if row.is_interval and not is_covered(row)]
    low = [row for row in found if row.coverage < LOWEST_COVERAGE]
    high = [row for row in found if row.coverage > HIGHEST_COVERAGE]
    return "\n\n".join(
        (
            f"Below, by more than chance: {_listed(low)}",
            f"Above, by more than chance: {_listed(high)}",
        )
    )


def _listed(rows: Sequence[Row]) -> str:
    if not rows:
        return "none."
    lines = [
        f"{len(rows)}.\n",
        line("scenario", "n", "number", "coverage", "error", "wholly below", "wholly above", "without"),
        line("---", "---:", "---", "---:", "---:", "---:", "---:", "---:"),
    ]
    for row in rows:
        shares = (row.coverage, row.coverage_error, row.below, row.above, row.without_interval)
        percents = (f"{100.0 * share:.1f}" for share in shares)
        lines.append(line(row.scenario, str(row.n), f"`{row.number}`", *percents))
    return "\n".join(lines)


def line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _short(value: float) -> str:
    if value == 0.0:
        return "0"
    return f"{value:.4f}" if abs(value) >= 5e-4 else f"{value:.1e}"
