"""Checkpoints whose tensors and configuration do not fit: none is left out, made up or taken twice without a word."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file
from transformers import DeiTConfig, DeiTForImageClassificationWithTeacher

from hf_sslgen.errors import InputError
from hf_sslgen.zoo.backbone_loading import load_backbone
from hf_sslgen.zoo.timm_folder import write_timm_folder

CLASSES = ("cat", "dog", "owl")
SMALL = {"img_size": 32, "patch_size": 8, "embed_dim": 48, "depth": 2, "num_heads": 3}
PREPROCESSING = {"input_size": [3, 32, 32], "mean": [0.5] * 3, "std": [0.5] * 3, "crop_pct": 1.0}
Tensors = dict[str, torch.Tensor]


def _folder(target: Path, made_as: str, made_with: dict, architecture: str, settings: dict) -> str:
    """Weights of one network with the configuration of another."""
    made = timm.create_model(made_as, num_classes=0, **made_with)
    layers = {key: made.pretrained_cfg[key] for key in ("first_conv", "classifier")}
    write_timm_folder(
        target, made.state_dict(), architecture, made.num_features, settings, {**PREPROCESSING, **layers}
    )
    return str(target)


def _changed(folder: str, target: Path, change: Callable[[Tensors], None]) -> str:
    """A copy of a checkpoint with other tensors."""
    shutil.copytree(folder, target)
    tensors = load_file(target / "model.safetensors")
    change(tensors)
    save_file(
        {key: each.contiguous() for key, each in tensors.items()}, target / "model.safetensors", {"format": "pt"}
    )
    return str(target)


NARROW = {"channels": [8, 16, 16, 32]}
OTHER_CONFIGURATIONS = {
    "fewer blocks a stage": ("resnet34", NARROW, "resnet18", NARROW, r"holds 80 tensors .*'timm_model.layer1.2.bn1"),
    "fewer blocks": (
        "vit_tiny_patch16_224",
        {**SMALL, "depth": 4},
        "vit_tiny_patch16_224",
        SMALL,
        r"holds 24 tensors .*blocks\.2\.",
    ),
    "no biases": (
        "vit_tiny_patch16_224",
        SMALL,
        "vit_tiny_patch16_224",
        {**SMALL, "qkv_bias": False},
        r"holds 2 tensors .*qkv\.bias",
    ),
    "no layer scale": (
        "vit_tiny_patch16_224",
        {**SMALL, "init_values": 1.0},
        "vit_tiny_patch16_224",
        SMALL,
        r"holds 4 tensors .*ls1\.gamma",
    ),
    "no normalisation of keys": (
        "vit_tiny_patch16_224",
        {**SMALL, "qk_norm": True},
        "vit_tiny_patch16_224",
        SMALL,
        r"holds \d+ tensors .*k_norm",
    ),
    "another way to average": (
        "vit_tiny_patch16_224",
        {**SMALL, "global_pool": "avg", "final_norm": True},
        "vit_tiny_patch16_224",
        SMALL,
        r"lacks 2 tensors .*norm\.bias.* but has .*fc_norm",
    ),
}


@pytest.mark.parametrize("case", OTHER_CONFIGURATIONS)
def test_tensors_without_a_place_are_refused_by_name(case, tmp_path):
    *made, reason = OTHER_CONFIGURATIONS[case]
    with pytest.raises(InputError, match=reason):
        load_backbone(_folder(tmp_path / "made", *made), CLASSES)


def test_blocks_too_many_of_transformers_are_refused_by_name(small_backbones, tmp_path):
    folder = Path(shutil.copytree(small_backbones["transformers_vit"], tmp_path / "shallow"))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 1}))
    with pytest.raises(InputError, match=r"holds 16 tensors that the ViTForImageClassification .*vit\.layers\.1"):
        load_backbone(str(folder), CLASSES)


BESIDE = {
    "the pooler of ViT": ("transformers_vit", {"vit.pooler.dense.weight": (32, 32), "vit.pooler.dense.bias": (32,)}),
    "the decoder of a masked autoencoder": (
        "transformers_vit",
        {"decoder.decoder_layers.0.mlp.fc1.weight": (4, 4), "decoder.mask_token": (1, 1, 4)},
    ),
    "what stands for hidden patches": ("transformers_vit", {"vit.embeddings.mask_token": (1, 1, 32)}),
    "the head of masked image modelling": ("transformers_vit", {"lm_head.weight": (9, 32), "lm_head.bias": (9,)}),
    "the text side of CLIP": (
        "transformers_vit",
        {"text_model.embeddings.token_embedding.weight": (9, 4), "logit_scale": ()},
    ),
    "the decoder of timm's MAE": ("timm_vit", {"decoder_blocks.0.norm1.weight": (4,), "decoder_pos_embed": (1, 4)}),
    "mask token and positions of DINOv2": ("timm_vit", {"mask_token": (1, 1, 32), "rope.periods": (4,)}),
    "layers in front of the head": ("timm_vit", {"pre_logits.fc.weight": (32, 32)}),
    "projections of contrastive learning": (
        "timm_resnet",
        {"projector.0.weight": (4, 4), "predictor.0.weight": (4,), "prototypes.weight": (9, 4), "queue_ptr": (1,)},
    ),
    "a head of another name": ("timm_resnet", {"head.mlp.0.weight": (4, 4), "dino_head.last.weight": (4, 4)}),
    "two heads": ("transformers_vit", {"cls_classifier.weight": (9, 32), "distillation_classifier.weight": (9, 32)}),
    "buffers that are worked out": ("timm_vit", {"blocks.0.attn.relative_position_index": (4,)}),
}


@pytest.mark.parametrize("case", BESIDE)
def test_what_is_beside_the_trunk_is_left_out(small_backbones, case, tmp_path):
    name, extra = BESIDE[case]
    plain = load_backbone(small_backbones[name], CLASSES)
    folder = _changed(
        small_backbones[name],
        tmp_path / "more",
        lambda tensors: tensors.update({key: torch.ones(shape) for key, shape in extra.items()}),
    )
    loaded = load_backbone(folder, CLASSES)
    assert all(torch.equal(each, plain.model.state_dict()[key]) for key, each in loaded.model.state_dict().items())


def test_counters_of_batches_may_be_missing(small_backbones, tmp_path):
    def without(tensors):
        for key in [key for key in tensors if key.endswith("num_batches_tracked")]:
            del tensors[key]

    assert load_backbone(_changed(small_backbones["timm_resnet"], tmp_path / "old", without), CLASSES)


@pytest.mark.parametrize("name", ["timm_resnet", "transformers_vit"])
@pytest.mark.parametrize("prefix", ["module.", "backbone.encoder."])
def test_another_layout_is_named_by_its_prefix(small_backbones, name, prefix, tmp_path):
    def renamed(tensors):
        for key in list(tensors):
            tensors[prefix + key] = tensors.pop(key)

    with pytest.raises(InputError, match=rf"another layout: its tensor names have the prefix '{prefix}', as in '"):
        load_backbone(_changed(small_backbones[name], tmp_path / "prefixed", renamed), CLASSES)


def _nan(tensors):
    tensors["layer1.0.conv1.weight"][0, 0, 0, 0] = torch.nan


def _quantised(tensors):
    tensors["layer1.0.conv1.weight"] = tensors["layer1.0.conv1.weight"].to(torch.int8)


def _twice(tensors):
    tensors["timm_model.conv1.weight"] = tensors["conv1.weight"] + 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (_nan, r"holds NaN or infinity in 'timm_model\.layer1\.0\.conv1\.weight'"),
        (_quantised, r"stores 'layer1\.0\.conv1\.weight' as integers \(I8\)"),
        (_twice, r"holds 'timm_model\.conv1\.weight' twice"),
    ],
)
def test_values_that_cannot_be_taken_are_refused_by_name(small_backbones, change, reason, tmp_path):
    with pytest.raises(InputError, match=reason):
        load_backbone(_changed(small_backbones["timm_resnet"], tmp_path / "other", change), CLASSES)


def test_a_tensor_under_an_old_and_a_new_name_is_refused(small_backbones, tmp_path):
    def twice(tensors):
        tensors["vit.layers.0.mlp.fc1.bias"] = tensors["vit.encoder.layer.0.intermediate.dense.bias"] + 1

    with pytest.raises(InputError, match=r"holds 'vit\.layers\.0\.mlp\.fc1\.bias' twice"):
        load_backbone(_changed(small_backbones["transformers_vit"], tmp_path / "other", twice), CLASSES)


@pytest.mark.parametrize("channels", [1, 13])
def test_other_channels_than_three_are_refused(small_backbones, channels, tmp_path):
    made = timm.create_model("resnet18", num_classes=0, in_chans=channels, channels=[8, 16, 16, 32])
    settings = {**PREPROCESSING, "input_size": [channels, 32, 32], "mean": [0.5] * channels, "std": [0.5] * channels}
    arguments = {"channels": [8, 16, 16, 32], "in_chans": channels}
    write_timm_folder(tmp_path / "timm", made.state_dict(), "resnet18", 32, arguments, settings)
    folder = Path(shutil.copytree(small_backbones["transformers_vit"], tmp_path / "transformers"))
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "num_channels": channels}))
    for each in (tmp_path / "timm", folder):
        with pytest.raises(InputError, match=rf"takes images with {channels} channels"):
            load_backbone(str(each), CLASSES)


def test_a_network_with_a_teacher_gets_one_classifier(tmp_path):
    config = DeiTConfig(
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        image_size=32,
        patch_size=8,
        num_labels=len(CLASSES),
    )
    DeiTForImageClassificationWithTeacher(config).save_pretrained(tmp_path)
    backbone = load_backbone(str(tmp_path), CLASSES)
    assert type(backbone.model).__name__ == "DeiTForImageClassification" and not backbone.has_trained_head


def test_an_adapter_and_weights_elsewhere_are_refused(small_backbones, tmp_path):
    folder = Path(shutil.copytree(small_backbones["timm_resnet"], tmp_path / "adapted"))
    (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(InputError, match="it is an adapter"):
        load_backbone(str(folder), CLASSES)
    (folder / "adapter_config.json").unlink()
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "transformers_weights": "other.safetensors"}))
    with pytest.raises(InputError, match=r"refers to other weights, 'other\.safetensors'"):
        load_backbone(str(folder), CLASSES)
