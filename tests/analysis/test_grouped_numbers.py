"""An analysis of images in groups: records say each image's group, and intervals are over groups."""

import csv
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from whole_splits import features_of

from hf_sslgen.analysis.analysis_settings import AnalysisSettings
from hf_sslgen.analysis.backbone_analysis import adapted_analysis
from hf_sslgen.analysis.families import families_of
from hf_sslgen.analysis.grouped_numbers import over_groups
from hf_sslgen.analysis.numbers import Analysis
from hf_sslgen.analysis.predictions import prediction_analysis
from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.domains.domain_loading import Domain, load_domain
from hf_sslgen.geometry import Geometry
from hf_sslgen.hub.records_check import check_records
from hf_sslgen.metrics.catalogue.rows import METRICS
from hf_sslgen.metrics.clusters import (
    cluster_contributions,
    grouped_few_interval,
    grouped_mean_interval,
    grouped_share_interval,
)
from hf_sslgen.metrics.defined import spread_to_all
from hf_sslgen.training.evaluation import Predictions
from hf_sslgen.training.probes import fit_linear_probe
from hf_sslgen.zoo.backbone_loading import load_backbone, set_linear_classifier

SETTINGS = AnalysisSettings(max_subset=110, num_examples=2, batch_size=55)
PATIENTS = 22


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Domain:
    """Digits as a folder whose metadata.csv names patients: 22 with five test images each, and others for training."""
    digits = load_domain(DomainArguments("digits", samples_per_class=10, max_test_samples=5 * PATIENTS))
    root = tmp_path_factory.mktemp("scans")
    for name, split in (("train", digits.train), ("test", digits.test)):
        rows = []
        for position in range(len(split)):
            file = f"{digits.class_names[split.labels[position]]}/{position}.png"
            (root / name / file).parent.mkdir(parents=True, exist_ok=True)
            split.image(position).save(root / name / file)
            rows.append({"file_name": file, "patient": f"{name} {position % PATIENTS}"})
        with (root / name / "metadata.csv").open("w", newline="") as table:
            writer = csv.DictWriter(table, ["file_name", "patient"])
            writer.writeheader()
            writer.writerows(rows)
    return load_domain(DomainArguments(str(root), group_column_name="patient"))


@pytest.fixture(scope="module")
def analysis(scans: Domain, small_backbones: dict[str, str]) -> Analysis:
    backbone = load_backbone(
        small_backbones["timm_resnet"], scans.class_names, geometry=Geometry(96, None, "bilinear")
    )
    train = features_of(backbone, scans.train, 64)
    probe = fit_linear_probe(train, scans.train.labels, train, scans.train.labels, 10, grid=(0.01,))
    set_linear_classifier(backbone.model, torch.from_numpy(probe.weight), torch.from_numpy(probe.bias))
    return adapted_analysis(backbone, scans, "fine-tuned", SETTINGS, None)


def test_records_name_the_group_by_a_number(analysis: Analysis, scans: Domain, tmp_path: Path) -> None:
    records = analysis.records
    assert records["group_id"].dtype == np.int64 and set(records["group_id"]) == set(range(PATIENTS))
    of_image = dict(zip(scans.test.sample_ids.tolist(), scans.test.group_names(), strict=True))
    pairs = {(code, of_image[row]) for code, row in zip(records["group_id"], records["sample_id"], strict=True)}
    assert len(pairs) == PATIENTS
    records.to_parquet(tmp_path / "records.parquet", index=False)
    check_records(tmp_path / "records.parquet")
    assert b"test 3" not in (tmp_path / "records.parquet").read_bytes()


def test_intervals_are_over_groups(analysis: Analysis) -> None:
    numbers = {(each.metric, each.transform, each.severity): each for each in analysis.numbers}
    rows = analysis.records[analysis.records["transform"] == ""]
    groups = rows["group_id"].to_numpy()
    correct = rows["correct"].to_numpy(float)
    likelihoods = rows["negative_log_likelihood"].to_numpy(float)
    expected = {
        "accuracy": grouped_share_interval(correct, groups),
        "negative_log_likelihood": grouped_few_interval(likelihoods, correct == 0, groups, "are predicted wrongly"),
        "gini": grouped_mean_interval(rows["gini"].to_numpy(), groups),
    }
    for metric, (interval, reason) in expected.items():
        number = numbers[metric, "", ""]
        assert (number.low, number.high) == interval and number.reason == reason == "" and number.low < number.value
    of_groups = cluster_contributions(likelihoods, groups)
    assert of_groups.mean() == pytest.approx(numbers["negative_log_likelihood", "", ""].value)
    assert any(each.transform and not math.isnan(each.low) for each in analysis.numbers)


@pytest.mark.parametrize("name", ["mean", "mean_geometric"])
def test_a_family_mean_is_averaged_image_by_image(analysis: Analysis, scans: Domain, name: str) -> None:
    (family,) = (each for each in analysis.numbers if (each.metric, each.transform) == ("invariance", name))
    moved = analysis.records[analysis.records["transform"] != ""]
    members = [
        spread_to_all(METRICS["invariance"].values(rows))
        for (transform, _), rows in moved.groupby(["transform", "severity"])
        if name in families_of(str(transform), int(rows["cosine"].notna().sum()), scans.not_label_preserving)
    ]
    groups = moved["group_id"].to_numpy()[: len(members[0])]
    interval, _ = grouped_mean_interval(np.mean(members, axis=0), groups)
    assert [family.low, family.high] == pytest.approx(list(interval))
    assert family.value == pytest.approx(np.mean([values.mean() for values in members]))


def test_six_photographs_are_too_few(small_backbones: dict[str, str]) -> None:
    test = load_domain(DomainArguments("photo-patches")).test
    probabilities = np.random.default_rng(0).dirichlet(np.ones(6), len(test))
    predictions = Predictions.from_probabilities(test.sample_ids, test.labels, probabilities)
    numbers, records = prediction_analysis(predictions, 6, "pretrained")
    assert any(not math.isnan(each.low) for each in numbers)
    grouped = over_groups(Analysis(tuple(numbers), records), test)
    assert all(math.isnan(each.low) for each in grouped.numbers)
    found: dict[str, Any] = {each.metric: each for each in grouped.numbers}
    assert found["accuracy"].reason == "only 6 groups of images; an interval needs 10"
    assert [each.value for each in grouped.numbers if each.value == each.value] == [
        each.value for each in numbers if each.value == each.value
    ]


def test_images_without_groups_stay_as_they_are(digits_domain: Any) -> None:
    analysis = Analysis((), pd.DataFrame())
    assert over_groups(analysis, digits_domain.test) is analysis
