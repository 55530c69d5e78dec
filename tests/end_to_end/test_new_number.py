"""One row of the catalogue and one function put a number in records, results, comparisons, page and glossary."""

import html
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from fake_study import SELF_SUPERVISED, SUPERVISED, provenance_of
from numpy.typing import NDArray

from hf_sslgen.analysis.analysis_settings import AnalysisSettings
from hf_sslgen.analysis.backbone_analysis import adapted_analysis
from hf_sslgen.geometry import Geometry
from hf_sslgen.metrics.catalogue.metric import (
    Compared,
    Explanation,
    Measured,
    Metric,
    MetricWords,
    Paired,
    Part,
    RecordColumn,
    Subject,
)
from hf_sslgen.metrics.catalogue.prediction_functions import PredictedImages
from hf_sslgen.metrics.catalogue.rows import METRICS
from hf_sslgen.metrics.results import MetricResult
from hf_sslgen.reporting.study_report import write_study_report
from hf_sslgen.study.cells.cell_folder import cell_folder, read_cells, write_cell
from hf_sslgen.study.cells.cell_records import require_consistent
from hf_sslgen.zoo.anatomy import find_classifier
from hf_sslgen.zoo.backbone_loading import load_backbone

SETTINGS = AnalysisSettings(max_subset=24, num_examples=2, batch_size=16)


@dataclass(frozen=True, eq=False)
class MeanResult(MetricResult):
    mean: float
    n: int
    per_sample_value: NDArray[np.float64]
    reason: str = ""


def mean_of(values: NDArray[np.float64]) -> MeanResult:
    return MeanResult(float(values.mean()), len(values), values)


def strongest_cell(maps: NDArray[np.float32]) -> MeanResult:
    flat = np.maximum(maps, 0).reshape(len(maps), -1).astype(float)
    return mean_of(flat.max(axis=1) / flat.sum(axis=1).clip(min=1e-12))


def squared_confidence(images: PredictedImages, num_classes: int) -> MeanResult:
    return mean_of(images.confidences**2)


def displacement(features: NDArray[np.float32], moved: NDArray[np.float32]) -> MeanResult:
    return mean_of(np.linalg.norm(features.astype(float) - moved, axis=1))


def row_of(name: str, title: str, part: Part, subject: Subject, function: Any, **options: Any) -> Metric:
    return Metric(
        name,
        MetricWords(title, title.lower()),
        part,
        Explanation(f"About {name}", f"What {title.lower()} means."),
        better=None,
        measured=Measured(subject, function, "mean"),
        columns=(RecordColumn(name, "per_sample_value"),),
        **options,
    )


NEW = (
    row_of(
        *("strongest_cell", "Strongest cell", Part.CONCENTRATION, Subject.MAPS, strongest_cell),
        compared=Compared(Paired.MEAN),
    ),
    row_of(
        *("squared_confidence", "Squared confidence", Part.CONFIDENCE, Subject.PREDICTIONS, squared_confidence),
        compared=Compared(Paired.MEAN),
    ),
    row_of(
        *("displacement", "Displacement", Part.INVARIANCE, Subject.CHANGED_FEATURES, displacement),
        compared="features of two networks have no common scale",
    ),
)


def test_one_row_and_one_function_are_enough(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, small_backbones: dict[str, str], digits_domain: Any
) -> None:
    for row in NEW:
        monkeypatch.setitem(METRICS, row.name, row)
    analyses = {}
    for index, twin in enumerate((SUPERVISED, SELF_SUPERVISED)):
        backbone = load_backbone(
            small_backbones["timm_resnet"], digits_domain.class_names, geometry=Geometry(32, None, "bilinear")
        )
        with torch.random.fork_rng(devices=[]), torch.no_grad():
            torch.manual_seed(index)
            find_classifier(backbone.model)[1].weight.normal_(std=0.3)
        analysis = adapted_analysis(backbone, digits_domain, "fine-tuned", SETTINGS, validation=None)
        identity = {"backbone": twin.name, "domain": "digits", "protocol": "finetune", "labels": "100%", "seed": 0}
        provenance = provenance_of(twin, "different", list(digits_domain.class_names))
        write_cell(cell_folder(tmp_path / "store", identity), identity, provenance, analysis)
        analyses[twin.name] = analysis
    cells = list(read_cells(tmp_path / "store"))
    page = write_study_report(cells, tmp_path).read_text(encoding="utf-8")

    results, comparisons = (pd.read_csv(tmp_path / f"{name}.csv") for name in ("results", "comparisons"))
    for row in NEW:
        stored = results[(results["metric"] == row.name) & (results["kind"] == "cell")]
        assert set(stored["backbone"]) == set(analyses)
        differences = comparisons[(comparisons["metric"] == row.name) & (comparisons["kind"] == "difference")]
        assert len(differences) == isinstance(row.compared, Compared)
        assert row.words.title in page
        assert row.explanation.title in page and html.escape(row.explanation.text) in page
        if isinstance(row.compared, Compared):
            means = {cell.backbone: cell.records()[row.name].mean() for cell in cells}
            (value,) = differences["value"]
            assert value == pytest.approx(means[SELF_SUPERVISED.name] - means[SUPERVISED.name])
            for of_cell in stored.itertuples():
                assert of_cell.value == pytest.approx(means[of_cell.backbone])
    for cell in cells:
        require_consistent(cell)  # the check of cells from elsewhere knows the new columns too
        moved = cell.records()[lambda records: records["transform"] == "rotation"]
        assert moved["displacement"].notna().all() and (moved["displacement"] > 0).all()
