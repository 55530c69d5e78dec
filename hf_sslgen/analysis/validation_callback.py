"""A callback that adds this package's validation numbers to any Trainer's evaluations."""

import math
from typing import Any

import numpy.typing as npt
from accelerate.utils import broadcast_object_list
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.image_processing_utils import BaseImageProcessor

from hf_sslgen.analysis.analysis_settings import AnalysisSettings
from hf_sslgen.analysis.validation_numbers import DEFAULT_SETTINGS, Images, validation_numbers
from hf_sslgen.errors import InputError
from hf_sslgen.zoo.wrapped_network import Processor

PREFIX = "eval_sslgen_"
"""Prefix of the numbers among a Trainer's metrics, which trackers show as `eval/sslgen_...`."""


class ValidationNumbers(TrainerCallback):
    """Measure the network at every evaluation of a Trainer, as `validation_numbers` does.

    The numbers are logged to the Trainer's trackers and join the evaluation's metrics, so one of them can select the
    best checkpoint (`metric_for_best_model="sslgen_negative_log_likelihood", greater_is_better=False`). Training goes
    on exactly as without the callback.

    >>> trainer.add_callback(ValidationNumbers(trainer, images))  # doctest: +SKIP

    Args:
        trainer: the Trainer that the callback is added to.
        images, labels, settings: as in `validation_numbers`.
        processor: by default the Trainer's `processing_class`, or a timm network's own.
        prefix: begins the numbers' names; a name that the evaluation has already keeps the evaluation's number.

    Raises:
        InputError: the Trainer shards the network over processes.
    """

    def __init__(
        self,
        trainer: Trainer,
        images: Images,
        labels: npt.ArrayLike | None = None,
        *,
        processor: Processor | None = None,
        settings: AnalysisSettings = DEFAULT_SETTINGS,
        prefix: str = PREFIX,
    ) -> None:
        if trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled:
            raise InputError(
                "ValidationNumbers measures a copy of the whole network, which FSDP and DeepSpeed shard; "
                "measure saved checkpoints with `hf-sslgen analyze`"
            )
        if processor is None and isinstance(trainer.processing_class, BaseImageProcessor):
            processor = trainer.processing_class
        self._trainer, self._images, self._labels = trainer, images, labels
        self._processor, self._settings, self._prefix = processor, settings, prefix
        self._is_training = False
        self._measured: tuple[int, dict[str, float]] | None = None  # while training only: later, weights may change

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._is_training, self._measured = True, None

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._is_training, self._measured = False, None

    def on_evaluate(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        metrics: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Measure, once per step while training, log the defined numbers and add them to the metrics."""
        of_evaluation = {} if metrics is None else metrics
        if self._measured is None or self._measured[0] != state.global_step:
            found = {name: value for name, value in self._numbers(args).items() if name not in of_evaluation}
            self._measured = state.global_step, found
            self._trainer.log(dict(found))
        of_evaluation.update(self._measured[1])
        if not self._is_training:
            self._measured = None

    def _numbers(self, args: TrainingArguments) -> dict[str, float]:
        """Measure in the main process alone, and tell the others, because all must decide alike."""
        found: list[dict[str, float]] = [{}]
        if args.process_index == 0:
            model = self._trainer.model
            assert model is not None
            found[0] = validation_numbers(
                model, self._images, self._labels, processor=self._processor, settings=self._settings
            )
        if args.world_size > 1:
            broadcast_object_list(found)
        return {f"{self._prefix}{name}": value for name, value in found[0].items() if not math.isnan(value)}
