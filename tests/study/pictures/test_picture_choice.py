"""Which images of a cell are shown, against a plain search through the records."""

import numpy as np
import pandas as pd
import pytest

from hf_sslgen.metrics.comparison import invariance_values
from hf_sslgen.study.cells.record_columns import RecordColumns
from hf_sslgen.study.cells.record_files import columns_of_frame
from hf_sslgen.study.pictures.picture_choice import (
    MOST_ERRORS,
    MOST_MOVED,
    MOST_OF_PAIR,
    confused_pairs,
    errors_of,
    least_invariant,
    pictured_errors,
)

IMAGES, CLASSES = 200, 4
VARIANTS = (("rotation", "+20"), ("vertical_flip", ""), ("jpeg", "30"), ("pair", ""))


@pytest.fixture(scope="module")
def records() -> pd.DataFrame:
    """Predictions without confidence for some images, and similarities that a flip of some images leaves undefined."""
    generator = np.random.default_rng(0)
    clean = pd.DataFrame(
        {
            "sample_id": generator.permutation(1000)[:IMAGES],
            "stage": "pretrained",
            "transform": "",
            "severity": "",
            "reference": generator.integers(0, CLASSES, IMAGES),
            "prediction": generator.integers(0, CLASSES, IMAGES),
            "confidence": generator.random(IMAGES).round(2),
        }
    )
    clean.loc[:5, "confidence"] = np.nan
    moved = [
        clean[["sample_id", "stage", "reference"]].assign(
            transform=transform,
            severity=severity,
            cosine=generator.uniform(0.2, 1, IMAGES),
            chance_cosine=generator.uniform(0, 0.2, IMAGES),
            candidate_chance_cosine=generator.uniform(0, 0.2, IMAGES),
        )
        for transform, severity in VARIANTS
    ]
    columns = ["cosine", "chance_cosine", "candidate_chance_cosine"]
    moved[2].loc[:20, columns] = np.nan
    return pd.concat([clean, *moved], ignore_index=True)


@pytest.fixture(scope="module")
def columns(records: pd.DataFrame) -> RecordColumns:
    return columns_of_frame(records)


def test_errors_come_surest_first_and_need_a_confidence(records: pd.DataFrame, columns: RecordColumns) -> None:
    clean = records[records["transform"] == ""]
    wrong = clean[(clean["reference"] != clean["prediction"]) & clean["confidence"].notna()]
    expected = wrong.sort_values(["confidence", "sample_id"], ascending=[False, True])
    found = errors_of(columns.clean)
    assert [error.sample_id for error in found] == expected["sample_id"].tolist()
    assert [error.confidence for error in found] == expected["confidence"].tolist()
    assert [(error.reference, error.prediction) for error in found] == [
        (int(row.reference), int(row.prediction)) for row in expected.itertuples()
    ]


def test_pairs_are_counted_and_give_their_surest_errors(records: pd.DataFrame, columns: RecordColumns) -> None:
    errors = errors_of(columns.clean)
    pairs = confused_pairs(errors, most=5)
    counts = pd.Series([(error.reference, error.prediction) for error in errors]).value_counts()
    assert [pair.n for pair in pairs] == counts.tolist()[:5]
    for pair in pairs:
        assert counts[(pair.reference, pair.prediction)] == pair.n
        own = [error for error in errors if (error.reference, error.prediction) == (pair.reference, pair.prediction)]
        assert list(pair.errors) == own[:MOST_OF_PAIR]


def test_kept_pictures_are_few_and_include_the_surest_errors(columns: RecordColumns) -> None:
    errors, kept = errors_of(columns.clean), pictured_errors(columns.clean)
    assert kept[:MOST_ERRORS] == errors[:MOST_ERRORS]
    assert len(kept) == len(set(kept)) < len(errors)
    assert {(e.reference, e.prediction) for e in kept} == {(e.reference, e.prediction) for e in errors}


def test_the_least_invariant_images_and_their_worst_transform(records: pd.DataFrame, columns: RecordColumns) -> None:
    """Transforms that change labels, and real pairs, do not count."""
    values = {}
    for transform, severity in (("rotation", "+20"), ("jpeg", "30")):
        rows = records[records["transform"] == transform].set_index("sample_id").sort_index()
        names = ("cosine", "chance_cosine", "candidate_chance_cosine")
        values[transform, severity] = pd.Series(invariance_values(*(rows[name] for name in names)), rows.index)
    by_image = pd.DataFrame(values)
    expected = by_image.mean(axis=1).sort_values(kind="stable")[:MOST_MOVED]
    found = least_invariant(columns, ["vertical_flip"])
    assert [image.sample_id for image in found] == expected.index.tolist()
    np.testing.assert_allclose([image.invariance for image in found], expected.to_numpy())
    cosine = records.set_index(["sample_id", "transform"])["cosine"]
    for image in found:
        assert image.variant == by_image.loc[image.sample_id].idxmin()
        assert image.cosine == cosine[image.sample_id, image.variant[0]]


def test_records_without_predictions_or_transforms_choose_nothing(records: pd.DataFrame) -> None:
    episodes = pd.DataFrame(
        {"sample_id": range(3), "stage": "pretrained", "transform": "", "severity": "", "correct": [0.5, 1, 0]}
    )
    assert pictured_errors(columns_of_frame(episodes).clean) == []
    assert least_invariant(columns_of_frame(episodes), []) == []
    moved = records[records["transform"] != ""].drop(columns=["prediction", "confidence"])
    assert errors_of(columns_of_frame(moved).clean) == []
