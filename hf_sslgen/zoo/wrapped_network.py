"""Take a network that is being trained elsewhere as a backbone to measure, without touching it."""

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parallel import DataParallel, DistributedDataParallel
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.image_processing_utils import BaseImageProcessor
from transformers.modeling_outputs import ImageClassifierOutput
from transformers.models.timm_wrapper.configuration_timm_wrapper import TimmWrapperConfig
from transformers.models.timm_wrapper.modeling_timm_wrapper import TimmWrapperForImageClassification

from hf_sslgen.errors import InputError
from hf_sslgen.preprocessing import Preprocessing
from hf_sslgen.zoo.anatomy import find_classifier
from hf_sslgen.zoo.backbone_loading import LoadedBackbone
from hf_sslgen.zoo.checkpoint_preprocessing import preprocessing_of_processor, preprocessing_of_timm

Processor = Preprocessing | BaseImageProcessor | Mapping[str, Any]
"""How pictures become a network's input: transformers' image processor, or timm's data configuration."""


def _with_outputs(config: PreTrainedConfig, num_classes: int) -> PreTrainedConfig:
    config.num_labels = num_classes
    return config


class _TimmNetwork(TimmWrapperForImageClassification):
    """A timm network with the interface that transformers gives it."""

    def __init__(self, network: nn.Module, num_classes: int) -> None:
        PreTrainedModel.__init__(self, _with_outputs(TimmWrapperConfig(), num_classes))
        self.timm_model = network
        self.num_labels = num_classes


class _AnyNetwork(PreTrainedModel):
    """A module that maps pixels to logits, or to a mapping that holds them, with the interface of transformers."""

    config_class = PreTrainedConfig

    def __init__(self, network: nn.Module, num_classes: int) -> None:
        super().__init__(_with_outputs(PreTrainedConfig(), num_classes))
        self.network = network

    def forward(self, pixel_values: Tensor) -> ImageClassifierOutput:
        made = self.network(pixel_values)
        return ImageClassifierOutput(logits=made["logits"] if isinstance(made, Mapping) else made)


def _unwrapped(model: nn.Module) -> nn.Module:
    while isinstance(model, DistributedDataParallel | DataParallel | torch._dynamo.OptimizedModule):
        model = model._orig_mod if isinstance(model, torch._dynamo.OptimizedModule) else model.module
    return model


def _copied(model: nn.Module) -> nn.Module:
    """Return a float32 copy in evaluation mode, without the autocasting that accelerate puts around `forward`."""
    if any(type(each) is not nn.Parameter for each in model.parameters()):
        raise InputError(
            f"model {type(model).__name__} has parameters that are quantised or sharded over processes; gather them "
            "into a plain copy, and give that"
        )
    try:
        copied = copy.deepcopy(model)
    except (RuntimeError, TypeError) as error:
        raise InputError(f"model {type(model).__name__} can't be copied to be measured: {error}") from error
    for name in ("forward", "_original_forward"):
        vars(copied).pop(name, None)
    copied.zero_grad(set_to_none=True)
    return copied.float().eval()


def _wrapped(network: nn.Module) -> PreTrainedModel:
    if isinstance(network, PreTrainedModel):
        return network
    linear = [module for module in network.modules() if isinstance(module, nn.Linear)]
    if type(network).__module__.startswith("timm."):
        return _TimmNetwork(network, network.num_classes)  # type: ignore[arg-type]
    if not linear:
        raise InputError(f"model {type(network).__name__} has no linear layer that could produce its logits")
    return _AnyNetwork(network, linear[-1].out_features)


def _preprocessing(model: nn.Module, processor: Processor | None) -> Preprocessing:
    """Return the preprocessing that is given, or else the one that a timm network states.

    Raises:
        InputError: none is given or stated, or it can't be reproduced.
    """
    if isinstance(processor, Preprocessing):
        return processor
    if isinstance(processor, BaseImageProcessor):
        return preprocessing_of_processor(processor)
    if processor is not None:
        return preprocessing_of_timm(processor)
    if isinstance(model, TimmWrapperForImageClassification):
        stated = vars(model.config).get("pretrained_cfg") or vars(model.timm_model).get("pretrained_cfg")
        if stated:
            return preprocessing_of_timm(stated)
    raise InputError(
        f"processor is missing, and {type(model).__name__} does not state how pictures become its input; give its "
        "image processor, or timm's data configuration"
    )


def as_backbone(model: nn.Module, processor: Processor | None = None) -> LoadedBackbone:
    """Copy a classifier that is being trained, to measure it as a backbone with a trained head.

    Args:
        model: a classifier of transformers or timm, or a module that maps (B, 3, H, W) to logits (B, C) or to a
            mapping with `logits`, and ends in one linear layer.
        processor: None for a timm network's own.

    Raises:
        InputError: the network can't be copied or does not end in a linear layer, or its preprocessing is unknown.
    """
    wrapped = _wrapped(_copied(_unwrapped(model)))
    find_classifier(wrapped)
    return LoadedBackbone(
        type(model).__name__, wrapped, _preprocessing(wrapped, processor), "", "", has_trained_head=True
    )
