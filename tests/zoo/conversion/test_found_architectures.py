"""Depths, widths and kinds of networks, found from shapes and held against the libraries that publish them."""

from typing import Any

import lightly.models.modules as lightly_modules
import pytest
import timm
import torch
import torch.nn.functional as F
import torchvision
import transformers
from lightly.models.modules.masked_autoencoder import MAEBackbone
from published_layouts import LIGHTNING, layers, other, randomised, small_trunk, under
from safetensors.torch import load_file
from torch import nn

from hf_sslgen.errors import InputError
from hf_sslgen.zoo.conversion.layouts import FoundNetwork, find_network

SIDE = 32
IMAGES = torch.randn(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(2))

SLOW = pytest.mark.slow

State = dict[str, torch.Tensor]


def rebuilt(found: FoundNetwork) -> Any:
    network = timm.create_model(
        found.architecture, pretrained=False, num_classes=found.num_classes, **found.model_args
    )
    network.load_state_dict(found.tensors, strict=True)
    return network.eval()


def reference_resnet(state: State, images: torch.Tensor) -> torch.Tensor:
    """Pooled features of a ResNet of bottlenecks (He et al. 2016, with strides in the 3x3 convolutions)."""

    def normalised(x: torch.Tensor, name: str) -> torch.Tensor:
        statistics = (state[f"{name}.running_mean"], state[f"{name}.running_var"])
        return F.batch_norm(x, *statistics, state[f"{name}.weight"], state[f"{name}.bias"])

    def convolved(x: torch.Tensor, name: str, stride: int = 1) -> torch.Tensor:
        weight = state[f"{name}.weight"]
        return F.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2)

    x = F.max_pool2d(F.relu(normalised(convolved(images, "conv1", 2), "bn1")), 3, 2, 1)
    for stage in range(1, 5):
        block = 0
        while (name := f"layer{stage}.{block}") + ".conv1.weight" in state:
            stride = 2 if stage > 1 and block == 0 else 1
            inner = F.relu(normalised(convolved(x, f"{name}.conv1"), f"{name}.bn1"))
            inner = F.relu(normalised(convolved(inner, f"{name}.conv2", stride), f"{name}.bn2"))
            inner = normalised(convolved(inner, f"{name}.conv3"), f"{name}.bn3")
            if block == 0:
                x = normalised(convolved(x, f"{name}.downsample.0", stride), f"{name}.downsample.1")
            x = F.relu(x + inner)
            block += 1
    return x.mean(dim=(2, 3))


def bottlenecks(stem: int, channels: tuple[int, ...], depths: tuple[int, ...], inner: int = 4) -> State:
    """Random tensors of a ResNet whose stages have `channels`, a fraction `inner` of them inside."""
    sizes: dict[str, tuple[int, ...]] = {"conv1.weight": (stem, 3, 7, 7)}
    norms = {"bn1": stem}
    before = stem
    for stage, (width, depth) in enumerate(zip(channels, depths, strict=True), start=1):
        for block in range(depth):
            name, narrow = f"layer{stage}.{block}", width // inner
            sizes |= {
                f"{name}.conv1.weight": (narrow, before, 1, 1),
                f"{name}.conv2.weight": (narrow, narrow, 3, 3),
                f"{name}.conv3.weight": (width, narrow, 1, 1),
            }
            norms |= {f"{name}.bn1": narrow, f"{name}.bn2": narrow, f"{name}.bn3": width}
            if block == 0:
                sizes[f"{name}.downsample.0.weight"] = (width, before, 1, 1)
                norms[f"{name}.downsample.1"] = width
            before = width
    generator = torch.Generator().manual_seed(3)
    state = {key: torch.randn(size, generator=generator) / size[1] ** 0.5 for key, size in sizes.items()}
    for name, size in norms.items():
        state |= {f"{name}.{end}": torch.randn(size, generator=generator) for end in ("bias", "running_mean")}
        state |= {f"{name}.{end}": 0.5 + torch.rand(size, generator=generator) for end in ("weight", "running_var")}
    return state


@pytest.mark.parametrize(
    ("stem", "channels", "depths", "inner", "architecture", "model_args"),
    [
        (64, (16, 16, 32, 32), (3, 4, 6, 3), 4, "resnet50", {"channels": (4, 4, 8, 8)}),
        pytest.param(64, (16, 16, 32, 32), (3, 4, 23, 3), 4, "resnet101", {"channels": (4, 4, 8, 8)}, marks=SLOW),
        pytest.param(64, (16, 16, 32, 32), (3, 8, 36, 3), 4, "resnet152", {"channels": (4, 4, 8, 8)}, marks=SLOW),
        (64, (8, 8, 8, 8), (3, 4, 6, 3), 2, "wide_resnet50_2", {"channels": (2, 2, 2, 2)}),
        (64, (16, 16, 32, 32), (1, 3, 1, 1), 4, "resnet50", {"layers": (1, 3, 1, 1), "channels": (4, 4, 8, 8)}),
        (
            64,
            (16, 16, 32, 32),
            (1, 1, 1, 1),
            1,
            "resnet50",
            {"layers": (1, 1, 1, 1), "channels": (4, 4, 8, 8), "base_width": 256},
        ),
        (
            16,
            (32, 64, 96, 128),
            (3, 4, 6, 3),
            4,
            "resnetv2_50",
            {"preact": False, "stem_chs": 16, "channels": (32, 64, 96, 128)},
        ),
        (
            128,
            (512, 1024, 2048, 4096),
            (1, 1, 1, 1),
            4,
            "resnetv2_50",
            {"preact": False, "layers": (1, 1, 1, 1), "width_factor": 2},
        ),
    ],
)
def test_depths_and_widths_of_a_resnet(
    stem: int,
    channels: tuple[int, ...],
    depths: tuple[int, ...],
    inner: int,
    architecture: str,
    model_args: dict[str, Any],
) -> None:
    state = bottlenecks(stem, channels, depths, inner)
    found = find_network({"state_dict": under("module.encoder_q.", state) | under("module.encoder_k.", other(state))})
    assert (found.architecture, found.model_args) == (architecture, model_args)
    assert found.num_features == channels[-1]
    assert found.num_tensors == len(state)
    with torch.no_grad():
        features, expected = rebuilt(found)(IMAGES), reference_resnet(state, IMAGES)
    torch.testing.assert_close(features, expected, rtol=1e-4, atol=1e-4 * float(expected.abs().max()))


def test_a_classifier_of_a_resnet_that_is_wide_as_a_whole_is_kept() -> None:
    state = bottlenecks(32, (32, 32, 64, 64), (1, 1, 1, 1))
    fc = {"fc.weight": torch.randn(5, 64), "fc.bias": torch.randn(5)}
    network = rebuilt(find_network(state | fc))
    with torch.no_grad():
        expected = F.linear(reference_resnet(state, IMAGES), fc["fc.weight"], fc["fc.bias"])
        torch.testing.assert_close(network(IMAGES), expected, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("name", ["resnet18", pytest.param("resnet34", marks=SLOW)])
def test_a_network_of_torchvision_gives_its_logits(name: str) -> None:
    network = torchvision.models.get_model(name, num_classes=5, width_per_group=64)
    randomised(network)
    found = find_network({"epoch": 90, "state_dict": under("module.", network.state_dict())})
    assert (found.layout, found.architecture, found.model_args) == ("supervised", name, {})
    with torch.no_grad():
        torch.testing.assert_close(rebuilt(found)(IMAGES), network(IMAGES), rtol=1e-4, atol=1e-4)


def torchvision_vit() -> nn.Module:
    return randomised(
        torchvision.models.VisionTransformer(
            image_size=SIDE, patch_size=8, num_layers=2, num_heads=1, hidden_dim=32, mlp_dim=64, num_classes=5
        )
    )


def test_a_vit_of_torchvision_gives_its_logits() -> None:
    network = torchvision_vit()
    found = find_network(network.state_dict())
    assert found.layout == "supervised"
    assert found.model_args["mlp_ratio"] == 2
    with torch.no_grad():
        torch.testing.assert_close(rebuilt(found)(IMAGES), network(IMAGES), rtol=1e-4, atol=1e-4)


def test_lightlys_masked_autoencoder_gives_its_features() -> None:
    backbone = randomised(MAEBackbone.from_vit(torchvision_vit()))
    state = under("backbone.", backbone.state_dict()) | layers("decoder.decoder_embed", "online_classifier.linear")
    found = find_network(LIGHTNING | {"state_dict": state | {"mask_token": torch.zeros(1, 1, 16)}})
    assert found.layout == "lightly"
    assert found.num_classes == 0
    assert {found.dropped[f"backbone.heads.head.{end}"] for end in ("weight", "bias")} == {
        "classifier that the pretraining did not use"
    }
    with torch.no_grad():
        torch.testing.assert_close(rebuilt(found)(IMAGES), backbone(IMAGES), rtol=1e-4, atol=1e-4)


def test_lightlys_masked_vit_gives_its_features() -> None:
    vit = small_trunk("vit", init_values=1e-5)
    vit.reset_classifier(5)
    backbone = randomised(lightly_modules.MaskedVisionTransformerTIMM(vit, pos_embed_initialization="skip"))
    state = under("teacher_backbone.", backbone.state_dict())
    found = find_network(LIGHTNING | {"state_dict": under("student_backbone.", other(backbone.state_dict())) | state})
    assert "init_values" in found.model_args
    with torch.no_grad():
        torch.testing.assert_close(rebuilt(found)(IMAGES), backbone(IMAGES), rtol=1e-4, atol=1e-4)


VIT = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 1,
    "intermediate_size": 64,
    "image_size": SIDE,
    "patch_size": 8,
    "layer_norm_eps": 1e-6,
}


@pytest.mark.parametrize(
    ("kind", "config", "prefix"),
    [
        (transformers.ViTModel, transformers.ViTConfig(**VIT), ""),
        (transformers.ViTMSNModel, transformers.ViTMSNConfig(**VIT), "vit."),
        (transformers.ViTMAEModel, transformers.ViTMAEConfig(**VIT, mask_ratio=0.0), "vit."),
        (transformers.IJepaModel, transformers.IJepaConfig(**VIT), ""),
    ],
)
def test_a_vit_of_transformers_gives_its_features(
    kind: Any, config: Any, prefix: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Under the names that transformers publishes, and under those that its modules have."""
    network = randomised(kind(config))
    folder = tmp_path_factory.mktemp("vit")
    network.save_pretrained(folder)
    published = under(prefix, load_file(folder / "model.safetensors"))
    assert any(".attention.attention.query." in key for key in published)
    decoder = layers("decoder.decoder_embed") if kind is transformers.ViTMAEModel else {}
    for state in (published | decoder, under(prefix, network.state_dict())):
        found = find_network(state)
        assert found.layout == "transformers"
        with torch.no_grad():
            options = {"noise": torch.arange(16.0).repeat(2, 1)} if kind is transformers.ViTMAEModel else {}
            expected = network(IMAGES, **options).last_hidden_state
            torch.testing.assert_close(rebuilt(found).forward_features(IMAGES), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("prefix", ["", "resnet."])
def test_a_resnet_of_transformers_gives_its_features(prefix: str) -> None:
    config = transformers.ResNetConfig(
        embedding_size=64, hidden_sizes=[16, 16, 32, 32], depths=[1, 2, 1, 1], layer_type="bottleneck"
    )
    network = randomised(transformers.ResNetModel(config))
    classifier = {"classifier.1.weight": torch.randn(5, 32), "classifier.1.bias": torch.randn(5)} if prefix else {}
    found = find_network(under(prefix, network.state_dict()) | classifier)
    assert found.num_classes == (5 if prefix else 0)
    with torch.no_grad():
        expected = network(IMAGES).pooler_output.flatten(1)
        if prefix:
            expected = F.linear(expected, classifier["classifier.1.weight"], classifier["classifier.1.bias"])
        torch.testing.assert_close(rebuilt(found)(IMAGES), expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("width", "layout", "heads"), [(192, "plain", 3), (384, "plain", 6), (384, "moco_v3", 12), (128, "plain", 2)]
)
def test_heads_are_those_of_the_publication(width: int, layout: str, heads: int) -> None:
    network = small_trunk("vit", embed_dim=width, depth=1, num_heads=heads)
    state = dict(network.state_dict())
    if layout == "moco_v3":
        content: dict[str, Any] = {"state_dict": under("module.base_encoder.", state)}
    else:
        content = state
    found = find_network(content)
    assert found.model_args["num_heads"] == heads
    assert any(f"{heads} attention heads" in note and "shapes do not tell" in note for note in found.notes)
    with torch.no_grad():
        assert torch.equal(rebuilt(found)(IMAGES), network(IMAGES))


def test_a_width_whose_heads_nobody_knows_is_refused() -> None:
    state = small_trunk("vit", embed_dim=100, num_heads=2).state_dict()
    with pytest.raises(InputError, match="a ViT of 100 channels, whose number of attention heads no shape tells"):
        find_network(state)


@pytest.mark.parametrize(
    ("architecture", "options", "model_args"),
    [
        pytest.param("vit_base_patch16_224", {}, {}, marks=SLOW),
        pytest.param("vit_small_patch8_224", {"img_size": 32}, {"img_size": 32}, marks=SLOW),
        pytest.param("vit_small_patch16_224", {"patch_size": 14}, {"patch_size": 14}, marks=SLOW),
        pytest.param("vit_huge_patch14_224", {"img_size": 28}, {"img_size": 28}, marks=SLOW),
        ("vit_tiny_patch16_224", {"img_size": 96, "qkv_bias": False}, {"img_size": 96, "qkv_bias": False}),
    ],
)
def test_names_and_sizes_of_vits(architecture: str, options: dict[str, Any], model_args: dict[str, Any]) -> None:
    network = timm.create_model(architecture, pretrained=False, num_classes=0, **options)
    found = find_network(network.state_dict())
    assert (found.architecture, found.model_args) == (architecture, model_args)
    assert found.image_size == options.get("img_size", 224)


def test_positions_that_are_no_square_are_refused() -> None:
    state = dict(small_trunk("vit").state_dict())
    state["pos_embed"] = state["pos_embed"][:, :-1]
    with pytest.raises(InputError, match=r"'pos_embed', in timm's names, of shape \(1, 4, 16\)"):
        find_network(state)


def test_a_finetuned_vit_that_averages_patches_keeps_its_norm() -> None:
    network = small_trunk("vit", global_pool="avg")
    network.reset_classifier(5)
    randomised(network)
    found = find_network({"model": network.state_dict()})
    assert found.model_args["global_pool"] == "avg"
    with torch.no_grad():
        assert torch.equal(rebuilt(found)(IMAGES), network(IMAGES))


@pytest.mark.parametrize(
    ("kind", "beginning", "words"),
    [
        ("resnet", "layer2.0.", "lacks every tensor of 'layer2.0', in timm's names, and has later blocks"),
        ("resnet", "layer4.", "lacks every tensor of 'layer4', in timm's names"),
        ("vit", "blocks.0.", "lacks every tensor of 'blocks.0', in timm's names, and has later blocks"),
        ("vit", "cls_token", "lacks 'cls_token' of a ViT, in timm's names"),
        ("vit", "pos_embed", "lacks 'pos_embed' of a ViT, in timm's names"),
    ],
)
def test_what_decides_the_architecture_is_named_if_it_is_missing(kind: str, beginning: str, words: str) -> None:
    state = {key: each for key, each in small_trunk(kind).state_dict().items() if not key.startswith(beginning)}
    with pytest.raises(InputError, match=words):
        find_network(state)


def test_the_number_of_a_block_cannot_make_a_network_grow() -> None:
    state = dict(small_trunk("resnet").state_dict())
    state["layer1.100000000.conv1.weight"] = state["layer1.0.conv1.weight"]
    with pytest.raises(InputError, match=r"lacks every tensor of 'layer1\.1'"):
        find_network(state)
