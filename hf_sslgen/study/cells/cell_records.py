"""Check a cell's numbers against its records, as far as they follow from them."""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from hf_sslgen.analysis.families import FAMILIES, families_of
from hf_sslgen.analysis.numbers import Number
from hf_sslgen.metrics import Statistic, mean_per_class_statistic, mean_statistic
from hf_sslgen.metrics.catalogue.metric import Compared, Metric, Paired, Subject
from hf_sslgen.metrics.catalogue.rows import CLEAN, METRICS, compared_on, record_columns
from hf_sslgen.metrics.clusters import GROUP
from hf_sslgen.study.cells.cell_folder import Cell
from hf_sslgen.study.cells.cell_form import RECORDS, RESULTS, NoCellError

if TYPE_CHECKING:
    import pandas as pd

KEYS = ("sample_id", "stage", "transform", "severity")
"""Columns that all records have; the last three contain text."""

ROUNDING = 1e-6
OF_LOGARITHM = 1e-3
"""Largest difference between a likelihood and the one computed from the confidence, which can be close to 1."""


def require_consistent(cell: Cell) -> None:
    """Check a cell's records, and every number that is a statistic of them.

    Raises:
        NoCellError: a column is missing, has another type or exceeds its range; two rows have the same image and
            variant; or a number differs from the one computed from the records.
    """
    records = _read(cell)
    _check_columns(records, len(cell.provenance["class_names"]))
    clean = records[records["transform"] == ""]
    _check_predictions(clean)
    for number in cell.numbers:
        if number.transform in ("", *FAMILIES):
            continue
        rows = records[(records["transform"] == number.transform) & (records["severity"] == number.severity)]
        _check_variant(number, rows)
    _check_families(cell)
    compared = {metric.name: (metric, how) for metric, how in compared_on(CLEAN)}
    for number in cell.numbers:
        if not number.transform and number.metric in compared:
            metric, how = compared[number.metric]
            per_class = how.paired is Paired.CLASS_SHARE and "reference" in clean.columns
            _check(number, clean, metric.compared_columns, _accuracy_per_class if per_class else _mean_of(metric))


def _mean_of(metric: Metric) -> Callable[["pd.DataFrame"], Statistic]:
    return lambda rows: mean_statistic(metric.values(rows))


def _accuracy_per_class(rows: "pd.DataFrame") -> Statistic:
    return mean_per_class_statistic(rows["correct"].astype(bool), rows["reference"].astype(int))


def _read(cell: Cell) -> "pd.DataFrame":
    try:
        return cell.records()
    # pyarrow's own errors are of these kinds; a file's metadata can cause any of them.
    except (OSError, ValueError, TypeError, KeyError, AttributeError, NotImplementedError) as error:
        raise NoCellError(f"its {RECORDS} can't be read") from error


def _check_columns(records: "pd.DataFrame", num_classes: int) -> None:
    from pandas.api.types import is_bool_dtype, is_float_dtype, is_integer_dtype, is_numeric_dtype, is_string_dtype

    if records.empty:
        raise NoCellError("it has no records")
    for key in KEYS:
        if key not in records.columns:
            raise NoCellError(f"its records have no column {key!r}")
        if not is_string_dtype(records[key]) and not (key == "sample_id" and is_integer_dtype(records[key])):
            raise NoCellError(f"its records have a column {key!r} of the wrong type")
    if records[list(KEYS)].isna().any(axis=None):
        raise NoCellError("some of its records do not name their image or variant")
    ranges = record_columns()
    for name in records.columns.difference(KEYS):
        column = records[name]
        # A column of truth values has dtype object if some rows lack a value.
        if not is_numeric_dtype(column) and not is_bool_dtype(column.dropna().infer_objects()):
            raise NoCellError(f"its records have a column {name!r} of the wrong type")
        values = column.astype(float)
        if is_float_dtype(column) and np.isinf(values).any():
            raise NoCellError(f"its records have infinite values of {name!r}")
        column_range = ranges.get(name)
        low, high = (-math.inf, math.inf) if column_range is None else (column_range.low, column_range.high)
        if name in ("reference", "prediction"):
            low, high = 0, num_classes - 1
        if (values < low - ROUNDING).any() or (values > high + ROUNDING).any():
            raise NoCellError(f"its records have values of {name!r} that are out of range")
    if records.duplicated(["sample_id", "transform", "severity"]).any():
        raise NoCellError("two of its records have the same image and variant")
    if GROUP in records.columns:
        if not is_integer_dtype(records[GROUP]):
            raise NoCellError(f"its records have a column {GROUP!r} of the wrong type")
        if (records.groupby("sample_id")[GROUP].nunique(dropna=False) != 1).any():
            raise NoCellError("its records put one image into several groups")


def _check_predictions(clean: "pd.DataFrame") -> None:
    """Check each row: `correct` if the prediction is the class, and a likelihood that then fits the confidence."""
    if not {"reference", "prediction", "correct"} <= set(clean.columns):
        return
    reference, prediction, correct = (clean[name].astype(float) for name in ("reference", "prediction", "correct"))
    if ((prediction == reference) != (correct == 1)).any():
        raise NoCellError("some of its records have a value of `correct` that contradicts class and prediction")
    if {"confidence", "negative_log_likelihood"} <= set(clean.columns):
        right = clean[(correct == 1) & clean["confidence"].notna()]
        likelihood = np.exp(-right["negative_log_likelihood"].astype(float))
        if (np.abs(likelihood - right["confidence"].astype(float)) > OF_LOGARITHM).any():
            raise NoCellError("its records have likelihoods that contradict their confidences")


def _check_variant(number: Number, rows: "pd.DataFrame") -> None:
    if number.n and rows.empty:
        raise NoCellError(f"it has {_name(number)}, but no records for it")
    metric = METRICS.get(number.metric)
    if metric is None or metric.subject is not Subject.TRANSFORMED:
        return
    if metric.is_column_mean:
        column = metric.columns[0].name
        _check(number, rows, (column,), lambda side: mean_statistic(side[column].astype(float)))
    elif isinstance(metric.compared, Compared):
        _check(number, rows, metric.compared_columns, _mean_of(metric))


def _check_families(cell: Cell) -> None:
    """Check that a family's number is the mean over its variants."""
    preserving = tuple(cell.provenance["not_label_preserving"])
    for family in (number for number in cell.numbers if number.transform in FAMILIES):
        members = [
            number.value
            for number in cell.numbers
            if (number.metric, number.stage) == (family.metric, family.stage)
            and number.transform not in ("", *FAMILIES)
            and family.transform in families_of(number.transform, number.n, preserving)
        ]
        _compare(family, float(np.mean(members)) if members else math.nan)


def _check(
    number: Number,
    rows: "pd.DataFrame",
    columns: Sequence[str],
    statistic: Callable[["pd.DataFrame"], Statistic],
) -> None:
    """Compare a number with the statistic of its columns, and its number of images with the rows that have them."""
    if math.isnan(number.value):
        return
    missing = [name for name in columns if name not in rows.columns]
    if missing:
        raise NoCellError(f"it has {_name(number)}, but its records have no column {missing[0]!r}")
    defined: NDArray[np.bool_] = rows[list(columns)].notna().all(axis=1).to_numpy()
    if number.n != defined.sum():
        raise NoCellError(f"its {_name(number)} is over {number.n} images, but its records have {defined.sum()}")
    try:
        found = float(statistic(rows)(np.ones((1, len(rows))))[0])
    except (ValueError, TypeError) as error:
        raise NoCellError(f"its records give no {_name(number)}") from error
    _compare(number, found)


def _compare(number: Number, found: float) -> None:
    if math.isnan(number.value):
        return
    if not math.isclose(number.value, found, rel_tol=ROUNDING, abs_tol=ROUNDING):
        raise NoCellError(f"its {_name(number)} is {number.value:.6g} in {RESULTS}, but {found:.6g} in its records")


def _name(number: Number) -> str:
    return " ".join(word for word in (number.metric, number.transform, number.severity) if word)[:100]
