"""Markdown tables of estimators' errors and intervals' coverage."""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from simulated.repetitions import Row

LOWEST_COVERAGE, HIGHEST_COVERAGE = 0.92, 0.97
ALWAYS_GIVEN = 0.95
BEGIN, END = "<!-- tables: begin -->", "<!-- tables: end -->"


def is_covered(row: Row) -> bool:
    """Whether an interval holds the truth in 92 to 97% of the data sets, or differs from that by chance.

    Where some data sets get none, those that do are no random ones: then it is only asked whether at most 8% of all
    data sets get an interval that misses. Chance is two standard errors.
    """
    slack = 2.0 * row.coverage_error
    given = 1.0 - row.without_interval
    if given < ALWAYS_GIVEN:
        return given == 0.0 or given * (row.below + row.above - slack) <= 1.0 - LOWEST_COVERAGE
    return LOWEST_COVERAGE - slack <= row.coverage <= HIGHEST_COVERAGE + slack


def as_markdown(rows: Sequence[Row], descriptions: Mapping[str, str], command: str) -> str:
    """Two tables per scenario, and a list of the intervals that don't cover."""
    parts = [f"Printed by\n\n```console\n$ {command}\n```", _repetitions(rows)]
    for name, description in descriptions.items():
        mine = [row for row in rows if row.scenario == name]
        sizes = list(dict.fromkeys(row.n for row in mine))
        parts += [f"### {name[0].upper()}{name[1:]}", description, _errors(mine, sizes)]
        if any(row.interval for row in mine):
            parts.append(_coverage(mine, sizes))
    parts += ["### Intervals outside 92 to 97%", _outside(rows)]
    return "\n\n".join(parts)


def _repetitions(rows: Iterable[Row]) -> str:
    sizes_by_repetitions: dict[int, set[int]] = {}
    for row in rows:
        sizes_by_repetitions.setdefault(row.repetitions, set()).add(row.n)
    said = []
    for repetitions, sizes in sorted(sizes_by_repetitions.items(), reverse=True):
        error = 100.0 * math.sqrt(0.95 * 0.05 / repetitions)
        numbers = ", ".join(str(n) for n in sorted(sizes))
        said.append(f"{repetitions} data sets (n = {numbers}): a coverage of 95% has a standard error of {error:.1f}.")
    return " ".join(said)


def replace_between_markers(path: Path, text: str) -> None:
    """Put text between the markers of a file, or make a file of nothing else."""
    before, after = "", ""
    if path.exists():
        content = path.read_text(encoding="utf-8")
        if content.count(BEGIN) != 1 or content.count(END) != 1:
            raise SystemExit(f"{path} must hold {BEGIN} and {END} once each, to say what to replace")
        before, _, rest = content.partition(BEGIN)
        after = rest.partition(END)[2]
    path.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after or chr(10)}", encoding="utf-8")


def _errors(rows: Iterable[Row], sizes: Sequence[int]) -> str:
    by_number: dict[str, dict[int, Row]] = {}
    for row in rows:
        if not row.interval:
            by_number.setdefault(row.number, {})[row.n] = row
    lines = [
        _line("bias / root-mean-square error", "truth", *(f"n = {n}" for n in sizes)),
        _line("---", *("---:" for _ in range(len(sizes) + 1))),
    ]
    for number, found in by_number.items():
        truths = [found[n].truth for n in sizes]
        same = all(math.isclose(t, truths[0], rel_tol=1e-9, abs_tol=1e-12) for t in truths)
        truth = _short(truths[0]) if same else " / ".join(_short(t) for t in truths)
        lines.append(_line(f"`{number}`", truth, *(_error(found[n]) for n in sizes)))
    return "\n".join(lines)


def _error(row: Row) -> str:
    clear = abs(row.bias) > 3.0 * row.bias_error  # else it can't be told from none
    undefined = f" ({100.0 * row.undefined / row.repetitions:.0f}% undefined)" if row.undefined else ""
    return f"{_short(row.bias) if clear else '0'} / {_short(row.rmse)}{undefined}"


def _coverage(rows: Iterable[Row], sizes: Sequence[int]) -> str:
    by_interval: dict[tuple[str, str], dict[int, Row]] = {}
    for row in rows:
        if row.interval:
            by_interval.setdefault((row.number, row.interval), {})[row.n] = row
    lines = [
        _line("coverage of 95% intervals", "interval", *(f"n = {n}" for n in sizes)),
        _line("---", "---", *("---:" for _ in sizes)),
    ]
    for (number, kind), found in sorted(by_interval.items()):
        lines.append(_line(f"`{number}`", kind, *(_covered(found.get(n)) for n in sizes)))
    return "\n".join(lines)


def _covered(row: Row | None) -> str:
    if row is None or math.isnan(row.coverage):
        return "none given"
    withheld = f" ({100.0 * row.without_interval:.0f}% withheld)" if row.without_interval >= 0.005 else ""
    mark = "" if is_covered(row) else "**"
    return f"{mark}{100.0 * row.coverage:.1f}{mark}{withheld}"


def _outside(rows: Iterable[Row]) -> str:
    found = [row for row in rows if row.interval and not is_covered(row)]
    if not found:
        return "None, to within two standard errors."
    lines = [
        "By more than two standard errors.\n",
        _line("scenario", "n", "number", "interval", "coverage", "error", "wholly below", "wholly above", "withheld"),
        _line("---", "---:", "---", "---", "---:", "---:", "---:", "---:", "---:"),
    ]
    for row in found:
        shares = (row.coverage, row.coverage_error, row.below, row.above, row.without_interval)
        percents = (f"{100.0 * share:.1f}" for share in shares)
        lines.append(_line(row.scenario, str(row.n), f"`{row.number}`", row.interval, *percents))
    return "\n".join(lines)


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _short(value: float) -> str:
    if value == 0.0:
        return "0"
    return f"{value:.4f}" if abs(value) >= 5e-4 else f"{value:.1e}"
