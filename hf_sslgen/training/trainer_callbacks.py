"""Callbacks that keep the order of images and the best checkpoint right when a run is resumed."""

from pathlib import Path
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from hf_sslgen.training.samples import EpochOrder, StreamOrder


class FollowEpoch(TrainerCallback):
    """Callback that tells the sampler which epoch begins.

    Accelerate does so in most set-ups, but not for a resumed epoch in several processes.
    """

    def __init__(self, order: EpochOrder) -> None:
        self.order = order

    def on_epoch_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        # The Trainer's epoch is a float that counts finished steps; the margin absorbs its rounding.
        self.order.set_epoch(int((state.epoch or 0.0) + 1e-6))


class PassOver(TrainerCallback):
    """Callback that tells a stream how many images a resumed run has seen, which the Trainer then skips."""

    def __init__(self, order: StreamOrder) -> None:
        self.order = order

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if not args.ignore_data_skip:
            steps = state.global_step * args.gradient_accumulation_steps
            self.order.start = steps * args.train_batch_size * args.world_size


class KnowBest(TrainerCallback):
    """Callback that tells a resumed run where its best checkpoint is.

    If the recorded path no longer exists, because the run's folder was moved or the working directory differs, the
    Trainer forgets the best checkpoint and ends with other weights.
    """

    def __init__(self, best: Path) -> None:
        self.best = best

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        state.best_model_checkpoint = str(self.best)
