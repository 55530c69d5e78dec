"""Markdown tables of how often verdicts err."""

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Any

from simulated.joint_families import FamilyCounts
from simulated.networks import ACCURACY, REGIMES
from simulated.rankings import RankingCounts
from simulated.study_verdicts import DOMAIN, GROUP, INTERACTION
from simulated.tables import NOT_RUN, line
from simulated.verdict_counts import (
    ADJUSTED,
    CLAIMED,
    CONTRASTS,
    DOMAINS,
    FORMER,
    IMAGES,
    LAYOUTS,
    PAGE,
    RUNS,
    SEEDS,
    UNADJUSTED,
    Counts,
)

LOWEST_RATE, HIGHEST_RATE = 0.03, 0.065
LOWEST_MISSED, HIGHEST_MISSED = 0.025, 0.08
HIGHEST_FAMILY_RATE = 0.06
MOST_LISTED = 10

Ways = Mapping[tuple[int, int], Mapping[tuple[str, float], Sequence[float]]]
"""By number of rows and columns: rates of error by way to combine them and level."""
Entry = tuple[dict[str, Any], Counts]
"""What was counted, by the names of `Task` and `Key`, and how often."""


def as_markdown(
    entries: Sequence[Entry],
    rankings: Sequence[RankingCounts],
    families: Sequence[FamilyCounts],
    ways: Ways,
    command: str,
    compared: int,
) -> str:
    """Return all tables.

    Args:
        compared: verdicts that are the same when the whole chain gives them.
    """
    alike = [entry for entry in entries if entry[0]["difference"] == 0.0]
    apart = [entry for entry in entries if entry[0]["difference"] != 0.0]
    studies = {layout: _total(alike, layout=layout, level=PAGE, number="1", scope=ADJUSTED) for layout in LAYOUTS}
    designs = {layout: len({_design(e) for e, _ in alike if e["layout"] == layout}) for layout in LAYOUTS}
    sizes = ", ".join(
        f"{counts.cases // designs[layout] // len(REGIMES)} ({layout})"
        for layout, counts in studies.items()
        if counts.cases
    )
    parts = [
        f"Printed by\n\n{NOT_RUN}\n```console\n$ {command}\n```",
        f"Simulated studies without a difference, by regime: {sizes}. {compared} differences of studies "
        "that went the whole way, from records of cells to a page, had the same intervals and p-values.",
    ]
    parts += ["### One domain", _on_domain(alike)]
    parts += ["### Over domains of one kind", _over_domains(alike, GROUP)]
    parts += ["### Different against similar domains", _over_domains(alike, INTERACTION)]
    parts += ["### Pages", _pages(alike)]
    parts += ["### Rankings", _rankings(rankings)]
    parts += ["### Ways to combine rows and columns", _ways(ways)]
    parts += ["### Holm beside the largest statistic", _families(families)]
    parts += ["### Coverage by scope", _coverage(alike)]
    if apart:
        parts += ["### Power and signs on one domain", _power(apart, DOMAIN)]
        parts += [f"### Power and signs over {max(DOMAINS)} domains", _power(apart, GROUP)]
    parts += ["### Outside the limits", _outside(alike)]
    return "\n\n".join(parts)


def _design(names: dict[str, Any]) -> tuple[int, ...]:
    return names["runs"], names["seeds"], names["domains"], names["images"]


def _total(entries: Iterable[Entry], **wanted: Any) -> Counts:
    total = Counts()
    for names, counts in entries:
        if all(names[name] == value for name, value in wanted.items()):
            total.add(counts)
    return total


def _missed(counts: Counts) -> str:
    return f"{100.0 * counts.missed / counts.printed:.1f}" if counts.printed else "none"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join([line(*header), line("---", *("---:" for _ in header[1:])), *(line(*row) for row in rows)])


def _by_regime(entries: Iterable[Entry], level: str) -> dict[str, list[Entry]]:
    found: dict[str, list[Entry]] = {name: [] for name in REGIMES}
    for names, counts in entries:
        if names["level"] == level:
            found[names["regime"]].append((names, counts))
    return found


def _claimed_and_former(entries: Sequence[Entry], **design: int) -> str:
    claimed, former = (_total(entries, scope=scope, **design) for scope in (CLAIMED, FORMER))
    return f"{_missed(claimed)} ({_missed(former)})"


def _on_domain(entries: Sequence[Entry]) -> str:
    regimes = _by_regime(entries, DOMAIN)
    rows = [
        [f"{runs} x {seeds}", *(_claimed_and_former(found, runs=runs, seeds=seeds) for found in regimes.values())]
        for runs in RUNS
        for seeds in SEEDS
    ]
    return _table(["runs x seeds: % of verdicts that err (former rule)", *regimes], rows)


def _over_domains(entries: Sequence[Entry], level: str) -> str:
    regimes = _by_regime(entries, level)
    rows = [
        [
            f"{runs} x {domains}",
            *(_claimed_and_former(found, runs=runs, domains=domains) for found in regimes.values()),
        ]
        for runs in RUNS
        for domains in sorted({names["domains"] for found in regimes.values() for names, _ in found})
    ]
    return _table(["runs x domains: % of verdicts that err (former rule)", *regimes], rows)


def _pages(entries: Sequence[Entry]) -> str:
    regimes = _by_regime(entries, PAGE)
    shown = (("1", ADJUSTED), (str(CONTRASTS), ADJUSTED), (str(CONTRASTS), UNADJUSTED))
    rows = []
    for layout in dict.fromkeys(names["layout"] for names, _ in entries):
        for runs in RUNS:
            cells = []
            for found in regimes.values():
                rates = [_missed(_total(found, layout=layout, runs=runs, number=n, scope=scope)) for n, scope in shown]
                cells.append("{} / {} ({})".format(*rates))
            rows.append([f"{layout}, {runs}", *cells])
    header = f"layout, runs: % of pages with a false verdict, 1 contrast / {CONTRASTS} ({CONTRASTS}, unadjusted)"
    return _table([header, *regimes], rows)


def _rankings(rankings: Iterable[RankingCounts]) -> str:
    rows: dict[str, list[str]] = {}
    for each in rankings:
        adjusted, unadjusted = (100.0 * c / each.rankings for c in (each.false_adjusted, each.false_unadjusted))
        rows.setdefault(f"{each.methods} x {each.domains}", []).append(f"{adjusted:.1f} ({unadjusted:.1f})")
    header = ["methods x domains: % of rankings that tell two apart (unadjusted)", *REGIMES]
    return _table(header, [[size, *cells] for size, cells in rows.items()])


def _ways(ways: Ways) -> str:
    rows = [
        [
            f"{design[0]} x {design[1]}",
            *(f"{100.0 * min(each):.2g} to {100.0 * max(each):.2g}" for each in rates.values()),
        ]
        for design, rates in ways.items()
    ]
    header = [f"{name}, {100.0 * alpha:g}%" for name, alpha in next(iter(ways.values()))]
    return _table(["rows x columns: lowest and highest % that err", *header], rows)


def _families(families: Iterable[FamilyCounts]) -> str:
    rows = []
    for each in families:
        shares = (
            (each.false_by_holm, each.families),
            (each.false_by_largest, each.families),
            (each.found_by_holm, each.tested),
            (each.found_by_largest, each.tested),
        )
        cells = [f"{100.0 * count / total:.1f}" for count, total in shares]
        rows.append([f"{each.verdicts} verdicts, {each.difference:g} points", *cells])
    header = ["families with a false verdict, %: Holm", "largest", "accuracies decided, %: Holm", "largest"]
    return _table(["size, true difference", *header], rows)


def _coverage(entries: Sequence[Entry]) -> str:
    found: dict[tuple[str, str], dict[str, dict[tuple[Any, ...], Counts]]] = {}
    for names, counts in entries:
        level, scope = names["level"], names["scope"]
        if level != PAGE and scope not in (CLAIMED, FORMER, ADJUSTED) and counts.printed:
            by_design = found.setdefault((level, scope), {}).setdefault(names["regime"], {})
            by_design.setdefault((names["number"], *_design(names)), Counts()).add(counts)
    rows = []
    for (level, scope), regimes in found.items():
        cells = []
        for name in REGIMES:
            covered = [100.0 * (1.0 - c.missed / c.printed) for c in regimes.get(name, {}).values()]
            mean = sum(covered) / max(1, len(covered))
            cells.append(f"{mean:.1f} ({min(covered):.1f} to {max(covered):.1f})" if covered else "none")
        rows.append([f"{level}, {scope}", *cells])
    return _table(["% of intervals that hold the truth: mean (lowest to highest design and number)", *REGIMES], rows)


def _power(entries: Sequence[Entry], level: str) -> str:
    mine = [e for e in entries if e[0]["level"] == level and e[0]["number"] == ACCURACY]
    if level == GROUP:
        mine = [e for e in mine if e[0]["domains"] == max(DOMAINS)]
    columns = [(regime, images) for regime in dict.fromkeys(e["regime"] for e, _ in mine) for images in IMAGES]
    differences = sorted({names["difference"] for names, _ in mine})
    rows = []
    for runs, seeds in product(RUNS, (min(SEEDS), max(SEEDS))):
        cells = []
        for regime, images in columns:
            wanted = {"regime": regime, "images": images, "runs": runs, "seeds": seeds}
            claims, adjusted, former = (
                [_total(mine, difference=each, scope=scope, **wanted) for each in differences]
                for scope in (CLAIMED, ADJUSTED, FORMER)
            )
            cells.append(f"{_decided(claims)} ({_decided(adjusted)}); {_wrong(claims)} ({_wrong(former)})")
        rows.append([f"{runs} x {seeds}", *cells])
    points = " / ".join(f"{difference:g}" for difference in differences)
    header = [f"{regime}, {images} images" for regime, images in columns]
    said = f"runs x seeds: % decided at {points} points (adjusted); % of these with the wrong sign (former rule)"
    return _table([said, *header], rows)


def _wrong(totals: Sequence[Counts]) -> str:
    decided = sum(each.decided for each in totals)
    return f"{100.0 * sum(each.wrong_sign for each in totals) / decided:.1f}" if decided else "none"


def _decided(totals: Sequence[Counts]) -> str:
    return " / ".join(f"{100.0 * each.decided / each.cases:.0f}" if each.cases else "none" for each in totals)


def _outside(entries: Sequence[Entry]) -> str:
    totals: dict[tuple[Any, ...], Counts] = {}
    for names, counts in entries:
        is_judged = names["level"] == PAGE or names["scope"] != ADJUSTED
        if is_judged and names["scope"] not in (FORMER, UNADJUSTED) and counts.printed:
            key = tuple(names[name] for name in ("level", "number", "scope", "regime")) + _design(names)
            totals.setdefault(key, Counts()).add(counts)
    outside = []
    for (level, number, scope, regime, *design), counts in totals.items():
        excess = _excess(counts, *_limits(level, scope))
        if excess > 2.0:
            sizes = " x ".join(map(str, design))
            rate = f"{_missed(counts)} of {counts.printed}"
            outside.append((excess, [level, f"`{number}`", scope, regime, sizes, rate, f"{excess:.1f}"]))
    rows = [row for _, row in sorted(outside, reverse=True)]
    said = (
        f"{len(rows)} of {len(totals)} rates lie outside by more than two standard errors: 3 to 6.5% of verdicts err, "
        "2.5 to 8% of intervals miss the truth, at most 6% of pages have a false verdict."
    )
    if not rows:
        return said
    header = ["level", "number", "scope", "regime", "runs x seeds x domains x images", "% that err", "standard errors"]
    return f"{said} The furthest:\n\n{_table(header, rows[:MOST_LISTED])}"


def _limits(level: str, scope: str) -> tuple[float, float]:
    if level == PAGE:
        return 0.0, HIGHEST_FAMILY_RATE
    return (LOWEST_RATE, HIGHEST_RATE) if scope == CLAIMED else (LOWEST_MISSED, HIGHEST_MISSED)


def _excess(counts: Counts, low: float, high: float) -> float:
    """How many standard errors, of a rate at the limit, a rate lies outside the limits."""
    rate = counts.missed / counts.printed
    below, above = (math.sqrt(limit * (1.0 - limit) / counts.printed) for limit in (low, high))
    return max((low - rate) / below if low else 0.0, (rate - high) / above)
