"""The last MLP of vision transformers that pool one token, for that token alone: the same function with less work.

Behind the last attention tokens no longer see one another, so what becomes of those that are not pooled is never used.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from hf_sslgen.analysis.taps import captured_features, runs_as
from hf_sslgen.zoo.anatomy import TOKEN_NORMS, AttributionLayer, transformer_blocks

MLP = "mlp"
"""Name of a block's MLP, in timm and in transformers."""


def _for_first(mlp: nn.Module, others: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """The MLP for the first token; what it would make of the others is made by a function of all tokens instead."""
    whole = mlp.forward

    def forward(tokens: Tensor) -> Tensor:
        made = others(tokens)
        made[:, :1] = whole(tokens[:, :1])
        return made

    return forward


def _noise_like(tokens: Tensor) -> Tensor:
    return torch.randn(tokens.shape, generator=torch.Generator().manual_seed(1)).to(tokens)


def _features(model: PreTrainedModel, side: int) -> Tensor:
    """(2, D) of two images of noise."""
    noise = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0)).to(model.device, model.dtype)
    with torch.no_grad(), captured_features(model) as features:
        model(pixel_values=noise)
    return features[0]


def _pools_first(model: PreTrainedModel, mlp: nn.Module, side: int) -> bool:
    """Whether the features stay what they are, to the last bit, whatever the MLP makes of the other tokens."""
    found = []
    for others in (torch.zeros_like, _noise_like):
        with runs_as(mlp, _for_first(mlp, others)):
            found.append(_features(model, side))
    return torch.equal(*found)


def _last_mlp(model: PreTrainedModel, layer: AttributionLayer | None) -> nn.Module | None:
    """The MLP of a transformer's last block, if it has one and the layer is known to be in front of it."""
    blocks = transformer_blocks(model)
    if not blocks or (layer is not None and layer.module_name not in [f"{blocks[-1]}.{norm}" for norm in TOKEN_NORMS]):
        return None
    return dict(model.get_submodule(blocks[-1]).named_children()).get(MLP)


@contextmanager
def class_token_alone(model: PreTrainedModel, layer: AttributionLayer | None, side: int) -> Iterator[None]:
    """Inside the block the last MLP leaves all tokens but the first as they are, where no feature depends on them.

    Args:
        layer: module whose output is looked at. Where it is not the one in front of the last attention, it may lie
            behind the MLP, and nothing is left out.
        side: of the network's input in pixels.
    """
    mlp = _last_mlp(model, layer)
    if mlp is None or not _pools_first(model, mlp, side):
        yield
        return
    with runs_as(mlp, _for_first(mlp, torch.zeros_like)):
        yield
