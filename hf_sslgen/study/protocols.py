"""How a backbone meets a domain before it is measured: as it is, under a linear probe, or fine-tuned."""

import dataclasses
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from hf_sslgen.analysis.analyze import adapted_analysis
from hf_sslgen.analysis.forward import place, run_split
from hf_sslgen.analysis.invariance import invariance_analysis
from hf_sslgen.analysis.numbers import Analysis
from hf_sslgen.analysis.subset import AnalysisSettings, analysis_subset
from hf_sslgen.domains.images import ImageSplit
from hf_sslgen.domains.loading import Domain
from hf_sslgen.errors import InputError
from hf_sslgen.preprocessing import Geometry
from hf_sslgen.training.arguments import FineTuningArguments, ModelArguments
from hf_sslgen.training.finetuning import finetune
from hf_sslgen.training.probes import INVERSE_REGULARISATION_GRID, TOLERANCE, fit_linear_probe
from hf_sslgen.training.trainer import DivergedError
from hf_sslgen.zoo.loading import LoadedBackbone, load_backbone, set_linear_classifier

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FineTuningProtocol:
    """Full fine-tuning by AdamW on a fixed cosine schedule; the learning rate is selected by validation likelihood.

    `max_steps` above zero replaces the epochs.
    """

    learning_rates: tuple[float, ...] = (1e-4, 3e-4, 1e-3)
    num_train_epochs: float = 10
    max_steps: int = -1
    batch_size: int = 64
    weight_decay: float = 1e-4
    minimum_crop_area: float = 0.35


@dataclass(frozen=True)
class ComparisonSettings:
    """What every cell of a comparison shares; `geometry` None leaves each backbone its own."""

    analysis: AnalysisSettings = field(default_factory=AnalysisSettings)
    finetuning: FineTuningProtocol = field(default_factory=FineTuningProtocol)
    seed: int = 0
    geometry: Geometry | None = None


@dataclass(frozen=True)
class Job:
    """A backbone to be measured on a domain; `scratch` is a folder for runs that are not kept."""

    name: str
    domain: Domain
    settings: ComparisonSettings
    scratch: Path

    def load(self, location: str | None = None) -> LoadedBackbone:
        """The backbone as published, or a checkpoint made of it, on the device that measures."""
        settings = self.settings
        backbone = load_backbone(
            location or self.name, self.domain.class_names, seed=settings.seed, geometry=settings.geometry
        )
        place(backbone)
        return backbone


Measured = tuple[Analysis, dict[str, Any]]


def measure_pretrained(job: Job) -> Measured:
    """Invariance of the encoder as published."""
    settings = job.settings.analysis
    subset = analysis_subset(job.domain.test, settings)
    return invariance_analysis(job.load(), job.domain, subset, "pretrained", settings), {}


def measure_linear(job: Job) -> Measured:
    """A linear classifier on frozen features, its regularisation selected by validation likelihood."""
    if not isinstance(job.domain.train, ImageSplit):
        raise InputError("the linear protocol reads the training images more than once; drop --streaming")
    backbone, batch_size = job.load(), job.settings.analysis.batch_size
    train, validation = (run_split(backbone, split, batch_size) for split in (job.domain.train, job.domain.validation))
    probe = fit_linear_probe(
        train.features,
        job.domain.train.labels,
        validation.features,
        job.domain.validation.labels,
        len(job.domain.class_names),
    )
    set_linear_classifier(backbone.model, torch.from_numpy(probe.weight), torch.from_numpy(probe.bias))
    test = run_split(backbone, job.domain.test, batch_size)
    selection = {
        "inverse_regularisation": probe.inverse_regularisation,
        "validation_negative_log_likelihood": {f"{c:g}": nll for c, nll in probe.candidates.items()},
        "not_converged": probe.not_converged,
    }
    return adapted_analysis(backbone, job.domain, test.predictions, "pretrained", job.settings.analysis), selection


def measure_finetuned(job: Job) -> Measured:
    """Fine-tune once per learning rate and measure the run with the best validation likelihood.

    A learning rate at which training diverges is not selected; its score is stored as missing.

    Raises:
        DivergedError: training diverged at every learning rate.
    """
    protocol, settings = job.settings.finetuning, job.settings
    folders = {rate: job.scratch / f"learning_rate_{rate:g}" for rate in protocol.learning_rates}
    validation: dict[float, float | None] = {}
    for rate, folder in folders.items():
        arguments = FineTuningArguments(
            output_dir=str(folder),
            learning_rate=rate,
            num_train_epochs=protocol.num_train_epochs,
            max_steps=protocol.max_steps,
            per_device_train_batch_size=protocol.batch_size,
            per_device_eval_batch_size=settings.analysis.batch_size,
            weight_decay=protocol.weight_decay,
            seed=settings.seed,
            eval_strategy="no",
            save_strategy="no",
            load_best_model_at_end=False,
        )
        model_arguments = ModelArguments(job.name, minimum_crop_area=protocol.minimum_crop_area)
        try:
            result = finetune(job.load(), job.domain, model_arguments, arguments)
        except DivergedError as error:
            logger.warning("%s on %s: %s", job.name, job.domain.name, error)
            validation[rate] = None
        else:
            validation[rate] = result.validation["negative_log_likelihood"]
    scores = {rate: score for rate, score in validation.items() if score is not None}
    if not scores:
        raise DivergedError(
            f"{job.name} diverged on {job.domain.name} at every one of the learning_rates "
            f"{', '.join(f'{rate:g}' for rate in validation)}; add lower ones"
        )
    best = min(scores, key=lambda rate: scores[rate])
    tuned = job.load(str(folders[best]))
    test = run_split(tuned, job.domain.test, settings.analysis.batch_size)
    selection = {
        "learning_rate": best,
        "validation_negative_log_likelihood": {f"{rate:g}": nll for rate, nll in validation.items()},
    }
    return adapted_analysis(tuned, job.domain, test.predictions, "fine-tuned", settings.analysis), selection


MEASURES: dict[str, Callable[[Job], Measured]] = {
    "pretrained": measure_pretrained,
    "linear": measure_linear,
    "finetune": measure_finetuned,
}
PROTOCOLS = ("linear", "finetune")


def protocol_settings(protocol: str, settings: ComparisonSettings) -> dict[str, Any]:
    """The part of the settings that decides a protocol's outcome."""
    if protocol == "linear":
        return {"grid": list(INVERSE_REGULARISATION_GRID), "tolerance": TOLERANCE}
    return dataclasses.asdict(settings.finetuning) if protocol == "finetune" else {}
