"""Folded batch normalisation computes the same, or is not folded."""

import pytest
import torch
from families import FAMILIES, pictures, small_network
from torch import Tensor, nn
from transformers import PreTrainedModel

from hf_sslgen.analysis.folding import fold_batch_norm

WITH_BATCH_NORM = [
    name
    for name in FAMILIES
    if any(isinstance(module, nn.BatchNorm2d) for module in small_network(name, 64, 64).modules())
]


def shaken(model: PreTrainedModel) -> PreTrainedModel:
    """With statistics and weights of batch normalisation that are far from doing nothing."""
    generator = torch.Generator().manual_seed(1)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            for values in (module.weight, module.running_var):
                values.data.copy_(0.5 + torch.rand(values.shape, generator=generator))
            for values in (module.bias, module.running_mean):
                values.data.copy_(0.3 * torch.randn(values.shape, generator=generator))
    return model


def num_norms(model: nn.Module) -> int:
    return sum(isinstance(module, nn.BatchNorm2d) for module in model.modules())


@pytest.mark.parametrize("name", WITH_BATCH_NORM)
def test_every_family_is_folded_and_computes_the_same(name: str) -> None:
    model, images = shaken(small_network(name, 64, 64)), pictures(64, 64)
    before = num_norms(model)
    folded = fold_batch_norm(model, 64)
    assert num_norms(folded) < before == num_norms(model)
    with torch.no_grad():
        expected, found = model(pixel_values=images).logits, folded(pixel_values=images).logits
    torch.testing.assert_close(found, expected, atol=1e-4 * float(expected.abs().max()), rtol=0)


def test_all_of_a_resnet_is_folded() -> None:
    assert num_norms(fold_batch_norm(small_network("timm-resnet", 64, 64), 64)) == 0


def test_without_batch_normalisation_nothing_is_copied() -> None:
    model = small_network("timm-vit", 32, 32)
    assert fold_batch_norm(model, 32) is model


@pytest.mark.parametrize("kept", ["timm_model.conv1", "timm_model.bn1"])
def test_a_layer_that_is_looked_at_stays(kept: str) -> None:
    model, images = shaken(small_network("timm-resnet", 64, 64)), pictures(64, 64)
    seen: list[Tensor] = []
    for network in (model, fold_batch_norm(model, 64, kept)):
        handle = network.get_submodule(kept).register_forward_hook(lambda _, __, output: seen.append(output))
        with torch.no_grad():
            network(pixel_values=images)
        handle.remove()
    torch.testing.assert_close(seen[0], seen[1], atol=1e-5, rtol=1e-5)


class Crossed(nn.Module):
    """Two convolutions, each of which is normalised by what follows the other one among the children."""

    def __init__(self, num_inputs: int, num_outputs: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(num_inputs, num_outputs, 1), nn.BatchNorm2d(num_outputs)
        self.conv2, self.bn2 = nn.Conv2d(num_inputs, num_outputs, 1), nn.BatchNorm2d(num_outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.bn2(self.conv1(x)) + self.bn1(self.conv2(x))


def test_children_that_do_not_run_in_their_order_are_not_folded() -> None:
    model = small_network("timm-resnet", 64, 64)
    first, second = model.timm_model.layer1[0].conv1, model.timm_model.layer2[0].conv1
    model.timm_model.layer1 = Crossed(first.in_channels, second.in_channels).eval()
    shaken(model)
    assert fold_batch_norm(model, 64) is model


def test_neighbours_of_other_widths_are_left_alone() -> None:
    model = shaken(small_network("timm-resnet", 64, 64))
    model.timm_model.unused = nn.ModuleDict({"first": nn.Conv2d(4, 5, 1), "second": nn.BatchNorm2d(7)}).eval()
    assert num_norms(fold_batch_norm(model, 64)) == 1
