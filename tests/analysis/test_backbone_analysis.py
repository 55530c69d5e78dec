"""Stored numbers recomputed from records, features and maps, on the embedded digits with small networks."""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from encoding import encode
from numpy.typing import NDArray
from scipy import stats
from whole_splits import features_of

from hf_sslgen.analysis.analysis_settings import AnalysisSettings
from hf_sslgen.analysis.backbone_analysis import adapted_analysis, pretrained_analysis, validation_logits
from hf_sslgen.analysis.batch_pass import transformed
from hf_sslgen.analysis.families import GEOMETRIC
from hf_sslgen.analysis.network import measuring
from hf_sslgen.analysis.numbers import Analysis, Number
from hf_sslgen.analysis.predictions import prediction_analysis
from hf_sslgen.analysis.subset import analysis_subset, subset_pixels
from hf_sslgen.analysis.transforms import VARIANTS, Variant
from hf_sslgen.geometry import Geometry
from hf_sslgen.preprocessing import normalise
from hf_sslgen.training.evaluation import Predictions
from hf_sslgen.training.probes import fit_linear_probe
from hf_sslgen.zoo.backbone_loading import LoadedBackbone, load_backbone, set_linear_classifier

SETTINGS = AnalysisSettings(max_subset=24, num_examples=5, batch_size=7)


@dataclass(frozen=True)
class Measured:
    backbone: LoadedBackbone
    domain: Any
    analysis: Analysis

    @property
    def clean(self) -> pd.DataFrame:
        return self.analysis.records[self.analysis.records["transform"] == ""].set_index("sample_id")

    def moved(self, transform: str) -> pd.DataFrame:
        records = self.analysis.records
        return records[records["transform"] == transform].set_index("sample_id")

    def number(self, metric: str, transform: str = "") -> Number:
        (found,) = (n for n in self.analysis.numbers if (n.metric, n.transform) == (metric, transform))
        return found

    def has(self, transform: str) -> bool:
        return any(n.transform == transform for n in self.analysis.numbers)


def with_probe(folder: str, domain: Any, side: int) -> LoadedBackbone:
    backbone = load_backbone(folder, domain.class_names, geometry=Geometry(side, None, "bilinear"))
    train = features_of(backbone, domain.train, 64)
    probe = fit_linear_probe(train, domain.train.labels, train, domain.train.labels, 10, grid=(0.01,))
    set_linear_classifier(backbone.model, torch.from_numpy(probe.weight), torch.from_numpy(probe.bias))
    return backbone


@pytest.fixture(scope="module")
def tuned(small_backbones: dict[str, str], digits_domain: Any) -> Measured:
    """A network with a classifier for the digits, measured as if fine-tuned."""
    backbone = with_probe(small_backbones["timm_resnet"], digits_domain, side=96)
    validation = validation_logits(backbone, digits_domain, SETTINGS)
    analysis = adapted_analysis(backbone, digits_domain, "fine-tuned", SETTINGS, validation)
    return Measured(backbone, digits_domain, analysis)


@pytest.fixture(scope="module")
def published(small_backbones: dict[str, str], digits_domain: Any) -> Measured:
    """A network as published, under a preset some of whose transforms leave gray images alone."""
    backbone = load_backbone(small_backbones["timm_vit"], digits_domain.class_names)
    settings = replace(SETTINGS, transforms="standard")
    return Measured(backbone, digits_domain, pretrained_analysis(backbone, digits_domain, settings))


def unit(features: NDArray[np.float32]) -> NDArray[np.float64]:
    values = features.astype(np.float64)
    return values / np.linalg.norm(values, axis=1, keepdims=True)


def test_accuracy_and_confidence_follow_from_the_records(tuned: Measured) -> None:
    rows = tuned.clean
    assert list(rows.index) == list(tuned.domain.test.sample_ids)
    correct = rows["prediction"] == rows["reference"]
    assert (rows["correct"] == correct).all()
    assert 0.1 < correct.mean() < 1
    expected = {
        "accuracy": correct.mean(),
        "mean_per_class_accuracy": correct.groupby(rows["reference"]).mean().mean(),
        "mean_confidence": rows["confidence"].mean(),
        "confidence_gap": rows["confidence"].mean() - correct.mean(),
        "negative_log_likelihood": rows["negative_log_likelihood"].mean(),
        "brier_score": rows["brier_score"].mean(),
    }
    for metric, value in expected.items():
        number = tuned.number(metric)
        assert number.value == pytest.approx(value), metric
        assert (number.n, number.n_undefined, number.stage) == (40, 0, "fine-tuned")
        too_few = metric == "mean_per_class_accuracy"  # four images of a class
        if metric in ("confidence_gap", "negative_log_likelihood", "brier_score"):
            too_few = min(correct.sum(), (~correct).sum()) < 10
        if metric == "mean_confidence":
            too_few = (rows["confidence"] <= 0.95).sum() < 10
        if too_few:  # for an interval that covers
            assert math.isnan(number.low) and math.isnan(number.high)
        else:
            assert number.low < number.value < number.high


def test_mean_per_class_accuracy_has_an_interval_where_no_class_is_rare() -> None:
    references = np.repeat(np.arange(3), 20)
    probabilities = np.random.default_rng(0).dirichlet(np.ones(3), 60)
    predictions = Predictions.from_probabilities(np.arange(60), references, probabilities)
    found = {number.metric: number for number in prediction_analysis(predictions, 3, "pretrained")[0]}
    per_class = found["mean_per_class_accuracy"]
    assert per_class.low < per_class.value < per_class.high
    right, wrong = found["mean_confidence_correct"], found["mean_confidence_incorrect"]
    assert (right.n + wrong.n, right.n_undefined) == (60, wrong.n)


@pytest.mark.parametrize("num_wrong", [0, 1, 9])
def test_mean_per_class_accuracy_keeps_its_interval_with_few_wrong_predictions(num_wrong: int) -> None:
    references = np.repeat(np.arange(3), 20)
    predicted = np.where(np.arange(60) < num_wrong, (references + 1) % 3, references)
    predictions = Predictions.from_probabilities(np.arange(60), references, 0.1 + 0.7 * np.eye(3)[predicted])
    found = {number.metric: number for number in prediction_analysis(predictions, 3, "pretrained")[0]}
    expected = stats.binomtest(60 - num_wrong, 60).proportion_ci(0.95, method="exact")
    per_class = found["mean_per_class_accuracy"]
    assert (per_class.low, per_class.high) == pytest.approx((expected.low, expected.high))


def test_the_calibration_error_is_that_of_fifteen_bins_and_has_no_interval(tuned: Measured) -> None:
    rows, error, null = tuned.clean, 0.0, 0.0
    for index in range(15):
        inside = (rows["confidence"] > index / 15) & (rows["confidence"] <= (index + 1) / 15)
        p, y = rows["confidence"][inside], rows["correct"][inside].astype(float)
        if len(p):
            error += len(p) / len(rows) * abs(y.mean() - p.mean())
            shares = np.ones(1)
            for probability in p:
                shares = np.convolve(shares, [1 - probability, probability])
            null += np.abs(np.arange(len(shares)) - p.sum()) @ shares / len(rows)
    for metric, value in (("expected_calibration_error", error), ("ece_if_calibrated", null)):
        assert tuned.number(metric).value == pytest.approx(value)
        assert math.isnan(tuned.number(metric).low)
        assert math.isnan(tuned.number(metric).high)


def test_concentration_follows_from_the_records_and_the_maps(tuned: Measured) -> None:
    rows, examples = tuned.clean, tuned.analysis.examples
    in_subset = rows["zero_map"].notna()
    subset = analysis_subset(tuned.domain.test, SETTINGS)
    assert list(rows.index[in_subset]) == list(subset.sample_ids)
    defined = rows["gini"].notna()
    assert (rows["zero_map"][in_subset] == ~defined[in_subset]).all()
    for metric in ("gini", "spatial_spread"):
        number = tuned.number(metric)
        assert number.value == pytest.approx(rows[metric].dropna().mean())
        assert (number.n, number.n_undefined) == (defined.sum(), 24 - defined.sum())
        assert math.isnan(number.low)  # of fewer than 100 images
    assert tuned.number("zero_map_rate").value == pytest.approx(rows["zero_map"].mean())
    assert examples is not None
    assert examples["images"].shape == (5, 96, 96, 3)
    assert set(examples["sample_ids"]) <= set(subset.sample_ids)
    for sample_id, attribution in zip(examples["sample_ids"], examples["maps"], strict=True):
        mass = np.maximum(attribution.astype(np.float64), 0).ravel()
        if mass.any():
            gini = np.abs(mass[:, None] - mass).sum() / (2 * len(mass) * mass.sum())
            assert rows["gini"][sample_id] == pytest.approx(gini)


def test_the_predicted_class_is_attributed(tuned: Measured) -> None:
    examples = tuned.analysis.examples
    assert examples is not None
    classifier = tuned.backbone.model.timm_model.get_classifier()
    entering: list[torch.Tensor] = []
    handle = tuned.backbone.model.timm_model.global_pool.register_forward_pre_hook(lambda _, x: entering.append(x[0]))
    images = torch.from_numpy(examples["images"]).permute(0, 3, 1, 2)
    with torch.no_grad():
        tuned.backbone.model(pixel_values=normalise(images, tuned.backbone.preprocessing))
    handle.remove()
    predicted = torch.tensor(tuned.clean["prediction"][examples["sample_ids"]].astype(int).tolist())
    assert len(predicted.unique()) > 1
    weight = (classifier.weight - classifier.weight.mean(0)).detach()[predicted]
    expected = torch.einsum("bd,bdhw->bhw", weight, entering[0]) / 9
    np.testing.assert_allclose(examples["maps"], expected.numpy(), atol=1e-5 * float(expected.abs().max()))


def test_a_grid_of_one_cell_has_a_gini_but_no_spread(small_backbones: dict[str, str], digits_domain: Any) -> None:
    backbone = with_probe(small_backbones["timm_resnet"], digits_domain, side=32)
    analysis = adapted_analysis(backbone, digits_domain, "pretrained", SETTINGS, validation=None)
    measured = Measured(backbone, digits_domain, analysis)
    spread, gini = measured.number("spatial_spread"), measured.number("gini")
    assert math.isnan(spread.value)
    assert (spread.n, spread.n_undefined, spread.reason) == (0, 24, "a 1 x 1 grid has no spread")
    assert (gini.value, gini.reason) == (0, "")
    assert not any(n.metric == "invariance" for n in analysis.numbers)
    assert (analysis.records["transform"] == "").all()


def test_invariance_follows_from_the_records(tuned: Measured) -> None:
    for transform, severity in [("rotation", "+20"), ("contrast", "0.7"), ("jpeg", "30")]:
        rows, number = tuned.moved(transform), tuned.number("invariance", transform)
        assert (rows["severity"] == severity).all()
        cosine, chance = rows["cosine"].mean(), rows["chance_cosine"].mean()
        assert tuned.number("cosine", transform).value == pytest.approx(cosine)
        assert tuned.number("chance_cosine", transform).value == pytest.approx(chance)
        assert number.value == pytest.approx((cosine - chance) / (1 - chance))
        assert tuned.number("recall_at_1", transform).value == pytest.approx(rows["recall_at_1"].mean())
        assert math.isnan(number.low) and math.isnan(number.high)  # 24 images are too few for an interval of a ratio
        assert (number.n, number.stage, number.severity) == (24, "fine-tuned", severity)


@pytest.mark.parametrize("within_class", [True, False], ids=["fine-tuned", "pretrained"])
def test_chance_pairs_are_other_images_of_the_class_once_fine_tuned(
    within_class: bool, tuned: Measured, published: Measured
) -> None:
    measured = tuned if within_class else published
    subset = analysis_subset(measured.domain.test, SETTINGS)
    pixels = subset_pixels(measured.backbone, subset)
    variant = VARIANTS["rotation", "+20"]
    moved = variant(pixels.float() / 255, subset.sample_ids.tolist(), SETTINGS.seed)
    clean, turned = (unit(encode(measured.backbone, images, 64)) for images in (pixels, moved))
    similarity = clean @ turned.T
    rows = measured.moved("rotation")
    rows = rows[rows["severity"] == "+20"]
    best = []
    for index, label in enumerate(subset.labels):
        others = [
            similarity[index, other]
            for other in range(len(subset))
            if other != index and (not within_class or subset.labels[other] == label)
        ]
        assert rows["cosine"].iloc[index] == pytest.approx(similarity[index, index], abs=1e-5)
        assert rows["chance_cosine"].iloc[index] == pytest.approx(np.mean(others), abs=1e-5)
        best.append(similarity[index].argmax() == index)
    assert rows["recall_at_1"].mean() == pytest.approx(np.mean(best), abs=1e-6)
    of_all_classes = (similarity.sum(1) - np.diag(similarity)) / 23
    assert np.allclose(rows["chance_cosine"], of_all_classes, atol=1e-5) != within_class


def test_family_means_leave_out_what_changes_labels_or_nothing(tuned: Measured, published: Measured) -> None:
    for measured in (tuned, published):
        unwanted = measured.domain.not_label_preserving
        for metric in ("invariance", "recall_at_1"):
            of_variants = {
                (n.transform, n.severity): n.value
                for n in measured.analysis.numbers
                if n.metric == metric and not n.transform.startswith("mean")
            }
            usable = {key: v for key, v in of_variants.items() if key[0] not in unwanted and not math.isnan(v)}
            geometric = [value for key, value in usable.items() if key[0] in GEOMETRIC]
            appearance = [value for key, value in usable.items() if key[0] not in GEOMETRIC]
            assert measured.number(metric, "mean").value == pytest.approx(np.mean([*usable.values()]))
            assert measured.number(metric, "mean_geometric").value == pytest.approx(np.mean(geometric))
            assert measured.number(metric, "mean_appearance").value == pytest.approx(np.mean(appearance))
            overall = measured.number(metric, "mean")
            if metric == "recall_at_1":
                assert overall.low <= overall.value <= overall.high
                assert overall.low < overall.high
            else:
                assert math.isnan(overall.low)  # of fewer than 100 images
    assert published.has("horizontal_flip")
    assert not tuned.has("horizontal_flip")  # quick mirrors only where that keeps labels


def test_a_transform_that_changes_nothing_is_undefined(published: Measured) -> None:
    undefined = {n.transform for n in published.analysis.numbers if n.metric == "invariance" and math.isnan(n.value)}
    assert undefined >= {"hue", "saturation", "grayscale"}
    for number in published.analysis.numbers:
        if number.transform in ("hue", "saturation", "grayscale"):
            assert math.isnan(number.value)
            assert (number.n, number.n_undefined) == (0, 24)
            assert "0 of 24" in number.reason
    assert published.moved("hue")["cosine"].isna().all()
    assert published.number("invariance", "mean").n_undefined == 0


def test_gray_domains_change_contrast_where_others_change_hue(tuned: Measured) -> None:
    assert tuned.has("contrast")
    assert not tuned.has("hue")


def test_one_level_of_an_eight_bit_image_is_no_change(published: Measured) -> None:
    subset = analysis_subset(published.domain.test, SETTINGS)
    pixels = subset_pixels(published.backbone, subset).clamp(max=250)
    for levels, expected in ((1, True), (2, False)):
        variant = Variant("brightness", "", lambda images, _, levels=levels: images + levels / 255)
        with torch.inference_mode(), measuring(published.backbone) as network:
            moved = transformed(network, pixels, subset.sample_ids.tolist(), variant, seed=0)
        assert (moved["brightness  unchanged"] == expected).all()


def test_guards_describe_the_clean_features(tuned: Measured, published: Measured) -> None:
    for measured in (tuned, published):
        subset = analysis_subset(measured.domain.test, SETTINGS)
        features = encode(measured.backbone, subset_pixels(measured.backbone, subset), 64).astype(np.float64)
        singular = np.linalg.svd(features - features.mean(0), compute_uv=False)
        share = singular[singular > 1e-9 * singular[0]] ** 2
        share /= share.sum()
        rank = math.exp(-(share * np.log(share)).sum())
        assert measured.number("covariance_effective_rank").value == pytest.approx(rank, rel=1e-4)
        share = np.linalg.svd(features, compute_uv=False)
        share = share / share.sum() + 1e-7
        assert measured.number("rankme").value == pytest.approx(math.exp(-(share * np.log(share)).sum()), rel=1e-3)
        assert measured.number("collapsed").value == (measured is published and rank < 2)
        dead = np.ptp(features, axis=0) == 0
        assert measured.number("dead_dimension_share").value == pytest.approx(dead.mean())


def test_a_collapsed_encoder_is_called_so(small_backbones: dict[str, str], digits_domain: Any) -> None:
    backbone = load_backbone(small_backbones["transformers_resnet"], digits_domain.class_names)
    with torch.no_grad():
        for parameter in backbone.model.parameters():
            parameter.zero_()
    analysis = pretrained_analysis(backbone, digits_domain, SETTINGS)
    measured = Measured(backbone, digits_domain, analysis)
    assert measured.number("collapsed").value == 1
    assert measured.number("dead_dimension_share").value == 1
    assert measured.number("invariance", "rotation").n_undefined == 24
    assert not measured.has("mean")


def test_numbers_survive_json(tuned: Measured) -> None:
    for number in (*tuned.analysis.numbers, Number("gini", math.nan, reason="every map is all-zero")):
        row = number.to_json()
        assert all(value is None or value == value for value in row.values())
        assert str(Number.from_json(row)) == str(number)
