"""Run the last MLP of vision transformers only for the pooled token: the same function with less work.

After the last attention, tokens no longer interact, so the tokens that are not pooled are never used.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from hf_sslgen.analysis.taps import captured_features, runs_as
from hf_sslgen.zoo.anatomy import TOKEN_NORMS, AttributionLayer, transformer_blocks

MLP = "mlp"
"""Names of a block's MLP, in timm and in transformers."""


def _for_first(mlp: nn.Module, others: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """The MLP for the first token; a cheaper function of all tokens replaces its output for the others."""
    whole = mlp.forward

    def forward(tokens: Tensor) -> Tensor:
        made = others(tokens)
        made[:, :1] = whole(tokens[:, :1])
        return made

    return forward


def _noise_like(tokens: Tensor) -> Tensor:
    return torch.randn(tokens.shape, generator=torch.Generator().manual_seed(1)).to(tokens)


def _features(model: PreTrainedModel, side: int) -> Tensor:
    """Return the features (2, D) of two noise images."""
    noise = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0)).to(model.device, model.dtype)
    with torch.no_grad(), captured_features(model) as features:
        model(pixel_values=noise)
    return features[0]


def _pools_first(model: PreTrainedModel, mlp: nn.Module, side: int) -> bool:
    """Whether the features are bitwise independent of the MLP's output for the other tokens."""
    found = []
    for others in (torch.zeros_like, _noise_like):
        with runs_as(mlp, _for_first(mlp, others)):
            found.append(_features(model, side))
    return torch.equal(*found)


def _last_mlp(model: PreTrainedModel, layer: AttributionLayer | None) -> nn.Module | None:
    """Return the MLP of a transformer's last block if the layer is known to precede it; else None."""
    blocks = transformer_blocks(model)
    if not blocks or (layer is not None and layer.module_name not in [f"{blocks[-1]}.{norm}" for norm in TOKEN_NORMS]):
        return None
    return dict(model.get_submodule(blocks[-1]).named_children()).get(MLP)


@contextmanager
def class_token_alone(model: PreTrainedModel, layer: AttributionLayer | None, side: int) -> Iterator[None]:
    """Within the block, skip the last MLP for all tokens but the first, if no feature depends on the others.

    Args:
        layer: module whose output is observed. Unless it is the one before the last attention, it may follow the MLP,
            and nothing is skipped.
        side: side of the network's input in pixels.
    """
    mlp = _last_mlp(model, layer)
    if mlp is None or not _pools_first(model, mlp, side):
        yield
        return
    with runs_as(mlp, _for_first(mlp, torch.zeros_like)):
        yield
