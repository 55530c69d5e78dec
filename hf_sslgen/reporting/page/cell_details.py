"""The details of one cell as plain values, for the page to draw when a reader opens them (`templates/js/details.js`).

Headline numbers are those stored in the cell. What is binned, sorted or counted here serves only drawing. Every list
is bounded, so that a page can hold the details of a thousand cells.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hf_sslgen.metrics import reliability_bins, risk_coverage
from hf_sslgen.metrics.catalogue.rows import AFTER_TEMPERATURE
from hf_sslgen.metrics.clusters import GROUP
from hf_sslgen.metrics.shares import share_interval
from hf_sslgen.reporting.page.picture_book import PictureBook
from hf_sslgen.reporting.vocabulary import FAMILIES, transform_words
from hf_sslgen.study.cells.cell_folder import Cell
from hf_sslgen.study.cells.record_columns import VariantRows
from hf_sslgen.study.pictures.picture_choice import WrongPrediction, confused_pairs, errors_of
from hf_sslgen.study.pictures.stored_pictures import CellPictures, pictures_of

DECIMALS = 4
MATRIX_UP_TO = 20
"""Number of classes up to which the whole confusion matrix is given; with more, the most confused pairs."""

MOST_PAIRS = 15
MOST_CLASSES = 40
MOST_POINTS = 21
MOST_VARIANTS = 80
MOST_ERRORS = 8

MOST_UNSURE = 0.9999
"""What a confidence below 1 is rounded to at most."""

Details = dict[str, Any]


def cell_details(cell: Cell, book: PictureBook | None = None) -> Details:
    """Return what a page draws of one cell; parts that the cell has no records for are missing.

    Args:
        book: receives the pictures, which the details refer to by number; None: there are none.

    Returns:
        `n`, the number of test images, and

        - `reliability`: `bins` of `low`, `high`, `n`, `confidence`, `accuracy` and, unless images come in groups, the
          95% `interval` of accuracy over the bin's images; `ece` and `ece_if_calibrated` as stored; `scaled`: the
          same after temperature scaling, with `temperature`.
        - `confusion`: `classes` (names), and `matrix` (C, C), rows for true classes, or, with many classes, only
          `pairs`. Each pair has `reference`, `prediction` (positions in `classes`), `n` and `examples`. `n_pairs` and
          `n_errors` count all of them.
        - `per_class`: rows of `name`, `n`, `right` and, unless images come in groups, `interval`; the worst if there
          are many. `n_classes` counts all.
        - `risk_coverage`: `points` of `coverage` and `risk`, exact at these; `aurc`, `excess_aurc` as stored.
        - `errors`: the most confident ones: `reference` and `prediction` (names), `confidence`, `picture`.
        - `invariance`: stored numbers by `stage`, `transform` and `severity`, in `words`: `value`, `interval`, `n`.
    """
    rows = cell.columns().clean
    names = [str(name) for name in cell.provenance.get("class_names") or ()]
    pictures = pictures_of(cell.folder) if book is not None else CellPictures(cell.folder)
    details: Details = {"n": rows.num_images}
    predicted = _defined(rows, ("reference", "prediction"))
    if predicted is not None and names:
        references, predictions = (np.asarray(rows[key][predicted], np.int64) for key in ("reference", "prediction"))
        is_valid = (np.minimum(references, predictions) >= 0) & (np.maximum(references, predictions) < len(names))
        references, predictions = references[is_valid], predictions[is_valid]
        errors = [error for error in errors_of(rows) if 0 <= max(error.reference, error.prediction) < len(names)]
        shown = _Examples(errors, names, pictures, book)
        details["confusion"] = _confusion(references, predictions, names, shown)
        details["per_class"], details["n_classes"] = _per_class(references, predictions, names, GROUP in rows.columns)
        details["errors"] = [shown.named(error) for error in errors[:MOST_ERRORS]]
    confident = _confident(rows, "confidence")
    if confident is not None:
        details["reliability"] = _reliability(cell, rows)
        details["risk_coverage"] = _risk_coverage(cell, *confident)
    invariance = _invariance(cell)
    if invariance:
        details["invariance"] = invariance
    return details


class _Examples:
    """Errors as examples, with the numbers of their pictures."""

    def __init__(
        self, errors: Sequence[WrongPrediction], names: Sequence[str], pictures: CellPictures, book: PictureBook | None
    ) -> None:
        self.errors = errors
        self._names, self._pictures, self._book = names, pictures, book

    def of(self, error: WrongPrediction) -> Details:
        most = 1.0 if error.confidence >= 1.0 else MOST_UNSURE
        found: Details = {"confidence": min(round(error.confidence, DECIMALS), most)}
        number = self._book.number(self._pictures.image(error.sample_id)) if self._book is not None else None
        return found if number is None else {**found, "picture": number}

    def named(self, error: WrongPrediction) -> Details:
        classes = {"reference": self._names[error.reference], "prediction": self._names[error.prediction]}
        return {**classes, **self.of(error)}


def _confusion(
    references: NDArray[np.int64], predictions: NDArray[np.int64], names: Sequence[str], shown: _Examples
) -> Details:
    """Count how often each class is taken for each, as a matrix or, with many classes, as the most frequent pairs."""
    wrong = references != predictions
    pairs = np.unique(np.stack([references[wrong], predictions[wrong]]), axis=1, return_counts=True)
    found: Details = {"n_errors": int(wrong.sum()), "n_pairs": len(pairs[1])}
    most = confused_pairs(shown.errors, MOST_PAIRS)
    examples = {(pair.reference, pair.prediction): pair.errors for pair in most}
    order = np.lexsort((pairs[0][1], pairs[0][0], -pairs[1]))[:MOST_PAIRS]
    kept = [(int(pairs[0][0][at]), int(pairs[0][1][at]), int(pairs[1][at])) for at in order]
    classes = list(range(len(names)))
    if len(names) <= MATRIX_UP_TO:
        flat = np.bincount(references * len(names) + predictions, minlength=len(names) ** 2)
        found["matrix"] = flat.reshape(len(names), len(names)).tolist()
    else:
        classes = sorted({each for pair in kept for each in pair[:2]})
    found["classes"] = [names[each] for each in classes]
    found["pairs"] = [
        {
            "reference": classes.index(reference),
            "prediction": classes.index(prediction),
            "n": n,
            "examples": [shown.of(error) for error in examples.get((reference, prediction), ())],
        }
        for reference, prediction, n in kept
    ]
    return found


def _per_class(
    references: NDArray[np.int64], predictions: NDArray[np.int64], names: Sequence[str], grouped: bool
) -> tuple[list[Details], int]:
    """Return the accuracy of each class that occurs, by class; of many classes, the worst, and how many there are."""
    sizes = np.bincount(references, minlength=len(names))
    right = np.bincount(references[references == predictions], minlength=len(names))
    occurring = np.flatnonzero(sizes)
    shown = occurring
    if len(occurring) > MOST_CLASSES:
        shown = occurring[np.argsort(right[occurring] / sizes[occurring], kind="stable")[:MOST_CLASSES]]
    rows = []
    for index in shown.tolist():
        row: Details = {"name": names[index], "n": int(sizes[index]), "right": int(right[index])}
        if not grouped:
            row["interval"] = _share_interval(row["right"], row["n"])
        rows.append(row)
    return rows, len(occurring)


def _reliability(cell: Cell, rows: VariantRows) -> Details:
    found = _bins(cell, rows, "")
    temperature = cell.number("temperature")
    if temperature is None or math.isnan(temperature.value):
        return found
    if _confident(rows, f"confidence{AFTER_TEMPERATURE}") is not None:
        found["scaled"] = {"temperature": temperature.value, **_bins(cell, rows, AFTER_TEMPERATURE)}
    return found


def _bins(cell: Cell, rows: VariantRows, ending: str) -> Details:
    """Return the bins of the calibration error that hold images, with its stored value."""
    confident = _confident(rows, f"confidence{ending}")
    assert confident is not None
    table = reliability_bins(*confident)
    bins = []
    for at in np.flatnonzero(table.bin_counts).tolist():
        n, accuracy = int(table.bin_counts[at]), float(table.bin_accuracy[at])
        row: Details = {
            "low": _rounded(table.bin_edges[at]),
            "high": _rounded(table.bin_edges[at + 1]),
            "n": n,
            "confidence": _rounded(table.bin_confidence[at]),
            "accuracy": _rounded(accuracy),
        }
        if GROUP not in rows.columns:
            row["interval"] = _share_interval(round(accuracy * n), n)
        bins.append(row)
    error = _stored(cell, "ece", f"expected_calibration_error{ending}")
    return {"bins": bins, **error, **_stored(cell, "ece_if_calibrated", f"ece_if_calibrated{ending}")}


def _risk_coverage(cell: Cell, confidences: NDArray[np.float64], correct: NDArray[np.float64]) -> Details:
    """Return points of the curve about evenly spaced in coverage, with both ends, and the stored areas."""
    curve = risk_coverage(confidences, correct)
    wanted = np.linspace(curve.coverage[0], curve.coverage[-1], MOST_POINTS)
    at = np.unique(np.minimum(np.searchsorted(curve.coverage, wanted - 1e-12), len(curve.coverage) - 1))
    points = [{"coverage": _rounded(curve.coverage[i]), "risk": _rounded(curve.risk[i])} for i in at]
    return {"points": points, **_stored(cell, "aurc", "aurc"), **_stored(cell, "excess_aurc", "excess_aurc")}


def _invariance(cell: Cell) -> list[Details]:
    """Return the stored invariance to each transform and severity, family means first."""
    numbers = [n for n in cell.numbers if n.metric == "invariance" and n.transform]
    order = {name: rank for rank, name in enumerate(FAMILIES)}
    numbers.sort(key=lambda n: (n.stage, order.get(n.transform, len(order))))
    found = []
    for number in numbers[: 2 * MOST_VARIANTS]:
        row: Details = {
            "stage": number.stage,
            "transform": number.transform,
            "severity": number.severity,
            "words": transform_words(number.transform, number.severity),
            "value": _rounded(number.value),
            "n": number.n,
        }
        if number.transform in FAMILIES:
            row["family"] = True
        if not math.isnan(number.low):
            row["interval"] = [_rounded(number.low), _rounded(number.high)]
        found.append(row)
    return found


def _stored(cell: Cell, name: str, metric: str) -> Details:
    """Return a stored number at full precision by its short name; empty if the cell lacks it."""
    number = cell.number(metric)
    return {} if number is None or math.isnan(number.value) else {name: number.value}


def _confident(rows: VariantRows, column: str) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Return confidences and whether predictions are right, (N,); None without predictions of single images."""
    if "prediction" not in rows.filled:
        return None
    defined = _defined(rows, (column, "correct"))
    return None if defined is None else (rows[column][defined], rows["correct"][defined].astype(np.float64))


def _defined(rows: VariantRows, columns: Sequence[str]) -> NDArray[np.bool_] | None:
    """Return which images have a value in all of these columns, (N,); None if none has."""
    if not all(name in rows.filled for name in columns):
        return None
    defined: NDArray[np.bool_] = ~np.any([rows.is_missing(name) for name in columns], axis=0)
    return defined if defined.any() else None


def _share_interval(successes: int, n: int) -> list[float | None]:
    return [_rounded(limit) for limit in share_interval(successes, n)]


def _rounded(value: float) -> float | None:
    """Round what is only drawn; None for NaN, which JSON lacks."""
    return None if math.isnan(value) else round(float(value), DECIMALS)
