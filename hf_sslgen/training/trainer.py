"""Trainer adapted for comparable fine-tuning: custom loss, reproducible order, frozen modules, stop on NaN."""

import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import (
    PreTrainedModel,
    SchedulerType,
    Trainer,
)
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR, EvalLoopOutput, TrainOutput, rotate_checkpoints
from transformers.training_args import OptimizerNames

from hf_sslgen.checksums import damage, files_below, write_checksums
from hf_sslgen.errors import DivergedError, InputError
from hf_sslgen.files import give_usual_mode
from hf_sslgen.memory import naming_batch_size
from hf_sslgen.preprocessing import Preprocessing, normalise
from hf_sslgen.training.optimisation import Optimisation, build_optimiser, step_schedule
from hf_sslgen.training.samples import EpochOrder, StreamedTrainingSamples, StreamOrder
from hf_sslgen.training.trainer_callbacks import FollowEpoch, PassOver
from hf_sslgen.zoo.anatomy import is_convolutional


def load_checkpoint_weights(model: PreTrainedModel, folder: str) -> None:
    """Load a checkpoint's weights into a model, in place.

    transformers saves some architectures (ViT) under older key names. The Trainer's own loading does not translate
    them back and keeps the model's current weights; `from_pretrained` does translate them, and here no weight may be
    missing.
    """
    saved = type(model).from_pretrained(folder, dtype=torch.float32, use_safetensors=True)
    model.load_state_dict(saved.state_dict())


class FineTuningTrainer(Trainer):
    """A Trainer for image classifiers whose batches carry `pixel_values`, `labels` and `sample_ids`.

    Args:
        preprocessing: how the bytes of a batch are normalised.
        class_weights: (C,) class weights for the loss, or None.
        frozen_modules: modules kept in evaluation mode while the rest trains.
        optimisation: optimiser and schedule, if they differ from the Trainer's own.

    Attributes:
        before_saving: called in the main process before each checkpoint; an error in it ends the training.
    """

    def __init__(
        self,
        *args: Any,
        preprocessing: Preprocessing,
        class_weights: Tensor | None = None,
        frozen_modules: list[nn.Module],
        optimisation: Optimisation | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        assert isinstance(self.model, PreTrainedModel)
        self.pretrained_model = self.model
        self.preprocessing = preprocessing
        self.memory_format = self._fitting_memory_format()
        if self.memory_format is not torch.contiguous_format:
            nn.Module.to(self.pretrained_model, memory_format=self.memory_format)
        self.args.logging_nan_inf_filter = False  # it would wait for the device at every step; see `compute_loss`
        self.unchecked_loss: tuple[int, Tensor] | None = None
        self.num_parameters = self.pretrained_model.num_parameters(exclude_embeddings=True)
        self.class_weights = class_weights
        self.frozen_modules = frozen_modules
        self.optimisation = optimisation
        self.before_saving: Callable[[], None] = lambda: None
        # The loss below is a mean over the micro-batch; the Trainer then divides it by the accumulation steps.
        self.model_accepts_loss_kwargs = False

    def _fitting_memory_format(self) -> torch.memory_format:
        """Choose channels last for convolutional networks, except in full precision on a GPU, which may lose by it."""
        is_slower = self.args.device.type != "cpu" and not (self.args.bf16 or self.args.fp16)
        is_sharded = self.is_fsdp_enabled or self.is_deepspeed_enabled  # they require contiguous weights
        if is_slower or is_sharded or not is_convolutional(self.pretrained_model):
            return torch.contiguous_format
        return torch.channels_last

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        if self.optimisation is not None and self.optimizer is None:
            named = self.pretrained_model if model is None else model
            self.optimizer = build_optimiser(
                named, self.get_decay_parameter_names(named), self.args, self.optimisation
            )
        try:
            return super().create_optimizer(model)
        except (ValueError, TypeError, ImportError) as error:
            raise InputError(
                f"optim {OptimizerNames(self.args.optim).value!r}: {' '.join(str(error).split())}"
            ) from error

    def create_scheduler(
        self, num_training_steps: int, optimizer: torch.optim.Optimizer | None = None
    ) -> torch.optim.lr_scheduler.LRScheduler:
        if self.optimisation is not None and self.optimisation.step_milestones is not None:
            scheduled = optimizer or self.optimizer
            assert scheduled is not None
            self.lr_scheduler = step_schedule(
                scheduled,
                self.optimisation.step_milestones,
                self.optimisation.step_factor,
                self.args.get_warmup_steps(num_training_steps),
            )
            self._created_lr_scheduler = True
        try:
            return super().create_scheduler(num_training_steps, optimizer)
        except (ValueError, TypeError) as error:
            raise InputError(
                f"lr_scheduler_type {SchedulerType(self.args.lr_scheduler_type).value!r} with lr_scheduler_kwargs "
                f"{self.args.lr_scheduler_kwargs}: {' '.join(str(error).split())}"
            ) from error

    def _get_train_sampler(self, train_dataset: Any = None) -> EpochOrder | StreamOrder:
        dataset: Any = self.train_dataset if train_dataset is None else train_dataset
        if isinstance(dataset, StreamedTrainingSamples):
            stream_order = StreamOrder(dataset.stream)
            self.add_callback(PassOver(stream_order))
            return stream_order
        order = EpochOrder(len(dataset), self.args.seed if self.args.data_seed is None else self.args.data_seed)
        self.add_callback(FollowEpoch(order))
        return order

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        if self.is_fsdp_enabled or self.is_deepspeed_enabled:
            super()._load_from_checkpoint(resume_from_checkpoint, model)
        else:
            load_checkpoint_weights(self.pretrained_model, resume_from_checkpoint)

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        """Save a checkpoint, then its checksums, then remove older ones, so that a complete one always exists."""
        folder = Path(str(self.args.output_dir)) / f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}"
        if self.args.process_index == 0:
            self.before_saving()
        kept, self.args.save_total_limit = self.args.save_total_limit, None
        is_whole = False
        try:
            super()._save_checkpoint(model, trial)
            self.accelerator.wait_for_everyone()  # each process writes its own random state
            if self.args.should_save:
                write_checksums(folder, files_below(folder))
            is_whole = True
        finally:
            self.args.save_total_limit = kept
            if not is_whole and self.args.should_save:
                shutil.rmtree(folder, ignore_errors=True)
        if self.args.should_save:
            rotate_checkpoints(str(folder.parent), kept, self.state.best_model_checkpoint, use_mtime=True)
        self.accelerator.wait_for_everyone()

    def _load_best_model(self) -> None:
        best = self.state.best_model_checkpoint
        wrong = damage(Path(best)) if best is not None else None
        if wrong is not None:
            raise InputError(
                f"the best checkpoint, {best}, can't be used: {wrong}; run the same command again to resume from an "
                "earlier one",
                of_one_process=True,
            )
        if self.is_fsdp_enabled or self.is_deepspeed_enabled:
            super()._load_best_model()
        elif self.state.best_model_checkpoint is not None:
            load_checkpoint_weights(self.pretrained_model, self.state.best_model_checkpoint)

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Tensor] | None = None) -> None:
        super()._save(output_dir, state_dict)
        for weights in Path(output_dir or str(self.args.output_dir)).glob("*.safetensors"):
            give_usual_mode(weights)

    def evaluation_loop(self, *args: Any, **kwargs: Any) -> EvalLoopOutput:
        with naming_batch_size("--per_device_eval_batch_size", self.args.per_device_eval_batch_size):
            return super().evaluation_loop(*args, **kwargs)

    def _prepare_inputs(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Move a batch to the device as bytes and normalise it there."""
        inputs = super()._prepare_inputs(inputs)
        pixels = inputs["pixel_values"]
        if pixels.dtype != torch.uint8:
            return inputs
        pixels = normalise(pixels.contiguous(memory_format=self.memory_format), self.preprocessing)
        return super()._prepare_inputs({**inputs, "pixel_values": pixels})  # DeepSpeed converts floats

    def floating_point_ops(self, inputs: dict[str, Any]) -> int:
        """Estimate as the Trainer does, without counting the parameters at every step."""
        return 6 * int(inputs["pixel_values"].numel()) * self.num_parameters

    def train(self, *args: Any, **kwargs: Any) -> TrainOutput:
        output = super().train(*args, **kwargs)
        self._require_finite_loss()
        return output

    def _maybe_log_save_evaluate(self, *args: Any, **kwargs: Any) -> None:
        if self.control.should_evaluate or self.control.should_save:
            self._require_finite_loss()
        super()._maybe_log_save_evaluate(*args, **kwargs)

    def _require_finite_loss(self) -> None:
        """Raise DivergedError if the last training loss is not finite."""
        if self.unchecked_loss is None:
            return
        (step, tensor), self.unchecked_loss = self.unchecked_loss, None
        loss = tensor.item()
        if not math.isfinite(loss):
            raise DivergedError(
                f"the loss became {loss} at step {step} (learning_rate {self.args.learning_rate:g}); a lower "
                "learning_rate, warmup_steps or max_grad_norm would help"
            )

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Tensor],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """Compute cross-entropy with class weights; evaluation is always unweighted and unsmoothed."""
        if model.training:
            for module in self.frozen_modules:
                module.eval()
        logits = model(pixel_values=inputs["pixel_values"]).logits.float()
        weights = self.class_weights.to(logits.device) if self.class_weights is not None and model.training else None
        smoothing = self.args.label_smoothing_factor if model.training else 0.0
        loss = F.cross_entropy(logits, inputs["labels"], weight=weights, label_smoothing=smoothing)
        if model.training:
            # Reading this loss would wait for the device; the one before it has been computed by now.
            self._require_finite_loss()
            self.unchecked_loss = (self.state.global_step + 1, loss.detach())
        return (loss, {"loss": loss, "logits": logits}) if return_outputs else loss
