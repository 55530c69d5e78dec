"""Verdicts on claims from the literature.

Each claim is tested on every contrast or pair of settings of the study that it concerns, in the widest scope that the
study's runs can test. The distinct tests of all requested claims are one family, adjusted by Holm. A claim that
needs what the study does not have, or what is not measured at all, is not testable here, and the reason names it.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from hf_sslgen.metrics import holm
from hf_sslgen.study.inference.claims.claim_contrasts import difference_lines, interaction_lines, slope_lines
from hf_sslgen.study.inference.claims.claim_correlations import correlation_lines
from hf_sslgen.study.inference.claims.claim_evidence import Evidence
from hf_sslgen.study.inference.claims.claim_lines import ClaimLine
from hf_sslgen.study.published_claims import Claim

TESTS: Mapping[str, Callable[[Claim, Evidence], list[ClaimLine]]] = {
    "difference": difference_lines,
    "interaction": interaction_lines,
    "rank_correlation": correlation_lines,
    "slope": slope_lines,
    "none": lambda claim, evidence: [],
}


def judge_claims(claims: Sequence[Claim], evidence: Evidence) -> tuple[ClaimLine, ...]:
    """Return the verdicts on the requested claims, adjusted together; each claim has at least one line."""
    lines = [
        line
        for claim in claims
        for line in TESTS[claim.test](claim, evidence) or [ClaimLine(claim, reason=f"needs {claim.needs}")]
    ]
    questions = {line.question: line.p_value for line in lines if not math.isnan(line.p_value)}
    if not questions:
        return tuple(lines)
    adjusted = dict(zip(questions, holm(np.array(list(questions.values()))).tolist(), strict=True))
    return tuple(replace(line, adjusted_p_value=adjusted.get(line.question, math.nan)) for line in lines)
