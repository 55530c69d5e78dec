"""Fine-tuning a backbone on a domain with the Trainer."""

import dataclasses
import json
import logging
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import AutoImageProcessor, EarlyStoppingCallback
from transformers.models.timm_wrapper.modeling_timm_wrapper import TimmWrapperForImageClassification

from hf_sslgen.domains.images import ImageSplit
from hf_sslgen.domains.loading import Domain
from hf_sslgen.domains.streams import ImageStream
from hf_sslgen.errors import InputError
from hf_sslgen.files import write_json
from hf_sslgen.preprocessing import Preprocessing
from hf_sslgen.training.arguments import FineTuningArguments, ModelArguments
from hf_sslgen.training.evaluation import Predictions, compute_metrics_for, preprocess_logits_for_metrics
from hf_sslgen.training.optimisation import Optimisation
from hf_sslgen.training.run_folder import (
    PREDICTIONS_FILE,
    RESULTS_FILE,
    claim_run_folder,
    finished_results,
    last_complete_checkpoint,
    require_disk_space,
    training_identity,
)
from hf_sslgen.training.samples import (
    Augmentation,
    EvaluationSamples,
    StreamedTrainingSamples,
    TrainingSamples,
    collate_with,
)
from hf_sslgen.training.trainer import FineTuningTrainer
from hf_sslgen.zoo.anatomy import freeze_all_but
from hf_sslgen.zoo.loading import LoadedBackbone
from hf_sslgen.zoo.preprocessing import PROCESSOR_FILES, read_preprocessing, resized_processor

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FineTuningResult:
    """Numbers on the validation and the test split, and the test split's predictions (None where read back).

    Where the test split was not measured its numbers are {} and its predictions None.
    """

    validation: dict[str, float]
    test: dict[str, float]
    predictions: Predictions | None


def class_weights(labels: np.ndarray, num_classes: int) -> torch.Tensor:
    """(C,) weights N / (C' N_c) of the C' classes that occur; classes without an image get 0."""
    counts = np.bincount(labels, minlength=num_classes)
    present = counts > 0
    weights = np.zeros(num_classes)
    weights[present] = counts.sum() / (present.sum() * counts[present])
    return torch.tensor(weights, dtype=torch.float32)


def build_trainer(
    backbone: LoadedBackbone,
    domain: Domain,
    model_arguments: ModelArguments,
    arguments: FineTuningArguments,
    optimisation: Optimisation | None = None,
) -> FineTuningTrainer:
    """A Trainer wired to the domain's splits; `arguments` are completed in place."""
    augmentation = Augmentation(
        minimum_area=model_arguments.minimum_crop_area,
        horizontal_flip=model_arguments.horizontal_flip and "horizontal_flip" not in domain.not_label_preserving,
    )
    geometry = backbone.preprocessing.geometry
    train: TrainingSamples | StreamedTrainingSamples
    if isinstance(domain.train, ImageStream):
        if arguments.max_steps <= 0:
            raise InputError("a stream has no length; say with --max_steps how long to train")
        if model_arguments.class_weighting == "balanced":
            raise InputError(
                "class_weighting 'balanced' needs the class counts, which a stream does not tell; drop it"
            )
        train = StreamedTrainingSamples(domain.train, geometry, augmentation, arguments.seed)
    else:
        train = TrainingSamples(domain.train, geometry, augmentation, arguments.seed)
    arguments.label_names = ["labels", "sample_ids"]
    callbacks = []
    if model_arguments.early_stopping_patience is not None:
        callbacks.append(EarlyStoppingCallback(model_arguments.early_stopping_patience))
    weights = None
    if model_arguments.class_weighting == "balanced" and isinstance(domain.train, ImageSplit):
        weights = class_weights(domain.train.labels, len(domain.class_names))
    return FineTuningTrainer(
        model=backbone.model,
        args=arguments,
        data_collator=collate_with(backbone.preprocessing),
        train_dataset=train,
        eval_dataset=EvaluationSamples(domain.validation, geometry),
        compute_metrics=compute_metrics_for(len(domain.class_names)),
        preprocess_logits_for_metrics=preprocess_logits_for_metrics,
        callbacks=callbacks,
        class_weights=weights,
        frozen_modules=freeze_all_but(backbone.model, model_arguments.trainable),
        optimisation=optimisation,
    )


def run_identity(
    backbone: LoadedBackbone,
    domain: Domain,
    model_arguments: ModelArguments,
    arguments: FineTuningArguments,
    optimisation: Optimisation | None = None,
) -> dict[str, Any]:
    """What decides the weights a run ends with."""
    return {
        **dataclasses.asdict(model_arguments),
        **(dataclasses.asdict(optimisation) if optimisation is not None else {}),
        "weights": backbone.weights,
        "preprocessing": dataclasses.asdict(backbone.preprocessing),
        "domain": domain.name,
        "class_names": list(domain.class_names),
        **domain.fingerprints(),
        **training_identity(arguments),
    }


def save_model(trainer: FineTuningTrainer, backbone: LoadedBackbone) -> None:
    """Save the model with its preprocessing, so that the folder loads by AutoModel and the image processor."""
    trainer.save_model()
    wrapped = isinstance(backbone.model, TimmWrapperForImageClassification)
    if trainer.is_world_process_zero() and not wrapped:
        source = str(backbone.model.config._name_or_path)
        try:
            processor = AutoImageProcessor.from_pretrained(source, trust_remote_code=False)
        except (OSError, ValueError):
            logger.warning("%s has no image processor to save with the model", source)
        else:
            processor.save_pretrained(trainer.args.output_dir)
            _save_image_size(Path(str(trainer.args.output_dir)), backbone)


def _save_image_size(folder: Path, backbone: LoadedBackbone) -> None:
    """Where the model was trained on another input size than its checkpoint's, let the saved processor make that."""
    wanted, config = backbone.preprocessing, backbone.model.config
    if _makes(folder, config, wanted):
        return
    path = folder / PROCESSOR_FILES[0]
    write_json(path, resized_processor(json.loads(path.read_text(encoding="utf-8")), wanted.geometry))
    if not _makes(folder, config, wanted):
        logger.warning(
            "the image processor saved in %s can't say that %s was trained on %d px, %s; give its input so",
            folder,
            backbone.name,
            wanted.geometry.image_size,
            wanted.geometry,
        )


def _makes(folder: Path, config: Any, wanted: Preprocessing) -> bool:
    """Whether a saved image processor makes such input; half a pixel of a margin may be rounded otherwise."""
    try:
        found = read_preprocessing(folder, config)
    except InputError:
        return False
    geometry = dataclasses.replace(found.geometry, margins=wanted.geometry.margins)
    return dataclasses.replace(found, geometry=geometry) == wanted


def predict(trainer: FineTuningTrainer, split: ImageSplit, backbone: LoadedBackbone) -> Predictions:
    """Predictions of the trained model on a split."""
    output = trainer.predict(EvaluationSamples(split, backbone.preprocessing.geometry))
    return Predictions.from_evaluation(output.predictions, output.label_ids)


def _to_json(numbers: dict[str, float]) -> dict[str, float | None]:
    """Numbers for JSON, in which one that can't be had is null."""
    return {name: None if math.isnan(value) else value for name, value in numbers.items()}


def _from_json(numbers: dict[str, float | None]) -> dict[str, float]:
    return {name: math.nan if value is None else value for name, value in numbers.items()}


def finetune(
    backbone: LoadedBackbone,
    domain: Domain,
    model_arguments: ModelArguments,
    arguments: FineTuningArguments,
    optimisation: Optimisation | None = None,
    measure_test: bool = True,
) -> FineTuningResult:
    """Fine-tune, keep the best checkpoint, and measure it on the test split.

    `arguments.output_dir` receives the model, `run.json` (the configuration), `results.json` and
    `predictions.parquet`. A run that was interrupted goes on from its last complete checkpoint; a finished one is
    read back.

    Args:
        optimisation: optimiser and schedule, where they are not what `arguments` say.
        measure_test: whether the test split is measured too; a run that only competes in a selection need not see it.

    Raises:
        InputError: the folder holds another configuration, the disk is too small, or the Trainer is told to push.
        DivergedError: the loss, or a prediction after training, is not finite.
    """
    import pandas as pd

    if arguments.push_to_hub or arguments.hub_token is not None:
        raise InputError(
            "the Trainer would push unseen, and store the token with its arguments; take both out of the arguments "
            "with hf_sslgen.hub.arguments.take_push_request, and push when training has ended"
        )
    folder = Path(arguments.output_dir)
    num_parameters = sum(p.numel() for p in backbone.model.parameters())
    with arguments.main_process_first(local=False, desc="claiming the output folder"):
        require_disk_space(folder, num_parameters, (arguments.save_total_limit or 1) + 1)
        claim_run_folder(folder, run_identity(backbone, domain, model_arguments, arguments, optimisation))
        checkpoint = last_complete_checkpoint(folder, remove_incomplete=arguments.process_index == 0)
    finished = finished_results(folder)
    if finished is not None:
        logger.info("%s is already finished", folder)
        return FineTuningResult(_from_json(finished["validation"]), _from_json(finished["test"]), None)
    trainer = build_trainer(backbone, domain, model_arguments, arguments, optimisation)
    if checkpoint is not None:
        logger.info("going on from %s", checkpoint)
    trainer.train(resume_from_checkpoint=checkpoint)
    save_model(trainer, backbone)
    num_classes = len(domain.class_names)
    validation = predict(trainer, domain.validation, backbone)
    test = predict(trainer, domain.test, backbone) if measure_test else None
    result = FineTuningResult(
        validation.measures(num_classes), {} if test is None else test.measures(num_classes), test
    )
    if trainer.is_world_process_zero():
        if test is not None:
            pd.DataFrame(dataclasses.asdict(test)).to_parquet(folder / PREDICTIONS_FILE, index=False)
        stored: dict[str, Any] = {"validation": _to_json(result.validation), "test": _to_json(result.test)}
        if domain.found is not None:
            stored["dataset"] = dataclasses.asdict(domain.found)
        write_json(folder / RESULTS_FILE, stored)
    return result
