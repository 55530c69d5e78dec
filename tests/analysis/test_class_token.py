"""The last MLP is spared for tokens that nothing depends on, and for no others."""

import pytest
import torch
from families import FAMILIES, pictures, small_network
from timm.models.vision_transformer import LayerScale
from torch import Tensor, nn
from transformers import PreTrainedModel

from hf_sslgen.analysis.analysis_settings import Compute, Precision
from hf_sslgen.analysis.class_token import class_token_alone
from hf_sslgen.analysis.network import measuring
from hf_sslgen.analysis.taps import captured_features
from hf_sslgen.zoo.anatomy import find_attribution_layer, find_classifier, transformer_blocks
from hf_sslgen.zoo.backbone_loading import load_backbone

SIDE = 32
TOLERANCES = {"fp32": 1e-5, "bf16": 0.05}
TRANSFORMERS = [name for name in FAMILIES if transformer_blocks(small_network(name, 64, 64))]
POOL_FIRST = {
    "timm-vit",
    "timm-deit",
    "timm-deit3",
    "timm-dinov2-registers",
    "vit",
    "vit-msn",
    "deit-distilled",
}
"""Families whose class token is all that is read of the last block, as their papers have it."""


def tokens_of_the_last_mlp(model: PreTrainedModel, images: Tensor) -> int:
    """How many tokens the first linear layer of the last MLP is given."""
    seen: list[int] = []
    block = dict(model.get_submodule(transformer_blocks(model)[-1]).named_children())
    mlp = block["mlp" if "mlp" in block else "intermediate"]
    first = next(module for module in mlp.modules() if isinstance(module, nn.Linear))
    handle = first.register_forward_hook(lambda _, inputs, __: seen.append(inputs[0].shape[1]))
    with torch.no_grad():
        model(pixel_values=images)
    handle.remove()
    (count,) = seen
    return count


def features_and_logits(model: PreTrainedModel, images: Tensor) -> tuple[Tensor, Tensor]:
    with torch.no_grad(), captured_features(model) as features:
        logits = model(pixel_values=images).logits
    return features[0], logits


@pytest.mark.parametrize("name", TRANSFORMERS)
def test_features_and_logits_stay_and_the_class_token_alone_is_worked_on(name: str) -> None:
    model, images = small_network(name, SIDE, SIDE), pictures(SIDE, SIDE)
    expected, all_tokens = features_and_logits(model, images), tokens_of_the_last_mlp(model, images)
    with class_token_alone(model, find_attribution_layer(model), SIDE):
        found, tokens = features_and_logits(model, images), tokens_of_the_last_mlp(model, images)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    assert tokens == (1 if name in POOL_FIRST else all_tokens)
    assert tokens_of_the_last_mlp(model, images) == all_tokens > 1


@pytest.mark.parametrize("named", ["timm_model.blocks.1", "timm_model.blocks.1.mlp", "timm_model.norm"])
def test_a_layer_that_may_be_behind_the_mlp_sees_all_tokens(named: str) -> None:
    model, images = small_network("timm-vit", SIDE, SIDE), pictures(SIDE, SIDE)
    with class_token_alone(model, find_attribution_layer(model, named), SIDE):
        assert tokens_of_the_last_mlp(model, images) > 1


def test_tokens_that_are_averaged_are_kept_however_little_they_do() -> None:
    model, images = small_network("timm-vit-average", SIDE, SIDE), pictures(SIDE, SIDE)
    with torch.no_grad():
        find_classifier(model)[1].weight.zero_()  # as a probe starts: the logits tell nothing
    model.timm_model.blocks[-1].ls2 = LayerScale(FAMILIES["timm-vit-average"].width, init_values=1e-4)
    with class_token_alone(model, None, SIDE):
        assert tokens_of_the_last_mlp(model, images) > 1


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_network_that_measures_does_so(precision: Precision, small_backbones: dict[str, str]) -> None:
    backbone = load_backbone(small_backbones["timm_vit"], ("a", "b", "c"))
    pixels = (pictures(SIDE, SIDE) / 8 + 0.5).clamp(0, 1)
    expected, _ = features_and_logits(backbone.model, (pixels - 0.5) / 0.5)
    with measuring(backbone, Compute(precision)) as network:
        found = network(pixels).features
        counted = tokens_of_the_last_mlp(network.model, network.inputs(pixels))
    torch.testing.assert_close(found, expected, atol=TOLERANCES[precision], rtol=TOLERANCES[precision])
    assert counted == 1 < tokens_of_the_last_mlp(backbone.model, pixels)
