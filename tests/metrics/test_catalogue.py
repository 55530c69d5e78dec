"""Every row of the catalogue has what is needed of it, and numbers are listed nowhere else."""

import ast
import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import hf_sslgen
from hf_sslgen.metrics.catalogue import rows
from hf_sslgen.metrics.catalogue.measurement import measure
from hf_sslgen.metrics.catalogue.metric import Compared, Part, Role, Subject, Table
from hf_sslgen.metrics.catalogue.rows import METRICS, find_metric

PACKAGE = Path(hf_sslgen.__file__).parent
N, CLASSES = 40, 7
MADE_BY_THEIR_MEASUREMENT = {"headline_accuracy", "temperature", "lift_over_control"}


@dataclass(frozen=True, eq=False)
class Images:
    predictions: Any
    references: Any
    confidences: Any
    negative_log_likelihoods: Any
    brier_scores: Any
    top_5_credits: Any

    @property
    def correct(self) -> Any:
        return self.predictions == self.references


def arguments_of(subject: Subject) -> tuple[Any, ...]:
    rng = np.random.default_rng(0)
    predictions, references = rng.integers(0, CLASSES, (2, N))
    maps, other_maps = rng.normal(size=(2, N, 4, 4))
    features = rng.normal(size=(N, 8))
    moved = features + rng.normal(size=(N, 8))
    images = Images(predictions, references, *rng.random((4, N)))
    return {
        Subject.PREDICTIONS: (images, CLASSES),
        Subject.MAPS: (maps,),
        Subject.OBJECTS: (maps, rng.random((N, 4, 4))),
        Subject.RANDOMISED: (maps, other_maps),
        Subject.TRANSFORMED: (features, moved, None, np.zeros(N, dtype=bool)),
        Subject.CHANGED_FEATURES: (features, moved),
        Subject.CHANGED_PREDICTIONS: (predictions, references),
        Subject.ENCODER: (features, "pretrained"),
    }[subject]


@pytest.mark.parametrize("name", METRICS)
def test_a_row_yields_its_number_and_columns(name: str) -> None:
    metric = METRICS[name]
    if metric.measured is None:
        assert name in MADE_BY_THEIR_MEASUREMENT
        return
    arguments = arguments_of(metric.measured.subject)
    found = measure(metric.measured.subject, *arguments, part=metric.measured.part)
    assert np.isfinite(found.estimates[name].value) and found.estimates[name].n == N
    assert found.num_undefined[name] < N
    for column in metric.columns:
        values = found.columns[column.name]
        assert len(values) == N
        assert ((column.low <= values) & (values <= column.high) | np.isnan(values)).all()
    if metric.is_column_mean:
        assert found.estimates[name].value == pytest.approx(np.nanmean(found.columns[metric.columns[0].name]))
    if isinstance(metric.compared, Compared):
        records = {**found.columns, "correct": found.columns.get("correct"), "stage": ["pretrained"] * N}
        assert set(metric.compared_columns) <= records.keys()
        if metric.name != "mean_per_class_accuracy":  # whose interval weighs images by their class
            assert np.nanmean(metric.values(records)) == pytest.approx(found.estimates[name].value)


@pytest.mark.parametrize("name", METRICS)
def test_a_row_says_all_that_lists_need(name: str) -> None:
    metric = METRICS[name]
    assert metric.name == name and metric.words.title and metric.words.phrase
    assert metric.explanation.title and metric.explanation.text
    assert isinstance(metric.compared, Compared) or metric.compared, "it is neither compared nor is there a reason"
    if isinstance(metric.compared, Compared):
        assert metric.columns or metric.compared.columns
    if metric.role is not Role.FURTHER and name != rows.HEADLINE_ACCURACY:
        assert isinstance(metric.compared, Compared)
    if metric.beside:
        assert metric.beside in METRICS
    if metric.scaled_in_details:
        assert metric.scaled
    stands = (name in rows.detail_names(), metric in rows.measurement_metrics(), name in rows.transform_names())
    assert stands[0] == (metric.table is Table.DETAILS) or stands[2]
    assert stands[1] == (metric.table is Table.MEASUREMENTS)
    assert any(stands) or metric.table is Table.NONE
    assert metric.explanation in rows.explanations_of(tuple(Part), ())


def test_no_two_numbers_have_one_name_title_or_place() -> None:
    titles = [metric.words.title for name, metric in METRICS.items() if name != rows.HEADLINE_ACCURACY]
    assert len(titles) == len(set(titles))
    places = [metric.card_place for metric in METRICS.values() if metric.card_place is not None]
    assert sorted(places) == list(range(1, len(places) + 1)) and len(rows.card_names()) == len(places)
    with pytest.raises(ValueError, match="two rows of the catalogue are named 'gini'"):
        rows._by_name((METRICS["gini"], dataclasses.replace(METRICS["gini"])))


def test_variants_are_named_after_the_number_they_are_of() -> None:
    scaled, control = find_metric("brier_score_after_temperature"), find_metric("control_gini")
    assert scaled is not None and scaled.words.title == "Brier score after temperature scaling"
    assert control is not None and control.part is Part.CONTROL and control.words.scale == 1
    assert find_metric("brier") is None and find_metric("control_brier") is None


def test_numbers_are_listed_in_the_catalogue_alone() -> None:
    """Outside `metrics`, whose functions name their own results, and of the modules for `evaluate`."""
    listed = []
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.relative_to(PACKAGE).parts[0] in ("metrics", "evaluate_modules"):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Tuple | ast.List | ast.Set):
                parts = list(node.elts)
            elif isinstance(node, ast.Dict):
                parts = [part for part in (*node.keys, *node.values) if part is not None]
            else:
                continue
            names = [part.value for part in parts if isinstance(part, ast.Constant) and part.value in METRICS]
            if len(names) > 1:
                listed.append(f"{path.relative_to(PACKAGE)}:{node.lineno} lists {', '.join(names)}")
    assert listed == []
