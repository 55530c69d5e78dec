"""Fine-tune a backbone once per candidate of a grid, and measure the best by validation likelihood."""

import itertools
import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from hf_sslgen.analysis.backbone_analysis import adapted_analysis, validation_logits
from hf_sslgen.analysis.pass_shards import Run
from hf_sslgen.domains.domain_loading import Domain
from hf_sslgen.domains.images import ImageSplit, joined
from hf_sslgen.domains.splits import stratified_subset
from hf_sslgen.errors import DivergedError
from hf_sslgen.metrics.stages import FINE_TUNED_STAGE
from hf_sslgen.randomness import derive_seed
from hf_sslgen.study.prepared_cell import Measured, PreparedCell, positional
from hf_sslgen.study.protocols.candidate_runs import CANDIDATES, CandidateRuns, Score
from hf_sslgen.study.protocols.presets import FineTuningProtocol
from hf_sslgen.study.protocols.selection import (
    TRAIN,
    TRAIN_AND_VALIDATION,
    Candidate,
    best_candidate,
    selection_record,
)
from hf_sslgen.training.finetuning import finetune
from hf_sslgen.training.finetuning_arguments import FineTuningArguments, ModelArguments
from hf_sslgen.training.optimisation import Optimisation, optimiser_of_architecture
from hf_sslgen.training.picture_cache import DecodedPictures, kept_beside
from hf_sslgen.zoo.anatomy import find_classifier
from hf_sslgen.zoo.backbone_loading import set_linear_classifier

logger = logging.getLogger(__name__)

RETRAINED = "retrained"
"""Name of the run on training and validation images."""


def resolved(cell: PreparedCell, protocol: FineTuningProtocol) -> FineTuningProtocol:
    """Return the protocol with the optimiser for the backbone's architecture, and that optimiser's grid."""
    if protocol.optimiser != "by_architecture":
        return protocol
    optimiser = optimiser_of_architecture(cell.load().model)
    uses_sgd = optimiser == "sgd"
    return replace(
        protocol,
        optimiser=optimiser,
        learning_rates=protocol.sgd_learning_rates if uses_sgd else protocol.learning_rates,
        weight_decays=protocol.sgd_weight_decays if uses_sgd else protocol.weight_decays,
        sgd_learning_rates=(),
        sgd_weight_decays=(),
    )


def grid_points(protocol: FineTuningProtocol) -> Iterator[tuple[dict[str, float], float, float]]:
    """Return each point of the grid, with the learning rate and the weight decay that it stands for."""
    for rate, decay in itertools.product(protocol.learning_rates, protocol.weight_decays):
        if protocol.weight_decay_over_learning_rate:
            yield {"learning_rate": rate, "weight_decay_times_learning_rate": decay}, rate, decay / rate
        else:
            yield {"learning_rate": rate, "weight_decay": decay}, rate, decay


def reduced_domain(cell: PreparedCell, protocol: FineTuningProtocol) -> Domain:
    """Return the domain with as many training and validation images as the protocol uses."""
    domain = cell.domain
    if protocol.train_images is not None:
        train = positional(domain)
        seed = derive_seed(cell.spec.seed, "train images")
        domain = replace(domain, train=train.select(stratified_subset(train.labels, protocol.train_images, seed)))
    if protocol.validation_images is not None:
        labels, seed = domain.validation.labels, derive_seed(cell.spec.seed, "validation images")
        positions = stratified_subset(labels, protocol.validation_images, seed)
        domain = replace(domain, validation=domain.validation.select(positions))
    return domain


def training_arguments(
    cell: PreparedCell, protocol: FineTuningProtocol, rate: float, decay: float, folder: Path
) -> tuple[ModelArguments, FineTuningArguments, Optimisation]:
    """Return the arguments of `finetune`, for a protocol whose optimiser is resolved."""
    stops_early = protocol.early_stopping_patience is not None
    model_arguments = ModelArguments(
        cell.facts.pinned,
        minimum_crop_area=protocol.minimum_crop_area,
        horizontal_flip=protocol.horizontal_flip,
        early_stopping_patience=protocol.early_stopping_patience,
    )
    arguments = FineTuningArguments(
        output_dir=str(folder),
        learning_rate=rate,
        weight_decay=decay,
        num_train_epochs=protocol.num_train_epochs,
        max_steps=-1 if protocol.max_steps is None else protocol.max_steps,
        per_device_train_batch_size=protocol.batch_size,
        per_device_eval_batch_size=cell.spec.analysis.batch_size,
        lr_scheduler_type="cosine",
        warmup_steps=protocol.warmup_steps,
        max_grad_norm=protocol.max_grad_norm,
        seed=cell.spec.seed,
        bf16=protocol.bf16,
        eval_strategy="epoch" if stops_early else "no",
        save_strategy="epoch" if stops_early else "no",
        load_best_model_at_end=stops_early,
    )
    assert protocol.optimiser != "by_architecture"
    optimisation = Optimisation(
        protocol.optimiser,
        momentum=protocol.momentum,
        nesterov=protocol.nesterov,
        decay_all_parameters=protocol.decay_all_parameters,
        layer_decay=protocol.layer_decay,
        step_milestones=protocol.step_milestones if protocol.schedule == "steps" else None,
        step_factor=protocol.step_factor,
    )
    return model_arguments, arguments, optimisation


def _train(
    cell: PreparedCell,
    domain: Domain,
    protocol: FineTuningProtocol,
    rate: float,
    decay: float,
    folder: Path,
    pictures: DecodedPictures,
) -> dict[str, float]:
    """Train one model into `folder`; returns its numbers on the validation split."""
    backbone = cell.load()
    if protocol.zero_initialised_classifier:
        weight = torch.zeros_like(find_classifier(backbone.model)[1].weight)
        set_linear_classifier(backbone.model, weight, weight[:, 0])
    arguments = training_arguments(cell, protocol, rate, decay, folder)
    return finetune(backbone, domain, *arguments, measure_test=False, pictures=pictures).validation


@dataclass(frozen=True)
class _Point:
    """A candidate: the values of the grid, and the learning rate and weight decay that they stand for."""

    values: dict[str, float]
    rate: float
    decay: float

    @property
    def name(self) -> str:
        return "_".join(f"{name}_{value:g}" for name, value in self.values.items())


@dataclass(frozen=True)
class _Grid:
    """The training runs of a cell.

    Attributes:
        protocol: with its optimiser resolved.
        domain: with as many images as the protocol uses.
        pictures: the decoded pictures of all runs.
    """

    cell: PreparedCell
    protocol: FineTuningProtocol
    domain: Domain
    points: tuple[_Point, ...]
    pictures: DecodedPictures

    @classmethod
    def of(cls, cell: PreparedCell, protocol: FineTuningProtocol, pictures: DecodedPictures) -> "_Grid":
        protocol = resolved(cell, protocol)
        points = tuple(_Point(*point) for point in grid_points(protocol))
        return cls(cell, protocol, reduced_domain(cell, protocol), points, pictures)

    @property
    def names(self) -> list[str]:
        return [point.name for point in self.points]

    def train(self, name: str, folder: Path) -> Score:
        """Train a candidate, with the run's folder as `finetune` needs it."""
        point = self.points[self.names.index(name)]
        try:
            found = _train(self.cell, self.domain, self.protocol, point.rate, point.decay, folder, self.pictures)
        except DivergedError as error:
            logger.warning("%s on %s: %s", self.cell.facts.pinned, self.domain.name, error)
            return None
        return found["negative_log_likelihood"]

    def retrain(self, point: _Point, folder: Path) -> Score:
        """Train the selected candidate on training and validation images."""
        both = replace(self.domain, train=joined(positional(self.domain), self.domain.validation))
        found = _train(self.cell, both, self.protocol, point.rate, point.decay, folder, self.pictures)
        return found["negative_log_likelihood"]


def assist_finetuned(cell: PreparedCell, protocol: FineTuningProtocol, parts: Path) -> bool:
    """Train candidates of a cell that another process is computing; returns whether there was anything to do.

    Args:
        parts: the cell's folder for parts that survive a killed process.

    Raises:
        TakenOverError: the cell was finished or given up meanwhile.
    """
    runs = CandidateRuns.announced(parts / CANDIDATES)
    if runs is None:
        return False
    with kept_beside(parts) as pictures:
        return runs.train_free(_Grid.of(cell, protocol, pictures).train)


def measure_finetuned(cell: PreparedCell, protocol: FineTuningProtocol, scratch: Path, run: Run) -> Measured:
    """Fine-tune once per candidate and measure the one with the best validation likelihood, retrained on training
    and validation images if the protocol says so.

    Candidates are trained under claims of their own, by this process and by those that help it (`assist_finetuned`),
    and those that have finished are kept if this process is killed. The test split is used once, after the selection.
    A candidate whose training diverges is not selected; its score is recorded as missing.

    Raises:
        DivergedError: training diverged with every candidate.
        TakenOverError: the cell was finished or given up by another process meanwhile.
    """
    name, settings, seed = cell.facts.pinned, cell.spec.analysis, cell.spec.seed
    with kept_beside(scratch) as pictures:
        grid = _Grid.of(cell, protocol, pictures)
        protocol, domain = grid.protocol, grid.domain
        if protocol.retrain_on_validation:
            positional(domain)
        runs = CandidateRuns.begin((run.shards or scratch) / CANDIDATES, grid.names)
        candidates = [
            Candidate(point.values, score, {"weight_decay": point.decay} if "weight_decay" not in point.values else {})
            for point, score in zip(grid.points, runs.scores(grid.train), strict=True)
        ]
        best = best_candidate(candidates)
        if best is None:
            raise DivergedError(
                f"{name} diverged on {domain.name} at every one of the learning_rates "
                f"{', '.join(f'{rate:g}' for rate in protocol.learning_rates)}; add lower ones"
            )
        chosen = grid.points[candidates.index(best)]
        if protocol.retrain_on_validation:
            runs.drop(chosen.name)
            folder = runs.trained(RETRAINED, lambda _, place: grid.retrain(chosen, place))
        else:
            folder = runs.trained(chosen.name, grid.train)
    tuned = cell.load(str(folder))
    validation = None if protocol.retrain_on_validation else validation_logits(tuned, domain, settings, run)
    fitted_on = TRAIN_AND_VALIDATION if protocol.retrain_on_validation else TRAIN
    selection = selection_record(candidates, best, seed, fitted_on)
    selection |= {
        "optimiser": protocol.optimiser,
        "train_images": len(domain.train) if isinstance(domain.train, ImageSplit) else None,
        "validation_images": len(domain.validation),
    }
    return adapted_analysis(tuned, cell.domain, FINE_TUNED_STAGE, settings, validation, run), selection
