"""Measure a backbone on frozen features: linear probe, nearest neighbours, few-shot episodes."""

import numpy as np
import torch
from numpy.typing import NDArray

from hf_sslgen.analysis.backbone_analysis import adapted_analysis
from hf_sslgen.analysis.estimated_numbers import number_of
from hf_sslgen.analysis.few_shot_records import few_shot_records
from hf_sslgen.analysis.grouped_numbers import over_groups
from hf_sslgen.analysis.network import default_device
from hf_sslgen.analysis.numbers import Analysis
from hf_sslgen.analysis.one_pass import split_features, test_features
from hf_sslgen.analysis.pass_shards import Run
from hf_sslgen.analysis.predictions import ValidationLogits, prediction_analysis
from hf_sslgen.analysis.training_features import training_features
from hf_sslgen.domains.domain_loading import Domain
from hf_sslgen.domains.images import ImageSplit
from hf_sslgen.errors import InputError
from hf_sslgen.metrics.catalogue.rows import names_compared_by
from hf_sslgen.metrics.episodes import episode_estimate
from hf_sslgen.metrics.stages import PRETRAINED_STAGE
from hf_sslgen.study.prepared_cell import Measured, PreparedCell
from hf_sslgen.study.protocols.presets import FewShotProtocol, KNNProtocol, LinearProtocol
from hf_sslgen.study.protocols.selection import (
    TRAIN,
    TRAIN_AND_VALIDATION,
    Candidate,
    best_candidate,
    nothing_selected,
    selection_record,
)
from hf_sslgen.training.evaluation import Predictions
from hf_sslgen.training.few_shot import prototypical_accuracies
from hf_sslgen.training.few_shot_effects import image_effects
from hf_sslgen.training.probes import fit_linear_probe, knn_probabilities
from hf_sslgen.zoo.backbone_loading import set_linear_classifier


def measure_linear(cell: PreparedCell, protocol: LinearProtocol, run: Run) -> Measured:
    """Measure a linear classifier on frozen features, with regularisation selected by validation likelihood."""
    domain, settings = cell.domain, cell.spec.analysis
    backbone = cell.load_frozen()
    train = training_features(backbone, domain.train, settings, run)
    validation = split_features(backbone, domain.validation, settings, run)
    probe = fit_linear_probe(
        train.features,
        train.labels,
        validation,
        domain.validation.labels,
        len(domain.class_names),
        grid=protocol.inverse_regularisations,
        max_iterations=protocol.max_iterations,
        tolerance=protocol.tolerance,
        standardise=protocol.standardise,
        retrain_on_validation=protocol.retrain_on_validation,
        device=default_device(),
    )
    set_linear_classifier(backbone.model, torch.from_numpy(probe.weight), torch.from_numpy(probe.bias))
    candidates = [Candidate({"inverse_regularisation": value}, score) for value, score in probe.candidates.items()]
    best = next(c for c in candidates if c.point["inverse_regularisation"] == probe.inverse_regularisation)
    fitted_on = TRAIN_AND_VALIDATION if protocol.retrain_on_validation else TRAIN
    selection = selection_record(candidates, best, cell.spec.seed, fitted_on)
    selection |= {"not_converged": probe.not_converged, "converged": probe.converged}
    unseen = None
    if not protocol.retrain_on_validation:
        unseen = ValidationLogits(validation @ probe.weight.T + probe.bias, domain.validation.labels)
    return adapted_analysis(backbone, domain, PRETRAINED_STAGE, settings, unseen, run), selection


def possible_neighbours(domain: Domain, num_images: int, protocol: KNNProtocol) -> list[int]:
    """Return the candidates that don't exceed the number of training images; raises InputError if all do."""
    possible = [k for k in protocol.neighbours if k <= num_images]
    if not possible:
        raise InputError(
            f"neighbours {list(protocol.neighbours)} all exceed the {num_images} training images of "
            f"{domain.name!r}; give smaller ones"
        )
    return possible


def measure_knn(cell: PreparedCell, protocol: KNNProtocol, run: Run) -> Measured:
    """Measure nearest neighbours among the training images, with k selected by validation likelihood.

    Attribution is not measured, because there is no classifier.
    """
    domain, settings = cell.domain, cell.spec.analysis
    backbone = cell.load_frozen()
    bank = training_features(backbone, domain.train, settings, run)
    validation = split_features(backbone, domain.validation, settings, run)
    test = test_features(backbone, domain.test, settings, run)
    possible = possible_neighbours(domain, len(bank.labels), protocol)

    def predictions(split: ImageSplit, features: NDArray[np.float32], neighbours: list[int]) -> dict[int, Predictions]:
        probabilities = knn_probabilities(
            bank.features,
            bank.labels,
            features,
            len(domain.class_names),
            neighbours,
            protocol.temperature,
            protocol.pseudo_neighbours,
            device=default_device(),
        )
        return {
            k: Predictions.from_probabilities(split.sample_ids, split.labels, values)
            for k, values in probabilities.items()
        }

    of_validation = predictions(domain.validation, validation, possible)
    scores = {k: float(np.mean(of_k.negative_log_likelihoods)) for k, of_k in of_validation.items()}
    candidates = [Candidate({"neighbours": k}, scores.get(k)) for k in protocol.neighbours]
    best = best_candidate(candidates)
    assert best is not None
    chosen = int(best.point["neighbours"])
    measured = predictions(domain.test, test, [chosen])[chosen]
    numbers, records = prediction_analysis(measured, len(domain.class_names), PRETRAINED_STAGE)
    analysis = over_groups(Analysis(tuple(numbers), records), domain.test)
    return analysis, selection_record(candidates, best, cell.spec.seed, TRAIN)


def measure_few_shot(cell: PreparedCell, protocol: FewShotProtocol, run: Run) -> Measured:
    """Measure accuracy over episodes, with an interval over test images and draws. Every class has equally many
    queries, so accuracy per class is the same number."""
    test, seed = cell.domain.test, cell.spec.seed
    features = test_features(cell.load_frozen(), test, cell.spec.analysis, run)
    episode = protocol.ways, protocol.shots, protocol.queries
    accuracies = prototypical_accuracies(features, test.labels, *episode, protocol.episodes, seed)
    images = image_effects(features, test.labels, *episode, seed)
    effects = None if test.has("group") else images.effects
    estimate = episode_estimate(accuracies, effects)
    numbers = tuple(number_of(metric, estimate, PRETRAINED_STAGE) for metric in names_compared_by("correct"))
    records = few_shot_records(accuracies, test.sample_ids[images.positions], effects)
    return Analysis(numbers, records), nothing_selected(seed, "support images of each episode")
