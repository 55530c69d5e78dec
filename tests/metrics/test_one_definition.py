"""Training, analysis, evaluate modules and pure functions give one number for one name; none comes without this test.

A real network classifies the embedded digits. Its logits, features and maps go through the Trainer's
`compute_metrics`, through the analysis, through the modules that `evaluate` loads, and, whole, into the functions of
`hf_sslgen.metrics`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn
from whole_splits import classified, features_of

from hf_sslgen import metric_path, metrics
from hf_sslgen.analysis.analysis_settings import AnalysisSettings
from hf_sslgen.analysis.backbone_analysis import adapted_analysis, validation_logits
from hf_sslgen.analysis.invariance_numbers import is_gray
from hf_sslgen.analysis.network import measuring
from hf_sslgen.analysis.numbers import Analysis, Number
from hf_sslgen.analysis.predictions import prediction_analysis
from hf_sslgen.analysis.subset import analysis_subset, subset_pixels
from hf_sslgen.analysis.transforms import Variant, preset_variants
from hf_sslgen.geometry import Geometry
from hf_sslgen.metrics.catalogue.rows import AFTER_TEMPERATURE, find_metric
from hf_sslgen.training.evaluation import Predictions, compute_metrics_for, preprocess_logits_for_metrics
from hf_sslgen.training.finetuning_arguments import FineTuningArguments
from hf_sslgen.zoo.anatomy import find_classifier
from hf_sslgen.zoo.backbone_loading import LoadedBackbone, load_backbone

NUM_CLASSES = 10
SETTINGS = AnalysisSettings(max_subset=24, num_examples=24, batch_size=7)

Logits = NDArray[np.float32]
Labels = NDArray[np.int64]


def _top(logits: Logits, labels: Labels) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    top = metrics.top_label(logits, labels, from_logits=True)
    return top.per_sample_confidence, top.per_sample_correct


OF_PREDICTIONS: dict[str, Callable[[Logits, Labels], float]] = {
    "accuracy": lambda x, y: metrics.accuracy(x.argmax(1), y).accuracy,
    "mean_per_class_accuracy": lambda x, y: metrics.accuracy(x.argmax(1), y).mean_per_class_accuracy,
    "top_5_accuracy": lambda x, y: metrics.top_k_accuracy(x, y, k=5).top_k_accuracy,
    "mean_confidence": lambda x, y: metrics.prediction_confidence(*_top(x, y)).mean_confidence,
    "mean_confidence_correct": lambda x, y: metrics.prediction_confidence(*_top(x, y)).mean_confidence_correct,
    "mean_confidence_incorrect": lambda x, y: metrics.prediction_confidence(*_top(x, y)).mean_confidence_incorrect,
    "confidence_gap": lambda x, y: metrics.prediction_confidence(*_top(x, y)).gap,
    "auroc": lambda x, y: metrics.prediction_confidence(*_top(x, y)).auroc,
    "expected_calibration_error": lambda x, y: (
        metrics.expected_calibration_error(*_top(x, y)).expected_calibration_error
    ),
    "ece_if_calibrated": lambda x, y: metrics.expected_calibration_error(*_top(x, y)).ece_if_calibrated,
    "l2_calibration_error": lambda x, y: metrics.expected_calibration_error(*_top(x, y)).l2_calibration_error,
    "maximum_calibration_error": lambda x, y: (
        metrics.expected_calibration_error(*_top(x, y)).maximum_calibration_error
    ),
    "adaptive_calibration_error": lambda x, y: (
        metrics.adaptive_calibration_error(*_top(x, y)).adaptive_calibration_error
    ),
    "debiased_squared_calibration_error": lambda x, y: (
        metrics.debiased_calibration_error(*_top(x, y)).debiased_squared_calibration_error
    ),
    "ks_calibration_error": lambda x, y: metrics.ks_calibration_error(*_top(x, y)).ks_calibration_error,
    "negative_log_likelihood": lambda x, y: metrics.negative_log_likelihood(x, y, from_logits=True).mean,
    "brier_score": lambda x, y: metrics.brier_score(x, y, from_logits=True).mean,
    "top_label_brier": lambda x, y: metrics.top_label_brier(*_top(x, y)).mean,
    "aurc": lambda x, y: metrics.risk_coverage(*_top(x, y)).aurc,
    "excess_aurc": lambda x, y: metrics.risk_coverage(*_top(x, y)).excess_aurc,
}
"""Every number of accuracy and confidence, as somebody with logits and labels has it."""

SUMMARY_NAMES = {"confidence_gap": "gap"}
"""Names that differ in `ConfidenceSummary`, whose fields stand without their measurement's name."""


OF_MAPS = {
    "gini": "gini",
    "spatial_spread": "spread",
    "effective_area": "effective_area",
    "participation_ratio": "participation_ratio",
    "top_10_percent_mass": "top_10_percent_mass",
    "area_at_80_percent_mass": "area_at_80_percent_mass",
    "entropy": "entropy",
    "zero_map_rate": "zero_map_rate",
}
"""Numbers of attribution maps, with the fields of `ConcentrationResult` that they are."""

OF_FEATURES = ("invariance", "cosine", "chance_cosine", "distance_invariance", "recall_at_1", "rank_auc")
OF_REPRESENTATION = ("covariance_effective_rank", "rankme", "dead_dimension_share", "collapsed")
OF_OTHERS = ("linear_cka", "prediction_consistency", "kappa")
"""Numbers of a transform that no module has."""

IN_MODULES: dict[str, tuple[str, str]] = {
    **{
        name: ("expected_calibration_error", name)
        for name in (
            "expected_calibration_error",
            "ece_if_calibrated",
            "l2_calibration_error",
            "maximum_calibration_error",
        )
    },
    **{
        name: ("prediction_confidence", SUMMARY_NAMES.get(name, name))
        for name in (
            *("mean_confidence", "mean_confidence_correct", "mean_confidence_incorrect"),
            *("confidence_gap", "auroc"),
        )
    },
    **{name: ("brier_score", name) for name in ("brier_score", "top_label_brier")},
    **{name: ("risk_coverage", name) for name in ("aurc", "excess_aurc")},
}
"""The module and its key of each number of predictions that one has."""

SCALED = [metric for metric in OF_PREDICTIONS if not metric.endswith("accuracy")]
"""Numbers that a temperature changes: it keeps the order of the classes."""


@dataclass(frozen=True, eq=False)
class Subject:
    """A network with a classifier for the digits, what it says of the test and validation splits, and its analysis."""

    backbone: LoadedBackbone
    domain: Any
    logits: Logits
    validation_logits: Logits
    labels: Labels
    analysis: Analysis

    def number(self, metric: str, transform: str = "", severity: str = "") -> Number:
        wanted = (metric, transform, severity)
        (found,) = (n for n in self.analysis.numbers if (n.metric, n.transform, n.severity) == wanted)
        return found

    @property
    def maps(self) -> NDArray[np.float32]:
        """Those of all images that were attributed: as many examples were asked for."""
        assert self.analysis.examples is not None
        maps: NDArray[np.float32] = self.analysis.examples["maps"]
        return maps


@dataclass(frozen=True, eq=False)
class Features:
    """What the network makes of the subset's images before and after one transform, run here without the analysis."""

    variant: Variant
    clean: NDArray[np.float32]
    moved: NDArray[np.float32]
    predictions: tuple[Labels, Labels]
    unchanged: NDArray[np.bool_]
    classes: Labels


@pytest.fixture(scope="module")
def subject(small_backbones: dict[str, str], digits_domain: Any) -> Subject:
    backbone = load_backbone(
        small_backbones["timm_resnet"], digits_domain.class_names, geometry=Geometry(96, None, "bilinear")
    )
    classifier = find_classifier(backbone.model)[1]
    with torch.no_grad():  # class means as weights: right often enough, and neither always nor never
        train = features_of(backbone, digits_domain.train, 64)
        means = np.stack([train[digits_domain.train.labels == label].mean(0) for label in range(NUM_CLASSES)])
        centred = (means - means.mean(0)) / means.std(0).clip(min=1e-3)
        classifier.weight.copy_(torch.from_numpy(centred))
        classifier.bias.copy_(torch.from_numpy(-(centred * means.mean(0)).sum(1)))
    seen: list[torch.Tensor] = []

    def keep(_module: nn.Module, _inputs: Any, output: torch.Tensor) -> None:
        if torch.is_inference_mode_enabled():  # otherwise it is tried out whether batch normalisation can be folded
            seen.append(output.clone())

    handle = classifier.register_forward_hook(keep)
    for split in (digits_domain.test, digits_domain.validation):
        classified(backbone, split, 16)
    handle.remove()
    logits, unseen = torch.cat(seen).split([len(digits_domain.test), len(digits_domain.validation)])
    logits = logits.numpy()
    validation = validation_logits(backbone, digits_domain, SETTINGS)
    analysis = adapted_analysis(backbone, digits_domain, "fine-tuned", SETTINGS, validation)
    correct = logits.argmax(1) == digits_domain.test.labels
    assert 0.2 < correct.mean() < 0.95
    return Subject(backbone, digits_domain, logits, unseen.numpy(), digits_domain.test.labels, analysis)


class Answers(nn.Module):
    """A model that knows its logits: the Trainer evaluates these and no others."""

    def __init__(self, logits: Logits) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.from_numpy(logits))

    def forward(self, positions: torch.Tensor, labels: torch.Tensor, sample_ids: torch.Tensor) -> dict[str, Any]:
        logits = self.logits[positions]
        return {"loss": nn.functional.cross_entropy(logits, labels), "logits": logits}


def trained_numbers(logits: Logits, labels: Labels, folder: Path) -> dict[str, float]:
    """What transformers' own Trainer reports, in batches that don't divide the samples."""
    from transformers import Trainer

    order = np.random.default_rng(0).permutation(len(labels))
    samples = [{"positions": int(i), "labels": int(labels[i]), "sample_ids": int(i)} for i in order]
    arguments = FineTuningArguments(
        output_dir=str(folder),
        per_device_eval_batch_size=7,
        report_to="none",
        use_cpu=True,
    )
    arguments.label_names = ["labels", "sample_ids"]
    trainer = Trainer(
        Answers(logits),
        arguments,
        eval_dataset=samples,  # type: ignore[arg-type]
        compute_metrics=compute_metrics_for(NUM_CLASSES),
        preprocess_logits_for_metrics=preprocess_logits_for_metrics,
    )
    prefix = "eval_"
    return {name.removeprefix(prefix): value for name, value in trainer.evaluate().items()}


@pytest.fixture(scope="module")
def trained(subject: Subject, tmp_path_factory: pytest.TempPathFactory) -> dict[str, float]:
    return trained_numbers(subject.logits, subject.labels, tmp_path_factory.mktemp("trainer"))


@pytest.mark.parametrize("metric", OF_PREDICTIONS)
def test_a_number_of_predictions_is_the_same_everywhere(
    metric: str, subject: Subject, trained: dict[str, float]
) -> None:
    expected = OF_PREDICTIONS[metric](subject.logits, subject.labels)
    assert np.isfinite(expected)
    same = pytest.approx(expected, rel=1e-6, abs=1e-9)  # other batches round otherwise
    assert trained[metric] == same
    assert subject.number(metric).value == same
    summary = metrics.confidence_summary(subject.logits, subject.labels, from_logits=True).to_dict()
    assert summary[SUMMARY_NAMES.get(metric, metric)] == same

    probabilities = np.exp(subject.logits.astype(np.float64))
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    of_probabilities = Predictions.from_probabilities(np.arange(len(subject.labels)), subject.labels, probabilities)
    assert of_probabilities.measures(NUM_CLASSES)[metric] == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("metric", OF_PREDICTIONS)
def test_an_interval_of_predictions_is_the_one_of_the_metrics(metric: str, subject: Subject) -> None:
    number = subject.number(metric)
    summary = metrics.confidence_summary(subject.logits, subject.labels, from_logits=True)
    interval = summary.intervals.get(SUMMARY_NAMES.get(metric, metric), (np.nan, np.nan))
    np.testing.assert_allclose([number.low, number.high], interval, rtol=1e-6)


def test_no_number_of_predictions_is_left_out(subject: Subject, trained: dict[str, float]) -> None:
    predictions = classified(subject.backbone, subject.domain.test, 16)
    assert set(predictions.measures(NUM_CLASSES)) == set(OF_PREDICTIONS)
    assert {n.metric for n in prediction_analysis(predictions, NUM_CLASSES, "fine-tuned")[0]} == set(OF_PREDICTIONS)
    of_the_trainer_itself = {
        "loss",
        "runtime",
        "samples_per_second",
        "steps_per_second",
        "model_preparation_time",
        "epoch",
    }
    assert set(trained) - of_the_trainer_itself == set(OF_PREDICTIONS)


@pytest.fixture(scope="module")
def modules(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    import evaluate

    cache = str(tmp_path_factory.mktemp("evaluate"))
    names = {module for module, _ in IN_MODULES.values()} | {"attribution_concentration", "invariance"}
    return {name: evaluate.load(metric_path(name), cache_dir=cache) for name in names}


@pytest.mark.parametrize("metric", IN_MODULES)
def test_a_number_of_predictions_is_that_of_its_module(metric: str, subject: Subject, modules: dict[str, Any]) -> None:
    module, key = IN_MODULES[metric]
    inputs: dict[str, Any] = {"references": subject.labels, "probabilities": subject.logits, "from_logits": True}
    by_logits = modules[module].compute(**inputs)
    number = subject.number(metric)
    assert by_logits[key] == pytest.approx(number.value, rel=1e-6, abs=1e-9)
    low, high = by_logits.get(f"{key}_interval", (np.nan, np.nan))
    np.testing.assert_allclose([low, high], [number.low, number.high], rtol=1e-6)
    if metric != "brier_score":  # which needs all probabilities
        top = metrics.top_label(subject.logits, subject.labels, from_logits=True)
        by_rows = modules[module].compute(
            predictions=top.per_sample_prediction, references=subject.labels, confidences=top.per_sample_confidence
        )
        assert by_rows[key] == by_logits[key]


@pytest.mark.parametrize("metric", OF_MAPS)
def test_a_number_of_maps_is_the_same_everywhere(metric: str, subject: Subject, modules: dict[str, Any]) -> None:
    number, field = subject.number(metric), OF_MAPS[metric]
    expected = metrics.attribution_concentration(subject.maps).to_dict()
    assert np.isfinite(expected[field])
    assert number.value == pytest.approx(expected[field], rel=1e-12)
    np.testing.assert_allclose([number.low, number.high], expected[f"{field}_interval"], rtol=1e-12)
    assert modules["attribution_concentration"].compute(maps=subject.maps)[field] == expected[field]


@pytest.fixture(scope="module")
def features(subject: Subject) -> list[Features]:
    """Of every transform of the analysis."""
    split = analysis_subset(subject.domain.test, SETTINGS)
    pixels = subset_pixels(subject.backbone, split).float() / 255

    def run(images: torch.Tensor) -> tuple[NDArray[np.float32], Labels]:
        with measuring(subject.backbone) as network, torch.inference_mode():
            parts = [network(batch) for batch in images.split(SETTINGS.batch_size)]
        features = torch.cat([part.features for part in parts])
        return features.numpy(), torch.cat([part.logits for part in parts]).argmax(1).numpy()

    clean, predictions = run(pixels)
    found = []
    for variant in preset_variants(SETTINGS.transforms, is_gray(pixels * 255), subject.domain.not_label_preserving):
        images = torch.cat(
            [
                variant(batch, ids.tolist(), SETTINGS.seed)
                for batch, ids in zip(
                    pixels.split(SETTINGS.batch_size),
                    torch.from_numpy(split.sample_ids).split(SETTINGS.batch_size),
                    strict=True,
                )
            ]
        )
        unchanged = ((images - pixels).abs().amax((1, 2, 3)) <= 1 / 255 + 1e-6).numpy()
        moved, moved_predictions = run(images)
        found.append(Features(variant, clean, moved, (predictions, moved_predictions), unchanged, split.labels))
    return found


@pytest.mark.parametrize("metric", OF_FEATURES)
def test_a_number_of_features_is_the_same_everywhere(
    metric: str, subject: Subject, features: list[Features], modules: dict[str, Any]
) -> None:
    assert len(features) >= 6
    for of in features:
        number = subject.number(metric, of.variant.transform, of.variant.severity)
        options = {"groups": of.classes, "unchanged": of.unchanged}
        expected = metrics.invariance(of.clean, of.moved, **options).to_dict()
        assert np.isfinite(expected[metric])
        assert number.value == pytest.approx(expected[metric], rel=1e-9, abs=1e-12)
        interval = expected.get(f"{metric}_interval", (np.nan, np.nan))
        np.testing.assert_allclose([number.low, number.high], interval, rtol=1e-7)
        of_module = modules["invariance"].compute(
            features=of.clean, transformed_features=of.moved, stage="fine-tuned", **options
        )
        assert of_module[metric] == expected[metric]


@pytest.mark.parametrize("metric", OF_OTHERS)
def test_a_number_of_a_transform_is_the_same_everywhere(
    metric: str, subject: Subject, features: list[Features]
) -> None:
    for of in features:
        changed = ~of.unchanged
        cka = metrics.debiased_linear_cka(of.clean[changed], of.moved[changed])
        before, after = of.predictions
        consistency = metrics.prediction_consistency(before[changed], after[changed])
        expected = {**consistency.to_dict(), "linear_cka": cka.linear_cka}
        number = subject.number(metric, of.variant.transform, of.variant.severity)
        assert number.value == pytest.approx(expected[metric], rel=1e-9, abs=1e-12)
        interval = expected.get(f"{metric}_interval", (np.nan, np.nan))
        np.testing.assert_allclose([number.low, number.high], interval, rtol=1e-6)
        assert number.n == changed.sum()


@pytest.mark.parametrize("metric", OF_REPRESENTATION)
def test_a_guard_is_the_same_everywhere(
    metric: str, subject: Subject, features: list[Features], modules: dict[str, Any]
) -> None:
    of = features[0]
    expected = float(metrics.representation_guards(of.clean, "fine-tuned").to_dict()[metric])
    assert subject.number(metric).value == pytest.approx(expected, rel=1e-12)
    of_module = modules["invariance"].compute(
        features=of.clean, transformed_features=of.moved, unchanged=of.unchanged, stage="fine-tuned"
    )
    assert of_module[metric] == expected


def test_numbers_after_temperature_are_those_of_the_metrics(subject: Subject) -> None:
    fit = metrics.fit_temperature(subject.validation_logits, subject.domain.validation.labels)
    assert subject.number("temperature").value == pytest.approx(fit.temperature, rel=1e-5)
    assert abs(fit.temperature - 1) > 0.05
    scaled = metrics.confidence_summary(metrics.apply_temperature(subject.logits, fit), subject.labels).to_dict()
    for metric in SCALED:
        expected = scaled[SUMMARY_NAMES.get(metric, metric)]
        number = subject.number(f"{metric}{AFTER_TEMPERATURE}")
        assert number.value == pytest.approx(expected, rel=1e-4, abs=1e-6), metric


def test_no_number_of_the_analysis_is_left_out(subject: Subject) -> None:
    of_temperature = {"temperature", *(f"{metric}{AFTER_TEMPERATURE}" for metric in SCALED)}
    tested = {*of_temperature, *OF_PREDICTIONS, *OF_MAPS, *OF_FEATURES, *OF_OTHERS, *OF_REPRESENTATION}
    assert {number.metric for number in subject.analysis.numbers} == tested
    assert all(find_metric(number.metric) is not None for number in subject.analysis.numbers)
    assert {n.metric for n in subject.analysis.numbers if n.transform} == {*OF_FEATURES, *OF_OTHERS}
    in_summary = set(metrics.ConfidenceSummary.__dataclass_fields__)
    assert {SUMMARY_NAMES.get(name, name) for name in OF_PREDICTIONS} <= in_summary
