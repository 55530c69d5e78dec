"""Fold batch normalisation into the preceding convolutions: the same function with fewer operations."""

import copy
import itertools
from collections.abc import Iterator

import torch
from timm.layers import BatchNormAct2d
from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval
from transformers import PreTrainedModel

TOLERANCE = 1e-3
"""Fraction of the largest logit by which folding may change logits; a GPU's TF32 stays within it."""


def _pairs(model: nn.Module, kept: str | None) -> Iterator[tuple[nn.Module, str, str]]:
    """Iterate over modules with the names of a child convolution and the normalisation that follows it."""
    for path, parent in model.named_modules():
        children = list(parent.named_children())
        for (name, module), (next_name, following) in itertools.pairwise(children):
            is_kept = kept is not None and kept in (f"{path}.{name}".strip("."), f"{path}.{next_name}".strip("."))
            if is_kept or not isinstance(module, nn.Conv2d) or not isinstance(following, nn.BatchNorm2d):
                continue
            if module.out_channels == following.num_features:
                yield parent, name, next_name


def _agree(folded: PreTrainedModel, model: PreTrainedModel, side: int) -> bool:
    """Whether both produce the same logits for a noise image."""
    noise = torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(0)).to(model.device)
    with torch.no_grad():
        expected, found = model(pixel_values=noise).logits, folded(pixel_values=noise).logits
    return bool((found - expected).abs().max() <= TOLERANCE * expected.abs().max())


def fold_batch_norm(model: PreTrainedModel, side: int, kept: str | None = None) -> PreTrainedModel:
    """Return a copy in which convolutions include the batch normalisations that follow them.

    The order of a module's children does not prove the order in the forward pass, so the copy must produce the same
    logits as the model; if it does not, or there is nothing to fold, the model itself is returned.

    Args:
        model: float32, in evaluation mode.
        side: side of the network's input in pixels.
        kept: name of a module whose output is observed and must not change.
    """
    if next(_pairs(model, kept), None) is None:
        return model
    folded = copy.deepcopy(model)
    for parent, name, next_name in list(_pairs(folded, kept)):
        convolution, normalisation = parent.get_submodule(name), parent.get_submodule(next_name)
        assert isinstance(convolution, nn.Conv2d) and isinstance(normalisation, nn.BatchNorm2d)
        setattr(parent, name, fuse_conv_bn_eval(convolution, normalisation))
        rest: nn.Module = nn.Identity()
        if isinstance(normalisation, BatchNormAct2d):
            rest = nn.Sequential(normalisation.drop, normalisation.act)
        setattr(parent, next_name, rest)
    return folded if _agree(folded, model, side) else model
