"""Optimisers and learning-rate schedules of published protocols that the Trainer does not offer."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import nn
from torch.optim.lr_scheduler import LambdaLR
from transformers import PreTrainedModel, TrainingArguments

from hf_sslgen.zoo.anatomy import find_classifier, transformer_blocks


@dataclass(frozen=True)
class Optimisation:
    """Optimisation settings that the Trainer's own arguments can't express.

    Attributes:
        momentum, nesterov: settings for SGD.
        decay_all_parameters: whether to apply weight decay to biases and normalisation layers too.
        layer_decay: factor of the learning rate from each layer of a vision transformer to the previous one.
        step_milestones: after each of these steps the learning rate is multiplied by `step_factor`; None leaves the
            schedule to the Trainer.
    """

    optimiser: Literal["adamw", "sgd"]
    momentum: float = 0.9
    nesterov: bool = False
    decay_all_parameters: bool = False
    layer_decay: float | None = None
    step_milestones: tuple[int, ...] | None = None
    step_factor: float = 0.1


def optimiser_of_architecture(model: nn.Module) -> Literal["adamw", "sgd"]:
    """Choose AdamW for networks with layer normalisation (vision transformers, Swin, ConvNeXt), SGD for others."""
    return "adamw" if any(isinstance(module, nn.LayerNorm) for module in model.modules()) else "sgd"


def layer_scales(model: PreTrainedModel, layer_decay: float) -> dict[str, float]:
    """Return the learning-rate factor of each parameter in a vision transformer; {} for other networks.

    With L blocks it is layer_decay^(L + 1 - l), where l is 0 for parameters before the blocks (patch and position
    embedding, class token), i + 1 for block i, and L + 1 for those after (final normalisation, classifier).
    """
    blocks = transformer_blocks(model)
    if not blocks:
        return {}
    scales = {}
    seen_block = False
    classifier_name, _ = find_classifier(model)
    for name, _ in model.named_parameters():
        depth = next((i + 1 for i, block in enumerate(blocks) if name.startswith(f"{block}.")), None)
        seen_block = seen_block or depth is not None
        if depth is None:
            depth = len(blocks) + 1 if seen_block or name.startswith(f"{classifier_name}.") else 0
        scales[name] = layer_decay ** (len(blocks) + 1 - depth)
    return scales


def build_optimiser(
    model: PreTrainedModel, decayed: Collection[str], arguments: TrainingArguments, optimisation: Optimisation
) -> torch.optim.Optimizer:
    """Create an optimiser for the trainable parameters, grouped by learning rate and weight decay.

    Args:
        decayed: names of the parameters that the Trainer would decay.
    """
    scales = layer_scales(model, optimisation.layer_decay) if optimisation.layer_decay is not None else {}
    groups: dict[tuple[float, bool], dict[str, Any]] = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        scale, decays = scales.get(name, 1.0), optimisation.decay_all_parameters or name in decayed
        group = groups.setdefault(
            (scale, decays),
            {
                "params": [],
                "lr": scale * arguments.learning_rate,
                "weight_decay": arguments.weight_decay if decays else 0.0,
            },
        )
        group["params"].append(parameter)
    if optimisation.optimiser == "sgd":
        return torch.optim.SGD(
            groups.values(),
            lr=arguments.learning_rate,
            momentum=optimisation.momentum,
            nesterov=optimisation.nesterov,
        )
    return torch.optim.AdamW(
        groups.values(),
        lr=arguments.learning_rate,
        betas=(arguments.adam_beta1, arguments.adam_beta2),
        eps=arguments.adam_epsilon,
    )


def step_schedule(
    optimiser: torch.optim.Optimizer, milestones: Collection[int], factor: float, warmup_steps: int
) -> LambdaLR:
    """Create a schedule: linear warm-up from 0, then the learning rate times factor^(milestones passed).

    A milestone m is passed from step m + 1 on, counting from 0 (TensorFlow's `piecewise_constant`, which VTAB uses).
    """

    def scale(step: int) -> float:
        if step < warmup_steps:
            return step / warmup_steps
        return float(factor ** sum(step > milestone for milestone in milestones))

    return LambdaLR(optimiser, scale)
