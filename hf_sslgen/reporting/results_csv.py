"""Write every number of a study as rows of CSV files.

`results.csv` holds everything, distinguished by `kind`; the other two files hold parts of it, with the columns that
matter there.

| kind | content of a row |
|---|---|
| cell | a number of one backbone on one domain under one protocol with one seed |
| difference | `first` minus `second` on one domain with one seed; its verdict is by its interval alone |
| target | the same, averaged over seeds |
| group | the mean of targets over the domains of a group |
| interaction | the mean over different domains minus that over similar ones |

`cautions.csv` has a row per reason for caution (`hf_sslgen.study.inference.cautions`), `ranking.csv` the rows of
`hf_sslgen.reporting.ranking_csv`, and `backbones.csv` those of `hf_sslgen.reporting.backbones_csv`. `claims.csv` is
written only if the study asks for claims (`hf_sslgen.reporting.claims_csv`).
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from hf_sslgen.reporting.backbones_csv import backbones_frame
from hf_sslgen.reporting.claims_csv import CLAIMS_FILE_NAME, claims_frame
from hf_sslgen.reporting.csv_files import write_csv
from hf_sslgen.reporting.ranking_csv import ranking_frame
from hf_sslgen.reporting.reference_csv import REFERENCE_FILE_NAME, reference_frame
from hf_sslgen.study.cells.cell_folder import Cell
from hf_sslgen.study.inference.judgement import Judgement
from hf_sslgen.study.inference.scopes import WEIGHTS
from hf_sslgen.study.inference.study_results import StudyResults

MISSING_FILE_NAME = "missing.csv"
"""A sentence a row on what the results lack; written only if there is any."""

_SETTING = ["domain", "group", "protocol", "labels", "stage", "seed", "pretraining_seed", "transform", "severity"]
_VALUE = ["metric", "value", "low", "high", "n"]
_SEEDS = ["num_seeds", "seed_spread", "num_pretraining_seeds", "pretraining_seed_spread"]
_GROUP = [
    "n_similar",
    "n_different",
    "standard_deviation",
    "effect_size",
    "probability_of_improvement",
    "signed_rank_p_value",
    "adjusted_signed_rank_p_value",
    "signed_rank_reason",
]
_JUDGEMENT = [
    *("family", "scope", "scope_low", "scope_high", "p_value", "adjusted_p_value", "q_value"),
    *("minimum_detectable_difference", "training_low", "training_high", "pretraining_low", "pretraining_high"),
    "not_testable",
]
_BACKBONE = ["backbone", "objective", "parameters", "licence", "seconds"]
_PAIR = ["first", "second", "first_objective", "second_objective"]
_DIFFERING = ["confounded_by", "also_differs_in", "not_known"]
_SCOPE = ["protocol", "labels", "stage", "transform"]

RESULT_COLUMNS = [
    *("kind", *_BACKBONE, *_PAIR, "source", *_SETTING, *_VALUE, "unit", "n_undefined", "verdict", "reason"),
    *(*_SEEDS, *_GROUP, *_JUDGEMENT, *_DIFFERING),
]
WHOLE_NUMBERS = (
    *("parameters", "seed", "pretraining_seed", "n", "n_undefined", "num_seeds", "num_pretraining_seeds"),
    *("n_similar", "n_different"),
)
"""Integer columns, which stay integer even if some rows have no value."""

COMPARISON_COLUMNS = [
    *("kind", *_PAIR, "source", *_SETTING, *_VALUE, "unit", "verdict", "reason", *_SEEDS, *_JUDGEMENT, *_DIFFERING)
]
GROUP_COLUMNS = [
    *("kind", "first", "second", "source", "group", *_SCOPE, "domains"),
    *(*_VALUE, "verdict", "reason", *_GROUP, *_JUDGEMENT, "confounded_by"),
]

CAUTION_COLUMNS = [
    *("kind", "backbone", "against", "hyper_parameter", "domain", "protocol", "labels", "seeds", "num_seeds"),
    *("value", "low", "high"),
]


def results_frame(results: StudyResults) -> pd.DataFrame:
    """Return every number, with columns `RESULT_COLUMNS`; undefined numbers are NaN."""
    rows = [*_cell_rows(results.cells), *_comparison_rows(results), *_group_rows(results)]
    return _frame(rows, RESULT_COLUMNS)


def comparisons_frame(results: StudyResults) -> pd.DataFrame:
    """Return a row per paired difference and a row per average over seeds, with columns `COMPARISON_COLUMNS`."""
    return _frame(_comparison_rows(results), COMPARISON_COLUMNS)


def groups_frame(results: StudyResults) -> pd.DataFrame:
    """Return a row per estimate over targets, with columns `GROUP_COLUMNS`."""
    return _frame(_group_rows(results), GROUP_COLUMNS)


def cautions_frame(results: StudyResults) -> pd.DataFrame:
    """Return a row per reason for caution, with columns `CAUTION_COLUMNS`."""
    rows = [vars(c) | {"seeds": " ".join(map(str, c.seeds))} for c in results.cautions]
    return _frame(rows, CAUTION_COLUMNS)


def write_csv_files(results: StudyResults, folder: Path, missing: Sequence[str] = ()) -> None:
    """Write `results.csv` and the files of its parts at full precision; NaN is an empty field.

    Args:
        missing: sentences on what the results lack, such as backbones that are not converted yet.
    """
    files = {
        "results.csv": results_frame(results),
        "comparisons.csv": comparisons_frame(results),
        "groups.csv": groups_frame(results),
        "cautions.csv": cautions_frame(results),
        "ranking.csv": ranking_frame(results.rankings),
        "backbones.csv": backbones_frame(results),
    }
    if results.claims:
        files[CLAIMS_FILE_NAME] = claims_frame(results)
    if results.references:
        files[REFERENCE_FILE_NAME] = reference_frame(results)
    if missing:
        files[MISSING_FILE_NAME] = pd.DataFrame({"missing": list(missing)})
    for name, frame in files.items():
        write_csv(frame, folder / name)


def _cell_rows(cells: Iterable[Cell]) -> list[dict[str, Any]]:
    return [{"kind": "cell"} | describe_cell(cell) | vars(number) for cell in cells for number in cell.numbers]


def describe_cell(cell: Cell) -> dict[str, Any]:
    """Return the columns that describe a cell in tables."""
    return {
        "backbone": cell.backbone,
        "objective": cell.objective,
        "parameters": cell.provenance.get("parameters"),
        "licence": cell.provenance.get("licence"),
        "seconds": cell.provenance.get("seconds"),
        "source": cell.source,
        "domain": cell.domain,
        "group": cell.group,
        "protocol": cell.protocol,
        "labels": cell.labels,
        "seed": cell.seed,
        "pretraining_seed": cell.pretraining_seed,
    }


def _comparison_rows(results: StudyResults) -> list[dict[str, Any]]:
    differences = [
        vars(d) | {"kind": "difference", "verdict": d.verdict, "scope": WEIGHTS, "family": "single run"}
        for d in results.differences
    ]
    targets = [vars(d) | {"kind": "target", "verdict": d.verdict} | _judgement(d.judgement) for d in results.targets]
    return differences + targets


def _group_rows(results: StudyResults) -> list[dict[str, Any]]:
    groups = [
        vars(g)
        | vars(g.comparison)
        | {"kind": "group", "verdict": g.verdict, "domains": " ".join(g.domains)}
        | _judgement(g.judgement)
        for g in results.groups
    ]
    interactions = [
        vars(i)
        | vars(i.comparison)
        | {"kind": "interaction", "verdict": i.verdict, "n": i.n_similar + i.n_different}
        | _judgement(i.judgement)
        for i in results.interactions
    ]
    return groups + interactions


def _judgement(judgement: Judgement) -> dict[str, Any]:
    """Return the columns that say what may be claimed: the claimed scope's interval, then those of each scope.

    `low` and `high` of a row are its interval over these images, or over domains.
    """
    claimed = judgement.claimed
    bounds = {
        f"{each.scope}_{name}": bound
        for each in judgement.scopes
        for name, bound in (("low", each.low), ("high", each.high))
    }
    return bounds | {
        "family": "headline" if judgement.is_headline else "exploratory",
        "scope": claimed.scope,
        "scope_low": claimed.low,
        "scope_high": claimed.high,
        "p_value": claimed.p_value,
        "adjusted_p_value": judgement.adjusted_p_value,
        "q_value": judgement.q_value,
        "minimum_detectable_difference": claimed.minimum_detectable_difference,
        "not_testable": "; ".join(f"{each.scope}: {each.reason}" for each in judgement.wider),
    }


def _frame(rows: list[dict[str, Any]], columns: list[str]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=columns)
    return frame.astype({column: "Int64" for column in WHOLE_NUMBERS if column in columns})
