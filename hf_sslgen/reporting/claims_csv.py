"""The table `claims.csv`: a row per estimate that decides a claim, with the verdict of its line.

The rows of one `line` belong together: the claim is supported if all of them have the expected direction. `p_value` to
`reason` are those of the line, `value` to `estimate_p_value` those of the estimate, in the line's scope.
"""

from typing import Any

import pandas as pd

from hf_sslgen.study.inference.claims.claim_lines import ClaimLine, ClaimPart
from hf_sslgen.study.inference.study_results import StudyResults

CLAIMS_FILE_NAME = "claims.csv"

CLAIM_COLUMNS = [
    *("line", "claim", "source", "paper", "statement", "form", "test", "first", "second", "pretraining_source"),
    *("protocol", "labels", "with_number", "with_protocol", "with_labels", "verdict", "scope", "over_domains"),
    *("p_value", "adjusted_p_value", "untested", "reason", "metric", "expected", "group", "domains", "num_domains"),
    *("num_backbones", "value", "low", "high", "estimate_p_value", "minimum_detectable_difference"),
]


def claims_frame(results: StudyResults) -> pd.DataFrame:
    """Return a row per estimate, and one per line without any, with columns `CLAIM_COLUMNS`."""
    rows = [
        _of_line(number, line) | (_of_part(line, part) if part is not None else {})
        for number, line in enumerate(results.claims, start=1)
        for part in line.parts or (None,)
    ]
    frame = pd.DataFrame(rows, columns=CLAIM_COLUMNS)
    return frame.astype({"line": "Int64", "num_domains": "Int64", "num_backbones": "Int64"})


def _of_line(number: int, line: ClaimLine) -> dict[str, Any]:
    claim = line.claim
    return {
        "line": number,
        "claim": claim.id,
        "source": claim.source,
        "paper": claim.paper,
        "statement": claim.statement,
        "form": claim.form,
        "test": claim.test,
        "first": line.first,
        "second": line.second,
        "pretraining_source": line.source,
        "protocol": line.protocol,
        "labels": line.labels,
        "with_number": claim.with_number or "",
        "with_protocol": line.with_protocol,
        "with_labels": line.with_labels,
        "verdict": line.verdict,
        "scope": line.scope,
        "over_domains": line.over_domains if line.parts else "",
        "p_value": line.p_value,
        "adjusted_p_value": line.adjusted_p_value,
        "untested": line.untested,
        "reason": line.reason,
    }


def _of_part(line: ClaimLine, part: ClaimPart) -> dict[str, Any]:
    scoped = part.within(line.scope)
    return {
        "metric": part.metric,
        "expected": part.expected,
        "group": part.group,
        "domains": " ".join(part.domains),
        "num_domains": len(part.domains),
        "num_backbones": part.num_backbones or None,
        "value": part.value,
        "low": scoped.low,
        "high": scoped.high,
        "estimate_p_value": scoped.p_value,
        "minimum_detectable_difference": scoped.minimum_detectable_difference,
    }
