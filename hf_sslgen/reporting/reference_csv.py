"""The table `reference.csv`: a row per published result that the study has a counterpart of.

Values are shares at full precision. `agrees` is empty unless no difference of protocol is known.
"""

from typing import Any

import pandas as pd

from hf_sslgen.study.inference.study_results import StudyResults
from hf_sslgen.study.reference.reference_lines import ReferenceComparison, ReferenceLine

REFERENCE_FILE_NAME = "reference.csv"

REFERENCE_COLUMNS = [
    *("table", "source", "network", "weights", "backbone", "domain", "protocol", "labels", "metric"),
    *("published", "value", "low", "high", "n", "num_runs", "difference", "agrees"),
    *("published_inverse_regularisation", "inverse_regularisations", "differences"),
]


def reference_frame(results: StudyResults) -> pd.DataFrame:
    """Return a row per line, with columns `REFERENCE_COLUMNS`."""
    rows = [_row(comparison, line) for comparison in results.references for line in comparison.lines]
    frame = pd.DataFrame(rows, columns=REFERENCE_COLUMNS)
    return frame.astype({"n": "Int64", "num_runs": "Int64"})


def _row(comparison: ReferenceComparison, line: ReferenceLine) -> dict[str, Any]:
    published, ours = line.published, line.ours
    own = {} if ours is None else {name: vars(ours)[name] for name in ("value", "low", "high", "n", "num_runs")}
    return own | {
        "table": comparison.table.name,
        "source": published.source or comparison.table.source,
        "network": published.network,
        "weights": published.backbone,
        "backbone": line.backbone,
        "domain": line.domain,
        "protocol": line.protocol,
        "labels": comparison.table.labels,
        "metric": published.metric,
        "published": published.value,
        "difference": line.difference,
        "agrees": line.agrees,
        "published_inverse_regularisation": published.inverse_regularisation,
        "inverse_regularisations": " ".join(map(repr, line.inverse_regularisations)),
        "differences": "; ".join(line.differences),
    }
