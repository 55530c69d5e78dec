"""A backbone with each of the faults that a preflight has to name."""

import copy
from dataclasses import dataclass, replace

from timm.layers import Conv2dSame
from timm.layers.pool2d_same import MaxPool2dSame
from torch import nn
from transformers import PreTrainedModel

from hf_sslgen.zoo.backbone_loading import LoadedBackbone

BYTE = (1 / 255, 1 / 255, 1 / 255)
ZERO, ONE, HALF = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (0.5, 0.5, 0.5)
IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


@dataclass(frozen=True, eq=False)
class Spoilt:
    """A backbone with a fault, and the kind and severity of the finding that names it."""

    fault: str
    backbone: LoadedBackbone
    kind: str
    severity: str


def _same_padding(model: PreTrainedModel) -> PreTrainedModel:
    model = copy.deepcopy(model)
    for name, module in list(model.named_modules()):
        parent, _, own = name.rpartition(".")
        if isinstance(module, nn.MaxPool2d):
            setattr(model.get_submodule(parent), own, MaxPool2dSame(3, 2))
        elif isinstance(module, nn.Conv2d) and module.stride == (2, 2) and module.kernel_size[0] > 1:
            same = Conv2dSame(module.in_channels, module.out_channels, module.kernel_size[0], 2, bias=False)
            same.load_state_dict(module.state_dict())
            setattr(model.get_submodule(parent), own, same)
    return model


def _torch_padding(model: PreTrainedModel) -> PreTrainedModel:
    model = copy.deepcopy(model)
    for name, module in list(model.named_modules()):
        if isinstance(module, Conv2dSame):
            parent, _, own = name.rpartition(".")
            size, groups = module.kernel_size[0], module.groups
            own_padding = nn.Conv2d(
                module.in_channels, module.out_channels, size, 2, (size - 1) // 2, groups=groups, bias=False
            )
            own_padding.load_state_dict(module.state_dict())
            setattr(model.get_submodule(parent), own, own_padding)
    return model


def _collapsed(model: PreTrainedModel) -> PreTrainedModel:
    """Return a network whose blocks add nothing but their bias."""
    model = copy.deepcopy(model)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.zeros_(module.weight)
    return model


def spoilt_backbones(backbone: LoadedBackbone) -> list[Spoilt]:
    """Return a backbone that was trained with ImageNet's mean and std, or with 0.5, with one fault after the other."""
    own = backbone.preprocessing
    mean, std = (HALF, HALF) if own.mean != HALF else IMAGENET
    stated = {
        "[0, 255]": (replace(own, mean=ZERO, std=BYTE), "input_scale", "wrong"),
        "[0, 255] less the mean": (replace(own, std=BYTE), "input_scale", "wrong"),
        "[0, 1]": (replace(own, mean=ZERO, std=ONE), "input_scale", "wrong"),
        "another mean and std": (replace(own, mean=mean, std=std), "input_scale", "wrong"),
        "BGR": (replace(own, channels="BGR"), "channel_order", "wrong"),
        "a brighter mean": (replace(own, mean=tuple(each + 0.2 for each in own.mean)), "input_mean", "wrong"),  # type: ignore[arg-type]
        "another mean": (replace(own, mean=mean), "input_mean", "look"),
    }
    changed = [Spoilt(fault, replace(backbone, preprocessing=pp), *wanted) for fault, (pp, *wanted) in stated.items()]
    is_same = any(isinstance(module, Conv2dSame) for module in backbone.model.modules())
    padded = _torch_padding(backbone.model) if is_same else _same_padding(backbone.model)
    changed.append(Spoilt("the other padding", replace(backbone, model=padded), "padding", "look"))
    collapsed = replace(backbone, model=_collapsed(backbone.model))
    changed.append(Spoilt("collapsed", collapsed, "collapsed", "wrong"))
    return changed
