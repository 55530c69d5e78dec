"""The details of a cell for a page, against scikit-learn, plain counting and the cell's stored numbers."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fake_study import CLASS_NAMES, Study, build_large_study
from scipy.stats import binomtest
from sklearn.metrics import confusion_matrix

from hf_sslgen.analysis.numbers import Analysis, Number
from hf_sslgen.reporting.page.cell_details import MATRIX_UP_TO, MOST_CLASSES, MOST_PAIRS, cell_details
from hf_sslgen.study.cells.cell_folder import Cell, read_cell, write_cell
from hf_sslgen.study.cells.held_records import RecordsInColumns, RecordsInMemory
from hf_sslgen.study.cells.record_columns import RecordColumns


@pytest.fixture(scope="module")
def linear(study: Study) -> Cell:
    return next(cell for cell in study.cells if cell.protocol == "linear")


@pytest.fixture(scope="module")
def records(linear: Cell) -> pd.DataFrame:
    return linear.records()


def exact_interval(right: float, n: int) -> list[float]:
    """Clopper and Pearson's, by SciPy."""
    return list(binomtest(int(right), n).proportion_ci(method="exact"))


def close(found: list[float], expected: list[float]) -> None:
    np.testing.assert_allclose(found, expected, atol=5.1e-5)


def test_the_confusion_matrix_is_that_of_scikit_learn(linear: Cell, records: pd.DataFrame) -> None:
    confusion = cell_details(linear)["confusion"]
    expected = confusion_matrix(records["reference"], records["prediction"], labels=range(len(CLASS_NAMES)))
    assert confusion["classes"] == list(CLASS_NAMES)
    assert confusion["matrix"] == expected.tolist()
    assert confusion["n_errors"] == expected.sum() - np.trace(expected)
    off = expected - np.diag(np.diag(expected))
    assert confusion["n_pairs"] == np.count_nonzero(off)
    assert [pair["n"] for pair in confusion["pairs"]] == sorted(off[off > 0].tolist(), reverse=True)
    for pair in confusion["pairs"]:
        assert pair["n"] == off[pair["reference"], pair["prediction"]]


def test_classes_have_their_accuracy_with_an_exact_interval(linear: Cell, records: pd.DataFrame) -> None:
    details = cell_details(linear)
    assert details["n_classes"] == len(CLASS_NAMES) and details["n"] == len(records)
    for index, row in enumerate(details["per_class"]):
        own = records[records["reference"] == index]
        right = int((own["prediction"] == index).sum())
        assert (row["name"], row["n"], row["right"]) == (CLASS_NAMES[index], len(own), right)
        close(row["interval"], exact_interval(right, len(own)))


def test_reliability_has_every_filled_bin_and_the_stored_errors(linear: Cell, records: pd.DataFrame) -> None:
    reliability = cell_details(linear)["reliability"]
    for part, column in ((reliability, "confidence"), (reliability["scaled"], "confidence_after_temperature")):
        binned = records.groupby(np.ceil(records[column] * 15).clip(lower=1))
        assert [row["n"] for row in part["bins"]] == binned.size().tolist()
        close([row["high"] for row in part["bins"]], [bin_number / 15 for bin_number in binned.groups])
        close([row["confidence"] for row in part["bins"]], binned[column].mean().tolist())
        close([row["accuracy"] for row in part["bins"]], binned["correct"].mean().tolist())
        for row, right in zip(part["bins"], binned["correct"].sum(), strict=True):
            close(row["interval"], exact_interval(right, row["n"]))
    for name, metric in (("ece", "expected_calibration_error"), ("ece_if_calibrated", "ece_if_calibrated")):
        stored = linear.number(metric)
        assert stored is not None and reliability[name] == stored.value
    temperature = linear.number("temperature")
    assert temperature is not None and reliability["scaled"]["temperature"] == temperature.value


def test_the_curve_is_exact_at_its_points(linear: Cell, records: pd.DataFrame) -> None:
    found = cell_details(linear)["risk_coverage"]
    confidence, wrong = records["confidence"].to_numpy(), 1 - records["correct"].to_numpy()
    assert found["points"][-1] == {"coverage": 1.0, "risk": round(wrong.mean(), 4)}
    assert 10 < len(found["points"]) <= 21
    for point in found["points"]:
        kept = np.argsort(-confidence, kind="stable")[: round(point["coverage"] * len(records))]
        close([point["risk"]], [wrong[kept].mean()])


def test_invariance_is_what_is_stored(study: Study) -> None:
    cell = next(cell for cell in study.cells if cell.protocol == "pretrained")
    details = cell_details(cell)
    stored = {(n.transform, n.severity): n for n in cell.numbers if n.metric == "invariance"}
    assert {(row["transform"], row["severity"]) for row in details["invariance"]} == set(stored)
    assert [row["transform"] for row in details["invariance"][:3]] == ["mean", "mean_geometric", "mean_appearance"]
    for row in details["invariance"]:
        number = stored[row["transform"], row["severity"]]
        close([row["value"], *row["interval"]], [number.value, number.low, number.high])
        assert row["n"] == number.n
    assert not {"confusion", "reliability", "risk_coverage", "errors"} & set(details)


def test_episodes_have_no_details_of_images(tmp_path: Path) -> None:
    cells = build_large_study(tmp_path, domains_per_group=1)
    for cell in cells:
        details = cell_details(cell)
        json.dumps(details, allow_nan=False)
        if cell.protocol == "few-shot":
            assert set(details) == {"n"}


@pytest.fixture(scope="module")
def many_classes(tmp_path_factory: pytest.TempPathFactory) -> Cell:
    """A thousand classes, some missing, with hostile names; predictions of classes that do not exist."""
    generator = np.random.default_rng(0)
    n, classes = 5000, 1000
    reference = generator.integers(0, 900, n)
    prediction = np.where(generator.random(n) < 0.4, reference, generator.integers(0, classes, n))
    prediction[:40] = reference[:40] = 7
    prediction[:25] = 8
    prediction[100] = 5000
    frame = pd.DataFrame(
        {
            "sample_id": np.arange(n),
            "stage": "pretrained",
            "transform": "",
            "severity": "",
            "reference": reference,
            "prediction": prediction,
            "correct": (reference == prediction).astype(float),
            "confidence": generator.random(n),
            "group_id": generator.integers(0, 50, n),
        }
    )
    names = [f"</script><b>{index}" for index in range(classes)]
    identity = {"backbone": "b", "domain": "d", "protocol": "linear", "labels": "100%", "seed": 0}
    provenance = {"objective": "simclr", "group": "similar", "seconds": 1.0}
    provenance |= {"class_names": names, "not_label_preserving": []}
    folder = tmp_path_factory.mktemp("many") / "cell"
    numbers = (Number("accuracy", float(frame["correct"].mean()), n=n),)
    write_cell(folder, identity, provenance, Analysis(numbers, frame))
    return read_cell(folder)


def test_many_classes_are_bounded_and_counted(many_classes: Cell) -> None:
    details = cell_details(many_classes)
    confusion = details["confusion"]
    assert "matrix" not in confusion and len(confusion["pairs"]) == MOST_PAIRS
    assert len(confusion["classes"]) <= 2 * MOST_PAIRS
    first = confusion["pairs"][0]
    assert (confusion["classes"][first["reference"]], first["n"]) == ("</script><b>7", 25)
    assert confusion["classes"][first["prediction"]] == "</script><b>8"
    frame = many_classes.records().query("prediction < 1000")
    wrong = frame[frame["reference"] != frame["prediction"]]
    assert confusion["n_errors"] == len(wrong)
    assert confusion["n_pairs"] == len(wrong[["reference", "prediction"]].drop_duplicates())
    assert details["n_classes"] == frame["reference"].nunique()
    rates = [row["right"] / row["n"] for row in details["per_class"]]
    assert len(rates) == MOST_CLASSES and rates == sorted(rates)
    worst = frame.assign(right=frame["reference"] == frame["prediction"]).groupby("reference")["right"].mean()
    assert max(rates) <= worst.sort_values().iloc[MOST_CLASSES]
    assert len(json.dumps(details)) < 12_000
    assert MATRIX_UP_TO < 1000


def test_a_confidence_below_one_is_not_rounded_to_it(many_classes: Cell) -> None:
    records = many_classes.records()
    wrong = records.index[records["reference"] != records["prediction"]]
    records.loc[wrong[0], "confidence"], records.loc[wrong[1], "confidence"] = 0.999999, 1.0
    found = cell_details(replace(many_classes, reader=RecordsInMemory(records)))
    assert [error["confidence"] for error in found["errors"][:2]] == [1.0, 0.9999]


def test_images_in_groups_get_no_intervals_over_images(many_classes: Cell) -> None:
    details = cell_details(many_classes)
    assert not any("interval" in row for row in details["per_class"] + details["reliability"]["bins"])


def test_a_cell_without_class_names_or_records_of_images(linear: Cell) -> None:
    nameless = replace(linear, provenance={**linear.provenance, "class_names": []})
    assert "confusion" not in cell_details(nameless) and "reliability" in cell_details(nameless)
    empty = replace(linear, reader=RecordsInColumns(RecordColumns({}, ())))
    assert cell_details(empty) == {"n": 0}
