"""Put the verdicts on claims from the literature into words, by claim, with the comparison behind each test."""

from collections.abc import Sequence
from dataclasses import dataclass

from hf_sslgen.reporting.vocabulary import protocol_words, scope_words, setting_words
from hf_sslgen.study.inference.claims.claim_lines import (
    BACKBONES,
    CONTRADICTED,
    NOT_TESTABLE,
    SUPPORTED,
    UNDECIDED,
    ClaimLine,
)
from hf_sslgen.study.inference.seed_averages import grouped
from hf_sslgen.study.inference.study_results import StudyResults
from hf_sslgen.study.published_claims import Claim

VERDICTS = (SUPPORTED, CONTRADICTED, UNDECIDED, NOT_TESTABLE)


@dataclass(frozen=True)
class ClaimSummary:
    """A claim with the count of its verdicts in words, and the reasons why tests could not be made."""

    claim: Claim
    verdict: str
    reasons: list[str]


def claim_summaries(results: StudyResults) -> list[ClaimSummary]:
    """Return a summary of every claim that the study asks for."""
    summaries = []
    for lines in grouped(results.claims, [line.claim.id for line in results.claims]).values():
        reasons = [
            f"{of_line}: {line.reason}" if (of_line := line_words(line)) else line.reason
            for line in lines
            if line.reason
        ]
        summaries.append(ClaimSummary(lines[0].claim, _counted(lines), reasons))
    return summaries


def line_words(line: ClaimLine) -> str:
    """Return what distinguishes a test from the others of its claim; empty if it is the only one."""
    contrast = f"{line.first} against {line.second}" if line.first else ""
    if line.source:
        contrast += f" ({line.source})"
    return ", ".join(part for part in (contrast, line_setting_words(line)) if part)


def line_setting_words(line: ClaimLine) -> str:
    """Return the protocol and label budgets of a test, and those of the number that ranks are correlated with."""
    if not line.protocol:
        return ""
    own = setting_words(line.protocol, line.labels) if line.labels else protocol_words(line.protocol)
    return f"{own} with {setting_words(line.with_protocol, line.with_labels)}" if line.with_protocol else own


def claim_scope_words(line: ClaimLine) -> str:
    """Return the scope of a verdict in words; empty if it has none."""
    if not line.scope:
        return ""
    if line.scope == BACKBONES:
        return "backbones and domains like these"
    return f"{scope_words(line.scope)}, on {'domains of these kinds' if line.over_domains else 'these domains only'}"


def _counted(lines: Sequence[ClaimLine]) -> str:
    """Return the verdicts with their counts, such as `supported in 2 of 5 tests (for these weights, ...), undecided in
    3`; decided ones with their scope."""
    found = grouped(lines, [(line.verdict, _spoken_scope(line)) for line in lines])
    counts: list[str] = []
    for (verdict, scope), members in sorted(found.items(), key=lambda item: VERDICTS.index(item[0][0])):
        count = f" in {len(members)}{'' if counts else f' of {len(lines)} tests'}" if len(lines) > 1 else ""
        counts.append(f"{verdict}{count}{f' ({scope})' if scope else ''}")
    return ", ".join(counts)


def _spoken_scope(line: ClaimLine) -> str:
    return f"for {claim_scope_words(line)}" if line.verdict in (SUPPORTED, CONTRADICTED) else ""
