"""The architecture of a vision transformer, from the names and shapes of its tensors."""

import math
import re
from collections.abc import Mapping
from typing import Any, Final

from timm.models import is_model

from hf_sslgen.errors import InputError
from hf_sslgen.zoo.conversion.architecture_from_shapes import Architecture, Shapes, most_common, number_of_blocks

SIZES: Final[Mapping[tuple[int, int], str]] = {
    (192, 12): "tiny",
    (384, 12): "small",
    (768, 12): "base",
    (1024, 24): "large",
    (1280, 32): "huge",
}
"""timm's word for width and depth."""

HEADS: Final[Mapping[int, int]] = {192: 3, 384: 6, 768: 12, 1024: 16, 1280: 16, 1408: 16, 1536: 24}
"""Heads by width in the publications of ViT, DeiT, MAE and DINO."""

HEAD_WIDTH: Final = 64
"""Channels of a head at widths of which no publication is known."""

IMAGE_SIZE: Final = 224


def vit_from_shapes(shapes: Shapes, twelve_heads: bool = False) -> Architecture:
    """Find width, depth, patch and image size of a ViT; heads, which no shape tells, are those of publications.

    Args:
        twelve_heads: whether a ViT of 384 channels has 12 heads, as MoCo v3's has.

    Raises:
        InputError: it lacks blocks, patches or positions, or these do not fit a square image.
    """
    depth = number_of_blocks(shapes, "blocks")
    if missing := [name for name in ("patch_embed.proj.weight", "pos_embed") if name not in shapes]:
        raise InputError(f"lacks {' and '.join(map(repr, missing))} of a ViT, in timm's names")
    width = most_common(
        shape[0]
        for name, shape in shapes.items()
        if re.fullmatch(r"(?:blocks\.\d+\.)?norm[12]?\.(?:weight|bias)", name) and len(shape) == 1
    )
    patches = shapes["patch_embed.proj.weight"]
    if len(patches) != 4 or patches[-1] != patches[-2]:
        raise InputError(
            f"has a 'patch_embed.proj.weight', in timm's names, of shape {patches}, not of square patches"
        )
    patch = patches[-1]
    has_class_token = "cls_token" in shapes
    registers = shapes["reg_token"][1] if "reg_token" in shapes and len(shapes["reg_token"]) == 3 else 0
    side = _grid(shapes["pos_embed"], has_class_token) * patch
    heads, note = _heads(width, twelve_heads)
    size = SIZES.get((width, depth))
    name = f"vit_{size or 'small'}_patch{patch}_{IMAGE_SIZE}"
    model_args: dict[str, Any] = {}
    if size is None:
        model_args |= {"embed_dim": width, "depth": depth}
    if not is_model(name):
        name = "vit_huge_patch14_224" if size == "huge" else f"vit_{size or 'small'}_patch16_{IMAGE_SIZE}"
        model_args["patch_size"] = patch
    if size is None or heads != HEADS[width]:
        model_args["num_heads"] = heads
    if (hidden := _hidden(shapes)) not in (0, 4 * width):
        model_args["mlp_ratio"] = hidden / width
    if not any(re.fullmatch(r"blocks\.\d+\.attn\.qkv\.bias", each) for each in shapes):
        model_args["qkv_bias"] = False
    if any(each.endswith("ls1.gamma") for each in shapes):
        model_args["init_values"] = 1e-5  # only that there is one matters, because the file holds its value
    if side != IMAGE_SIZE:
        model_args["img_size"] = side
    if registers:
        model_args["reg_tokens"] = registers
    if not has_class_token:
        model_args |= {"class_token": False, "global_pool": "avg", "fc_norm": False}
    elif any(each.startswith("fc_norm.") for each in shapes):
        model_args["global_pool"] = "avg"
    return Architecture(name, model_args, width, "head", image_size=side, notes=(note,))


def _hidden(shapes: Shapes) -> int:
    """Channels inside the perceptrons of a ViT's blocks."""
    places = {"fc1.weight": 0, "fc1.bias": 0, "fc2.weight": -1}
    return most_common(
        shape[places[found[1]]]
        for name, shape in shapes.items()
        if (found := re.fullmatch(r"blocks\.\d+\.mlp\.(fc1\.weight|fc1\.bias|fc2\.weight)", name)) and shape
    )


def _heads(width: int, twelve_heads: bool) -> tuple[int, str]:
    if width == 384 and twelve_heads:
        return 12, "12 attention heads, as MoCo v3's ViT-S has; shapes do not tell"
    if width in HEADS:
        return HEADS[width], f"{HEADS[width]} attention heads, as published at {width} channels; shapes do not tell"
    if width < HEAD_WIDTH or width % HEAD_WIDTH == 0:
        heads = max(1, width // HEAD_WIDTH)
        return heads, f"{heads} attention heads of {HEAD_WIDTH} channels or fewer are assumed; shapes do not tell"
    raise InputError(
        f"is a ViT of {width} channels, whose number of attention heads no shape tells; known widths are "
        f"{', '.join(map(str, HEADS))} and multiples of {HEAD_WIDTH}"
    )


def _grid(positions: tuple[int, ...], has_class_token: bool) -> int:
    """Patches on each side of the image."""
    number = positions[1] - has_class_token if len(positions) == 3 else 0
    side = math.isqrt(max(number, 0))
    if not has_class_token and number > 1 and math.isqrt(number - 1) ** 2 == number - 1:
        raise InputError("lacks 'cls_token' of a ViT, in timm's names, for which its 'pos_embed' has a place")
    if side == 0 or side * side != number:
        raise InputError(
            f"has a 'pos_embed', in timm's names, of shape {positions}, not (1, positions, channels) of a square grid"
            f"{' and a class token' if has_class_token else ''}"
        )
    return side
