"""What is read off image processors, against what they themselves do to real photographs: the same, or refused."""

import functools
import json

import numpy as np
import pytest
import torch
import transformers
from PIL import Image
from sklearn.datasets import load_sample_image
from timm.data import create_transform, resolve_data_config
from transformers import AutoImageProcessor, ViTConfig
from transformers.models.timm_wrapper.configuration_timm_wrapper import TimmWrapperConfig

from hf_sslgen.errors import InputError
from hf_sslgen.geometry import Geometry, evaluation_points
from hf_sslgen.preprocessing import evaluation_pixels, normalise
from hf_sslgen.zoo.checkpoint_preprocessing import IMAGENET_PREPROCESSING, read_preprocessing, resized_processor

IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
HALF = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
CLIP = {"image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711]}
PHOTOGRAPHS = ((512, 384), (255, 171), (150, 331), (90, 90))
"""Widths and heights; most leave an odd number of pixels to cut off."""


def _old(kind: str, **settings) -> dict:
    """A file as the first releases wrote it: a feature extractor, sizes in one number."""
    return {"feature_extractor_type": f"{kind}FeatureExtractor", "do_resize": True, "do_normalize": True, **settings}


def _new(kind: str, **settings) -> dict:
    return {"image_processor_type": f"{kind}ImageProcessor", "do_resize": True, "do_normalize": True, **settings}


def _square(side: int) -> dict[str, int]:
    return {"height": side, "width": side}


TOP = {"do_center_crop": False, "rescale_offset": False, "include_top": True, "resample": 0}
CROP = {"do_center_crop": True, "crop_size": 224}
PUBLISHED = {
    "google/vit-base-patch16-224": _new("ViT", size=_square(224), resample=2, **HALF),
    "facebook/dino-vits16": _old("ViT", size=224, resample=3, **IMAGENET),
    "facebook/vit-msn-small": _old("ViT", size=224, resample=2, **IMAGENET),
    "facebook/vit-mae-base": _old("ViT", size=224, **IMAGENET),
    "facebook/ijepa_vith14_1k": _new("ViT", size=_square(224), resample=2, **HALF),
    "microsoft/swin-tiny-patch4-window7-224": _old("ViT", size=224, resample=3, **IMAGENET),
    "microsoft/resnet-50": _old("ConvNext", size=224, crop_pct=0.875, resample=3, **IMAGENET),
    "facebook/convnext-base-384": _old("ConvNext", size=384, crop_pct=None, resample=3, **IMAGENET),
    "facebook/regnet-y-040": _old("ConvNext", size=224, crop_pct=0.875, resample=3, **IMAGENET),
    "microsoft/cvt-13": _old("ConvNext", size=224, crop_pct=0.875, resample=3, **IMAGENET),
    "facebook/deit-small-distilled-patch16-224": _old("DeiT", size=256, resample=3, **CROP, **IMAGENET),
    "microsoft/beit-base-patch16-224": _old("Beit", size=224, crop_size=224, do_center_crop=False, resample=2, **HALF),
    "facebook/data2vec-vision-base": _old("Beit", size=256, resample=3, **CROP, **HALF),
    "facebook/dinov2-base": _new(
        "Bit",
        size={"shortest_edge": 256},
        do_center_crop=True,
        crop_size=_square(224),
        resample=3,
        do_convert_rgb=True,
        **IMAGENET,
    ),
    "google/bit-50": _new(
        "Bit", size={"shortest_edge": 448}, do_center_crop=True, crop_size=_square(448), resample=2, **HALF
    ),
    "facebook/levit-128S": _old("Levit", size=224, resample=3, **CROP, **IMAGENET),
    "apple/mobilevit-small": {
        **_old("MobileViT", size=288, crop_size=256, do_center_crop=True, resample=2, do_flip_channel_order=True),
        "do_normalize": None,
    },
    "apple/mobilevitv2-1.0-imagenet1k-256": _new(
        "MobileViT",
        size={"shortest_edge": 288},
        crop_size=_square(256),
        do_center_crop=True,
        resample=2,
        do_flip_channel_order=False,
    ),
    "google/mobilenet_v1_1.0_224": _old("MobileNetV1", size={"shortest_edge": 256}, resample=2, **CROP, **HALF),
    "google/mobilenet_v2_1.0_224": _old("MobileNetV2", size={"shortest_edge": 256}, resample=2, **CROP, **HALF),
    "google/efficientnet-b0": _new(
        "EfficientNet",
        size=_square(224),
        image_mean=[0.485, 0.456, 0.406],
        image_std=[0.47853944, 0.4732864, 0.47434163],
        **TOP,
    ),
    "google/efficientnet-b3": _new("EfficientNet", size=_square(300), **TOP, **IMAGENET),
    "deepmind/vision-perceiver-learned": _old("Perceiver", size=224, crop_size=256, resample=3, **IMAGENET),
    "sail/poolformer_s12": _old("PoolFormer", size=224, crop_pct=0.9, resample=3, **CROP, **IMAGENET),
    "openai/clip-vit-base-patch32": _old("CLIP", size=224, resample=3, **CROP, **CLIP),
    "google/siglip-base-patch16-224": _new("Siglip", size=_square(224), resample=3, **HALF),
    "facebook/flava-full": _old("Flava", size=224, resample=3, **CROP, **CLIP),
    "Zetatech/pvt-tiny-224": _new("Pvt", size=_square(224), resample=2, **IMAGENET),
    "nvidia/mit-b0": _old("Segformer", size=512, resample=2, reduce_labels=True, **IMAGENET),
    "facebook/hiera-tiny-224": _new(
        "Bit", size={"shortest_edge": 256}, do_center_crop=True, crop_size=_square(224), resample=3, **IMAGENET
    ),
}
"""Settings of checkpoints on the Hub, in the form of their files."""

UNUSUAL = {
    "nothing stated, BEiT": {"image_processor_type": "BeitImageProcessor"},
    "nothing stated, DeiT": {"image_processor_type": "DeiTImageProcessor"},
    "nothing stated, EfficientNet": {"image_processor_type": "EfficientNetImageProcessor"},
    "nothing stated, LeViT": {"image_processor_type": "LevitImageProcessor"},
    "nothing stated, MobileViT: a black margin": {"image_processor_type": "MobileViTImageProcessor"},
    "BEiT with crop": _new("Beit", size=_square(256), do_center_crop=True, crop_size=_square(223), **HALF),
    "values from -1 to 1": _new(
        "EfficientNet",
        size=_square(64),
        do_normalize=False,
        include_top=False,
        rescale_factor=1 / 127.5,
        rescale_offset=True,
    )
    | {"do_normalize": False},
    "offset and twice normalised": _new(
        "EfficientNet", size=_square(64), include_top=True, rescale_factor=1 / 127.5, rescale_offset=True, **IMAGENET
    ),
    "not resized, cropped": {**_new("CLIP", crop_size=_square(64), do_center_crop=True, **HALF), "do_resize": False},
    "not normalised": {**_new("ViT", size=_square(80)), "do_normalize": False},
    "neither rescaled nor normalised": {**_new("ViT", size=_square(80), do_rescale=False), "do_normalize": False},
    "not rescaled": _new("ViT", size=_square(80), do_rescale=False, image_mean=[127.5] * 3, image_std=[50.0] * 3),
    "rescaled to [0, 2]": _new("ViT", size=_square(80), rescale_factor=2 / 255, image_mean=[1.0] * 3),
    "nearest, enlarged": _new("ViT", size=_square(300), resample=0, **HALF),
    "lanczos": _new("ViT", size=_square(80), resample=1, **HALF),
    "84 / (84 / 150) rounds down to 149": _new(
        "Bit", size={"shortest_edge": 150}, do_center_crop=True, crop_size=_square(84), **HALF
    ),
}

REFUSED = {
    "do_resize is false": {**_new("ViT", size=_square(80)), "do_resize": False},
    "is not square": _new("ViT", size={"height": 80, "width": 64}),
    "crop_size .* is not square": _new(
        "CLIP", size={"shortest_edge": 80}, do_center_crop=True, crop_size={"height": 64, "width": 48}
    ),
    "max_height": _new("ViT", size={"max_height": 80, "max_width": 80}),
    "do_center_crop is false": _new("CLIP", size={"shortest_edge": 80}, do_center_crop=False),
    "longest_edge": _new("Detr", size={"shortest_edge": 80, "longest_edge": 99}),
    "shortest_edge and do_center_crop is false": {"image_processor_type": "TextNetImageProcessor"},
    "do_pad": {"image_processor_type": "Owlv2ImageProcessor"},
    "resize_short": {"image_processor_type": "PPLCNetImageProcessor"},
    "Clusters": {"image_processor_type": "ImageGPTImageProcessor"},
    "not a height and width": {"image_processor_type": "Siglip2ImageProcessor"},
    "deviation|brightness": _new("ViT", size=_square(80), image_mean=[0.5] * 3, image_std=[-0.5] * 3),
    "resample": _new("ViT", size=_square(80), resample=17),
}
"""By what the refusal says."""


@functools.cache
def _photograph(size: tuple[int, int]) -> Image.Image:
    """Softened, because at black and white Pillow and torch cut off at different steps."""
    pixels = Image.fromarray(load_sample_image("china.jpg")).crop((100, 60, 500, 360)).resize(size)
    return Image.fromarray((np.asarray(pixels) * 0.6 + 50).astype(np.uint8))


def _levels_off(preprocessing, processor, photograph: Image.Image) -> torch.Tensor:
    """By how many of 255 levels our input differs from the processor's own."""
    found = normalise(evaluation_pixels(photograph, preprocessing.geometry), preprocessing)
    expected = processor(photograph).float()
    assert found.shape == expected.shape
    return ((found - expected) * torch.tensor(preprocessing.std)[:, None, None]).abs() * 255


@pytest.mark.parametrize("kind", [*PUBLISHED, *UNUSUAL])
def test_pixels_are_the_processors_own(kind, tmp_path):
    settings = (PUBLISHED | UNUSUAL)[kind]
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(settings))
    preprocessing = read_preprocessing(tmp_path, ViTConfig())
    own = AutoImageProcessor.from_pretrained(tmp_path)
    for size in PHOTOGRAPHS:
        off = _levels_off(
            preprocessing, lambda each: own(each, return_tensors="pt")["pixel_values"][0], _photograph(size)
        )
        assert float(off.max()) < 3.01 and float((off > 2.01).float().mean()) < 1e-4, (size, float(off.max()))


@pytest.mark.parametrize("reason", REFUSED)
def test_what_cannot_be_followed_is_refused_by_name(reason, tmp_path):
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(REFUSED[reason]))
    with pytest.raises(InputError, match=rf"image processor of .* can't be (reproduced|read): .*{reason}") as raised:
        read_preprocessing(tmp_path, ViTConfig(), "mine")
    assert "\n" not in str(raised.value) and "'mine'" in str(raised.value)


OF_TRANSFORMERS = """Beit Bit Blip Chameleon ChineseCLIP CLIP ConvNext DeiT Detr DINOv3ViT Donut DPT
EfficientNet Flava GLPN Idefics2 ImageGPT Levit LlavaNext MobileNetV1 MobileNetV2 MobileViT Nougat Owlv2 OwlViT
Perceiver Pix2Struct PoolFormer Pvt RTDetr Sam Segformer Siglip Siglip2 SuperPoint Swin2SR TextNet Tvp Vilt VideoMAE
ViT VitMatte Vivit Yolos ZoeDepth"""


@pytest.mark.parametrize("kind", OF_TRANSFORMERS.split())
def test_every_class_is_followed_or_refused_with_its_defaults(kind, tmp_path):
    name = f"{kind}ImageProcessor"
    if not hasattr(transformers, name):
        pytest.skip(f"this release of transformers has no {name}")
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"image_processor_type": name}))
    try:
        preprocessing = read_preprocessing(tmp_path, ViTConfig())
    except InputError as error:
        assert name in str(error) and "can't be reproduced" in str(error)
        return
    own = AutoImageProcessor.from_pretrained(tmp_path)
    off = _levels_off(
        preprocessing, lambda each: own(each, return_tensors="pt")["pixel_values"][0], _photograph((255, 171))
    )
    assert float((off > 2.01).float().mean()) < 1e-4


IMAGENET_TIMM = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
OF_TIMM = {
    "resnet50.tv_in1k": {"input_size": [3, 224, 224], "interpolation": "bilinear", "crop_pct": 0.875},
    "resnet50.a1_in1k": {"input_size": [3, 224, 224], "interpolation": "bicubic", "crop_pct": 0.95},
    "resnet50.tv2_in1k": {"input_size": [3, 176, 176], "interpolation": "bilinear", "crop_pct": 0.875},
    "vit_small_patch14_dinov2": {"input_size": [3, 518, 518], "interpolation": "bicubic", "crop_pct": 1.0},
    "fixed, squashed": {
        "input_size": [3, 99, 99],
        "crop_mode": "squash",
        "crop_pct": 1.0,
        "fixed_input_size": True,
        "mean": [0.5] * 3,
        "std": [0.5] * 3,
    },
    "squashed and cropped": {"input_size": [3, 99, 99], "crop_mode": "squash", "crop_pct": 0.9},
    "one mean of all channels": {"input_size": [3, 99, 99], "mean": [0.4]},
    "nearest": {"input_size": [3, 99, 99], "interpolation": "nearest"},
    "nothing stated": {"first_conv": "conv1"},
}


@pytest.mark.parametrize("layout", ["nested", "whole"])
@pytest.mark.parametrize("kind", OF_TIMM)
def test_pixels_are_those_of_timms_evaluation(kind, layout, tmp_path):
    described = {**IMAGENET_TIMM, **OF_TIMM[kind]}
    content = {"pretrained_cfg": described} if layout == "nested" else described
    (tmp_path / "config.json").write_text(json.dumps({"architecture": "resnet18", **content}))
    preprocessing = read_preprocessing(tmp_path, TimmWrapperConfig(**content))
    own = create_transform(**resolve_data_config(pretrained_cfg=described), is_training=False)
    for size in PHOTOGRAPHS:
        assert float(_levels_off(preprocessing, own, _photograph(size)).max()) < 0.01


@pytest.mark.parametrize(
    ("described", "reason"),
    [
        ({"input_size": [3, 64, 96]}, r"input_size \[3, 64, 96\] is not square"),
        ({"crop_mode": "border"}, "crop_mode 'border' is not one of center, squash"),
        ({"interpolation": "random"}, "interpolation 'random' is not one of"),
        ({"mean": [0.5, 0.5]}, "can't be reproduced"),
        ({"std": [0.0, 0.1, 0.1]}, "can't be reproduced"),
        ({"input_size": 224}, "can't be reproduced"),
        ({"crop_pct": -1}, "can't be reproduced"),
    ],
)
def test_what_cannot_be_followed_of_timm_is_refused_by_name(described, reason, tmp_path):
    with pytest.raises(InputError, match=rf"pretrained_cfg in the config\.json of .*{reason}"):
        read_preprocessing(tmp_path, TimmWrapperConfig(pretrained_cfg=described))


def test_silent_checkpoint_gets_imagenets_preprocessing_with_a_warning(tmp_path, caplog):
    assert read_preprocessing(tmp_path, ViTConfig()) == IMAGENET_PREPROCESSING
    assert "does not state its preprocessing" in caplog.text


@pytest.mark.parametrize("kind", [*PUBLISHED, *UNUSUAL])
def test_points_move_with_the_pixels(kind, tmp_path):
    (tmp_path / "preprocessor_config.json").write_text(json.dumps((PUBLISHED | UNUSUAL)[kind]))
    geometry = read_preprocessing(tmp_path, ViTConfig()).geometry
    pixels = np.zeros((171, 255, 3), dtype=np.uint8)
    pixels[80:100, 120:150] = 255
    seen = (evaluation_pixels(Image.fromarray(pixels), geometry)[0] > 127).nonzero().double() + 0.5
    expected = evaluation_points(np.array([135.0, 90.0]), (255, 171), geometry) * geometry.image_size
    assert seen.mean(0).flip(0).numpy() == pytest.approx(expected, abs=1.0)


@pytest.mark.parametrize("kind", [kind for kind in PUBLISHED if kind != "facebook/convnext-base-384"])
def test_saved_processor_can_be_told_another_size(kind, tmp_path):
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(PUBLISHED[kind]))
    own = read_preprocessing(tmp_path, ViTConfig())
    AutoImageProcessor.from_pretrained(tmp_path).save_pretrained(tmp_path)
    stored = json.loads((tmp_path / "preprocessor_config.json").read_text())
    geometry = own.geometry
    wanted = Geometry(112, geometry.crop_pct, geometry.interpolation, geometry.resize, geometry.margins)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(resized_processor(stored, wanted)))
    found = read_preprocessing(tmp_path, ViTConfig())
    assert found.geometry.image_size == 112 and (found.mean, found.std) == (own.mean, own.std)
    assert found.geometry.resize == wanted.resize or found.geometry.crop_pct is None
