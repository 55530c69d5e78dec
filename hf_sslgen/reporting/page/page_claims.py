"""Prepare the page's section on claims from the literature as plain values."""

import math
from dataclasses import dataclass
from typing import Any

from hf_sslgen.reporting.claim_words import ClaimSummary, claim_scope_words, claim_summaries, line_setting_words
from hf_sslgen.reporting.page.page_tables import Entry, spread_entry
from hf_sslgen.reporting.vocabulary import (
    MISSING,
    format_decimals,
    format_difference,
    format_difference_interval,
    words,
)
from hf_sslgen.study.inference.claims.claim_lines import ClaimLine, ClaimPart
from hf_sslgen.study.inference.study_results import StudyResults


@dataclass(frozen=True)
class ClaimSection:
    """The claims with their verdicts, and a row per estimate that decides them."""

    summaries: list[ClaimSummary]
    num_tests: int
    rows: list[dict[str, Any]]


def claim_section(results: StudyResults) -> ClaimSection | None:
    """Return the section, or None if the study asks for no claim."""
    if not results.claims:
        return None
    tested = [line for line in results.claims if not math.isnan(line.p_value)]
    rows = [_row(line, part) for line in results.claims for part in line.parts]
    return ClaimSection(claim_summaries(results), len({line.question for line in tested}), rows)


def _row(line: ClaimLine, part: ClaimPart) -> dict[str, Any]:
    scoped = part.within(line.scope)
    if part.num_backbones:
        name = f"{words(part.metric).title} with {words(line.claim.with_number or part.metric).title.lower()}"
        text = format_decimals(part.value, 2, signed=True)
        interval = "" if math.isnan(scoped.low) else f"[{_signed(scoped.low)}, {_signed(scoped.high)}]"
    else:
        name = words(part.metric).title
        text = format_difference(part.value, part.metric, with_unit=True)
        interval = format_difference_interval(scoped.low, scoped.high, part.metric)
    return {
        "claim": line.claim.id,
        "test": line.claim.test.replace("_", " "),
        "first": f"{part.num_backbones} backbones" if part.num_backbones else line.first,
        "second": line.second or MISSING,
        "source": line.source or MISSING,
        "protocol": line_setting_words(line),
        "name": name,
        "expected": part.expected,
        "group": part.group or MISSING,
        "domains": ", ".join(part.domains),
        "num_domains": len(part.domains),
        "estimate": Entry(text, _stored(part.value), interval, note=scoped.reason),
        "p_value": _p_value(scoped.p_value),
        "adjusted": _p_value(line.adjusted_p_value),
        "detectable": spread_entry(scoped.minimum_detectable_difference, part.metric),
        "scope": claim_scope_words(line) or MISSING,
        "untested": line.untested,
        "verdict": line.verdict,
    }


def _signed(value: float) -> str:
    return format_decimals(value, 2, signed=True)


def _stored(value: float) -> str | None:
    return None if math.isnan(value) else repr(float(value))


def _p_value(value: float) -> Entry:
    return Entry(format_decimals(value, 3), _stored(value))
