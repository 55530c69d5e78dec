"""Set up the Trainer of a fine-tuning run with a domain's splits."""

import numpy as np
import torch
from transformers import EarlyStoppingCallback

from hf_sslgen.domains.domain_loading import Domain
from hf_sslgen.domains.images import ImageSplit
from hf_sslgen.domains.streaming.training_stream import ImageStream
from hf_sslgen.errors import InputError
from hf_sslgen.metrics.catalogue.prediction_functions import TOP_K
from hf_sslgen.training.evaluation import compute_metrics_for, preprocess_logits_for_metrics
from hf_sslgen.training.finetuning_arguments import FineTuningArguments, ModelArguments
from hf_sslgen.training.optimisation import Optimisation
from hf_sslgen.training.picture_cache import DecodedPictures
from hf_sslgen.training.random_crop import Augmentation
from hf_sslgen.training.samples import EvaluationSamples, StreamedTrainingSamples, TrainingSamples, collate
from hf_sslgen.training.trainer import FineTuningTrainer
from hf_sslgen.zoo.anatomy import freeze_all_but
from hf_sslgen.zoo.backbone_loading import LoadedBackbone


def class_weights(labels: np.ndarray, num_classes: int) -> torch.Tensor:
    """Return weights (C,) of N / (C' N_c) for the C' classes that occur; classes without an image get 0."""
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
    pictures: DecodedPictures | None = None,
) -> FineTuningTrainer:
    """Return a Trainer with the domain's splits; `arguments` are completed in place.

    Args:
        pictures: keeps the splits' decoded pictures; None decodes them anew in every epoch.
    """
    augmentation = Augmentation(
        minimum_area=model_arguments.minimum_crop_area,
        horizontal_flip=model_arguments.horizontal_flip and "horizontal_flip" not in domain.not_label_preserving,
    )
    geometry = backbone.preprocessing.geometry
    train: TrainingSamples | StreamedTrainingSamples
    if isinstance(domain.train, ImageStream):
        if arguments.max_steps <= 0:
            raise InputError("a stream has no length; set the length of training with --max_steps")
        if model_arguments.class_weighting == "balanced":
            raise InputError("class_weighting 'balanced' needs class counts, which a stream does not have; drop it")
        train = StreamedTrainingSamples(domain.train, geometry, augmentation, arguments.seed)
    else:
        decoded = None if pictures is None else pictures.of(domain.train)
        train = TrainingSamples(domain.train, geometry, augmentation, arguments.seed, decoded)
    arguments.label_names = ["labels", "sample_ids"]
    _check_network_options(backbone, domain, arguments)
    callbacks = []
    if model_arguments.early_stopping_patience is not None:
        if not arguments.load_best_model_at_end:
            raise InputError(
                "early_stopping_patience needs the best checkpoint; leave load_best_model_at_end true, "
                "and eval_strategy epoch or steps"
            )
        callbacks.append(EarlyStoppingCallback(model_arguments.early_stopping_patience))
    weights = None
    if model_arguments.class_weighting == "balanced" and isinstance(domain.train, ImageSplit):
        weights = class_weights(domain.train.labels, len(domain.class_names))
    prepared = None if pictures is None else pictures.of(domain.validation, geometry)
    return FineTuningTrainer(
        model=backbone.model,
        args=arguments,
        data_collator=collate,
        train_dataset=train,
        eval_dataset=EvaluationSamples(domain.validation, geometry, prepared),
        compute_metrics=compute_metrics_for(len(domain.class_names)),
        preprocess_logits_for_metrics=preprocess_logits_for_metrics,
        callbacks=callbacks,
        preprocessing=backbone.preprocessing,
        class_weights=weights,
        frozen_modules=freeze_all_but(backbone.model, model_arguments.trainable),
        optimisation=optimisation,
    )


def _check_network_options(backbone: LoadedBackbone, domain: Domain, arguments: FineTuningArguments) -> None:
    """Raise InputError for options that the network or the number of classes does not support."""
    if arguments.activation_checkpointing and not backbone.model.supports_gradient_checkpointing:
        raise InputError(f"activation_checkpointing: {backbone.name} does not support it; drop the option")
    if arguments.metric_for_best_model == "top_5_accuracy" and len(domain.class_names) <= TOP_K:
        raise InputError(
            f"metric_for_best_model is top_5_accuracy, but {len(domain.class_names)} classes are too few for it; "
            "give accuracy"
        )
