"""Which images of a cell are worth a look: what it got wrong, and what it does not recognise once transformed.

The worker that writes a cell keeps small pictures of these images, and a report that chooses again from the records
finds the same ones.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hf_sslgen.analysis.families import families_of
from hf_sslgen.metrics.catalogue.feature_metrics import SIMILARITY_COLUMNS
from hf_sslgen.metrics.catalogue.rows import METRICS
from hf_sslgen.study.cells.record_columns import KEYS, RecordColumns, Variant, VariantRows

PREDICTION_COLUMNS = ("reference", "prediction", "confidence")
COLUMNS = (*KEYS, *PREDICTION_COLUMNS, *SIMILARITY_COLUMNS)
"""Columns of records that images are chosen by."""

MOST_ERRORS = 16
MOST_PAIRS = 12
MOST_OF_PAIR = 2
MOST_MOVED = 4


@dataclass(frozen=True)
class WrongPrediction:
    """An image that was predicted wrongly: its sample id, its class, the predicted one, and the confidence in it."""

    sample_id: Any
    reference: int
    prediction: int
    confidence: float


@dataclass(frozen=True)
class ConfusedPair:
    """A class, the one it was taken for, how often, and some of these errors, the most confident first."""

    reference: int
    prediction: int
    n: int
    errors: tuple[WrongPrediction, ...]


@dataclass(frozen=True)
class MovedImage:
    """An image whose representation changes under transforms, and the transform that changes it most.

    Attributes:
        invariance: mean over the transforms of the image's share in chance-corrected invariance.
        variant: the transform with the least of it, and its severity.
        cosine: similarity of the image's representation before and after that transform.
        chance: similarity of that representation to those of other images.
    """

    sample_id: Any
    invariance: float
    variant: Variant
    cosine: float
    chance: float


def errors_of(rows: VariantRows) -> list[WrongPrediction]:
    """Return the errors among untransformed images by falling confidence; none without a prediction and confidence."""
    if not all(name in rows.columns for name in PREDICTION_COLUMNS):
        return []
    columns = [np.asarray(rows[name], dtype=np.float64) for name in PREDICTION_COLUMNS]
    wrong = np.flatnonzero(~np.isnan(np.stack(columns)).any(axis=0) & (columns[0] != columns[1]))
    order = wrong[np.argsort(-columns[2][wrong], kind="stable")]
    return [
        WrongPrediction(rows.sample_ids[at].item(), int(columns[0][at]), int(columns[1][at]), float(columns[2][at]))
        for at in order
    ]


def confused_pairs(errors: Sequence[WrongPrediction], most: int = MOST_PAIRS) -> list[ConfusedPair]:
    """Return the pairs of classes that are confused most often, with examples; equally frequent ones by confidence."""
    found: dict[tuple[int, int], list[WrongPrediction]] = {}
    for error in errors:
        found.setdefault((error.reference, error.prediction), []).append(error)
    pairs = sorted(found.items(), key=lambda item: (-len(item[1]), -item[1][0].confidence))
    return [ConfusedPair(*classes, len(of), tuple(of[:MOST_OF_PAIR])) for classes, of in pairs[:most]]


def pictured_errors(rows: VariantRows) -> list[WrongPrediction]:
    """Return the errors whose pictures are kept: the most confident ones, and some of each confused pair."""
    errors = errors_of(rows)
    chosen = [*errors[:MOST_ERRORS], *(error for pair in confused_pairs(errors) for error in pair.errors)]
    return list(dict.fromkeys(chosen))


def least_invariant(
    records: RecordColumns, not_label_preserving: Sequence[str], most: int = MOST_MOVED
) -> list[MovedImage]:
    """Return the images with the lowest invariance, lowest first, over the transforms of the overall mean.

    Images on which a transform is undefined, because it does not change them, are judged by the other transforms.
    """
    metric = METRICS["invariance"]
    members: list[tuple[Variant, VariantRows, NDArray[np.float64]]] = []
    for variant in records.moved:
        rows = records.of(variant)
        if not all(name in rows.filled for name in SIMILARITY_COLUMNS):
            continue
        values = rows.values_of(metric)
        if families_of(variant[0], int((~np.isnan(values)).sum()), tuple(not_label_preserving)):
            members.append((variant, rows, values))
    if not members:
        return []
    sample_ids = members[0][1].sample_ids
    members = [member for member in members if np.array_equal(member[1].sample_ids, sample_ids)]
    values = np.stack([of_variant for _, _, of_variant in members])
    defined = ~np.isnan(values)
    count = defined.sum(axis=0)
    mean = np.where(defined, values, 0.0).sum(axis=0) / np.maximum(count, 1)
    order = np.argsort(np.where(count > 0, mean, np.inf), kind="stable")[:most]
    found = []
    for at in order[count[order] > 0]:
        variant, rows, _ = members[int(np.nanargmin(values[:, at]))]
        cosine, chance = float(rows["cosine"][at]), float(rows["chance_cosine"][at])
        found.append(MovedImage(sample_ids[at].item(), float(mean[at]), variant, cosine, chance))
    return found
