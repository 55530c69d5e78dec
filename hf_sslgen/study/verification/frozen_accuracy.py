"""Top-1 accuracy of a backbone's frozen features, and of its own classifier, on a labelled split."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from hf_sslgen.analysis.analysis_settings import AnalysisSettings
from hf_sslgen.analysis.grouped_numbers import over_groups
from hf_sslgen.analysis.network import default_device
from hf_sslgen.analysis.numbers import Analysis
from hf_sslgen.analysis.one_pass import split_features, split_logits
from hf_sslgen.analysis.predictions import prediction_analysis, predictions_of
from hf_sslgen.analysis.training_features import training_features
from hf_sslgen.domains.domain_loading import Domain
from hf_sslgen.metrics.stages import PRETRAINED_STAGE
from hf_sslgen.study.protocols.kinds import KNNProtocol, LinearProtocol
from hf_sslgen.training.evaluation import Predictions
from hf_sslgen.training.probes import fit_linear_probe, knn_probabilities
from hf_sslgen.zoo.backbone_loading import LoadedBackbone


@dataclass(frozen=True)
class MeasuredAccuracy:
    """A top-1 accuracy in %, with its 95% interval over test images.

    Attributes:
        measure: `knn` and `linear` of frozen features; `classifier`, the checkpoint's own.
        num_train: images that the probe was fitted on or that neighbours were sought among.
        setting: the protocol in words.
    """

    measure: Literal["knn", "linear", "classifier"]
    top1: float
    low: float
    high: float
    num_test: int
    num_train: int
    setting: str


def measure_accuracies(
    backbone: LoadedBackbone,
    domain: Domain,
    knn: KNNProtocol,
    linear: LinearProtocol | None,
    settings: AnalysisSettings,
) -> list[MeasuredAccuracy]:
    """Measure k-NN, a linear probe and, if it has one for these classes, the backbone's classifier.

    Neighbours are sought among training and validation images; the linear probe is selected on the validation images
    and fitted again on both.

    Args:
        knn: the first of its `neighbours` is used.
        linear: None leaves it out.
    """
    train = training_features(backbone, domain.train, settings)
    validation = split_features(backbone, domain.validation, settings)
    test = split_features(backbone, domain.test, settings)
    num_train = len(train.labels) + len(validation)
    num_classes, device = len(domain.class_names), default_device()
    k = min(knn.neighbours[0], num_train)
    probabilities = knn_probabilities(
        np.concatenate([train.features, validation]),
        np.concatenate([train.labels, domain.validation.labels]),
        test,
        num_classes,
        (k,),
        knn.temperature,
        knn.pseudo_neighbours,
        device=device,
    )[k]
    neighbours = Predictions.from_probabilities(domain.test.sample_ids, domain.test.labels, probabilities)
    found = [_measured("knn", neighbours, domain, num_train, f"k = {k}, temperature {knn.temperature:g}")]
    if linear is not None:
        probe = fit_linear_probe(
            train.features,
            train.labels,
            validation,
            domain.validation.labels,
            num_classes,
            grid=linear.inverse_regularisations,
            max_iterations=linear.max_iterations,
            tolerance=linear.tolerance,
            standardise=linear.standardise,
            retrain_on_validation=linear.retrain_on_validation,
            device=device,
        )
        setting = f"logistic regression, C = {probe.inverse_regularisation:.3g} selected on {len(validation):,} images"
        found.append(_of_logits("linear", test @ probe.weight.T + probe.bias, domain, num_train, setting))
    if backbone.has_trained_head:
        logits = split_logits(backbone, domain.test, settings)
        found.append(_of_logits("classifier", logits, domain, 0, "the checkpoint's own classifier"))
    return found


def _of_logits(
    measure: Literal["linear", "classifier"],
    logits: NDArray[np.floating],
    domain: Domain,
    num_train: int,
    setting: str,
) -> MeasuredAccuracy:
    predictions = predictions_of(domain.test.sample_ids, domain.test.labels, logits.astype(np.float32))
    return _measured(measure, predictions, domain, num_train, setting)


def _measured(
    measure: Literal["knn", "linear", "classifier"],
    predictions: Predictions,
    domain: Domain,
    num_train: int,
    setting: str,
) -> MeasuredAccuracy:
    """Return accuracy over images; its interval is over groups of images if they come in groups."""
    numbers, records = prediction_analysis(predictions, len(domain.class_names), PRETRAINED_STAGE)
    analysis = over_groups(Analysis(tuple(numbers), records), domain.test)
    accuracy = next(number for number in analysis.numbers if number.metric == "accuracy")
    top1, low, high = (100 * value for value in (accuracy.value, accuracy.low, accuracy.high))
    return MeasuredAccuracy(measure, top1, low, high, accuracy.n, num_train, setting)
