"""Check a cell's numbers against its records, as far as they follow from them."""

import math
from collections.abc import Callable, Sequence

import numpy as np

from hf_sslgen.analysis.families import FAMILIES, families_of
from hf_sslgen.analysis.numbers import Number
from hf_sslgen.metrics.catalogue.metric import Compared, Paired, Subject
from hf_sslgen.metrics.catalogue.rows import CLEAN, METRICS, compared_on, record_columns
from hf_sslgen.metrics.clusters import GROUP
from hf_sslgen.metrics.defined import mean_of_defined
from hf_sslgen.metrics.inputs import FloatArray, binary_array, label_array
from hf_sslgen.metrics.shares import class_weights
from hf_sslgen.study.cells.cell_folder import Cell
from hf_sslgen.study.cells.cell_form import RECORDS, RESULTS, NoCellError
from hf_sslgen.study.cells.record_columns import RecordColumns, VariantRows

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
    clean = records.clean
    _check_predictions(clean)
    for number in cell.numbers:
        if number.transform not in ("", *FAMILIES):
            _check_variant(number, records.of((number.transform, number.severity)))
    _check_families(cell)
    compared = {metric.name: (metric, how) for metric, how in compared_on(CLEAN)}
    for number in cell.numbers:
        if not number.transform and number.metric in compared:
            metric, how = compared[number.metric]
            per_class = how.paired is Paired.CLASS_SHARE and "reference" in clean
            _check(number, clean, metric.compared_columns, _accuracy_per_class if per_class else metric.values)


def _accuracy_per_class(rows: VariantRows) -> FloatArray:
    """Return values, (N,), whose mean is the accuracy averaged over classes."""
    references = label_array(rows["reference"], "reference")
    correct = binary_array(rows["correct"], "correct", "1 where the prediction is right")
    return np.asarray(len(correct) * class_weights(references) * correct, dtype=np.float64)


def _read(cell: Cell) -> RecordColumns:
    try:
        return cell.columns()
    except NoCellError:
        raise
    # pyarrow's own errors are of these kinds; a file's metadata can cause any of them.
    except (OSError, ValueError, TypeError, KeyError, AttributeError, NotImplementedError) as error:
        raise NoCellError(f"its {RECORDS} can't be read") from error


def _check_columns(records: RecordColumns, num_classes: int) -> None:
    ranges = record_columns()
    for name in sorted(records.names):
        columns = [rows[name] for rows in records.variants.values() if name in rows.filled]
        if any(np.isinf(column).any() for column in columns):
            raise NoCellError(f"its records have infinite values of {name!r}")
        column_range = ranges.get(name)
        low, high = (-math.inf, math.inf) if column_range is None else (column_range.low, column_range.high)
        if name in ("reference", "prediction"):
            low, high = 0, num_classes - 1
        if any((column < low - ROUNDING).any() or (column > high + ROUNDING).any() for column in columns):
            raise NoCellError(f"its records have values of {name!r} that are out of range")
    if any((rows.sample_ids[1:] == rows.sample_ids[:-1]).any() for rows in records.variants.values()):
        raise NoCellError("two of its records have the same image and variant")
    if GROUP in records.names:
        _check_groups(records)


def _check_groups(records: RecordColumns) -> None:
    groups = np.concatenate([rows[GROUP] for rows in records.variants.values()])
    if groups.dtype.kind != "i":
        raise NoCellError(f"its records have a column {GROUP!r} of the wrong type")
    images = np.unique(np.concatenate([rows.sample_ids for rows in records.variants.values()]), return_inverse=True)[1]
    if len(np.unique(np.stack([images, groups]), axis=1).T) > images.max() + 1:
        raise NoCellError("its records put one image into several groups")


def _check_predictions(clean: VariantRows) -> None:
    """Check each row: `correct` if the prediction is the class, and a likelihood that then fits the confidence."""
    if not {"reference", "prediction", "correct"} <= clean.keys():
        return
    right = clean["correct"] == 1
    if ((clean["prediction"] == clean["reference"]) != right).any():
        raise NoCellError("some of its records have a value of `correct` that contradicts class and prediction")
    if {"confidence", "negative_log_likelihood"} <= clean.keys():
        confidence = np.asarray(clean["confidence"], dtype=np.float64)[right]
        likelihood = np.exp(-np.asarray(clean["negative_log_likelihood"], dtype=np.float64)[right])
        if (np.abs(likelihood - confidence) > OF_LOGARITHM).any():
            raise NoCellError("its records have likelihoods that contradict their confidences")


def _check_variant(number: Number, rows: VariantRows) -> None:
    if number.n and not rows.num_images:
        raise NoCellError(f"it has {_name(number)}, but no records for it")
    metric = METRICS.get(number.metric)
    if metric is None or metric.subject is not Subject.TRANSFORMED:
        return
    if metric.is_column_mean:
        column = metric.columns[0].name
        _check(number, rows, (column,), lambda side: np.asarray(side[column], dtype=np.float64))
    elif isinstance(metric.compared, Compared):
        _check(number, rows, metric.compared_columns, metric.values)


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
    number: Number, rows: VariantRows, columns: Sequence[str], values: Callable[[VariantRows], FloatArray]
) -> None:
    """Compare a number with the mean of its values, and its number of images with the rows that have them."""
    if math.isnan(number.value):
        return
    missing = [name for name in columns if name not in rows]
    if missing:
        raise NoCellError(f"it has {_name(number)}, but its records have no column {missing[0]!r}")
    # An image whose class has no other one has a similarity, but none to others by chance.
    defined = int(np.count_nonzero(~np.all([rows.is_missing(name) for name in columns], axis=0)))
    if number.n != defined:
        raise NoCellError(f"its {_name(number)} is over {number.n} images, but its records have {defined}")
    try:
        found = mean_of_defined(values(rows))
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
