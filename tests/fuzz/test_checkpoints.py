"""Damaged and strange checkpoints through the real loader and `convert`: right, or refused in one sentence.

`pytest -m slow tests/fuzz/test_checkpoints.py -s` prints how many cases there were and what came of them.
"""

import collections
import io
import json
import random
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from timm.data import create_transform, resolve_data_config
from transformers import AutoImageProcessor

from hf_sslgen.errors import InputError
from hf_sslgen.preprocessing import evaluation_pixels, normalise
from hf_sslgen.zoo.backbone_loading import load_backbone
from hf_sslgen.zoo.to_safetensors import convert_folder

pytestmark = pytest.mark.slow

CLASSES = ("cat", "dog", "owl")
NAMES = ("timm_resnet", "timm_vit", "transformers_resnet", "transformers_vit")
Tensors = dict[str, torch.Tensor]

STRANGE: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    1,
    -1,
    2,
    3,
    13,
    64,
    10**9,
    0.0,
    0.5,
    -0.5,
    1e30,
    float("nan"),
    "",
    "relu",
    "../../x",
    "\u202e\x00",
    [],
    [0.5],
    [1, 2],
    [3, 32, 48],
    [0.5, 0.5, 0.5],
    {},
    {"height": 32, "width": 48},
    {"shortest_edge": 40},
    {"longest_edge": 32},
    {"max_height": 32, "max_width": 32},
    [[[]]],
)
"""Values put in the place of others."""

PIXEL_SETTINGS = (
    "size",
    "crop_size",
    "crop_pct",
    "resample",
    "rescale_factor",
    "do_resize",
    "do_rescale",
    "do_normalize",
    "do_center_crop",
    "do_pad",
    "pad_size",
    "image_mean",
    "image_std",
    "do_flip_channel_order",
    "include_top",
    "rescale_offset",
    "image_processor_type",
    "size_divisor",
)

KINDS = (
    "ViT",
    "ConvNext",
    "EfficientNet",
    "MobileViT",
    "Levit",
    "DeiT",
    "Beit",
    "Bit",
    "CLIP",
    "Perceiver",
    "TextNet",
    "PoolFormer",
)


def _places(content: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where values are in nested JSON."""
    found = [path] if path else []
    items = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in items:
        found += _places(value, (*path, key))
    return found


def _mutate_json(path: Path, chance: random.Random, extra: tuple[str, ...] = ()) -> str:
    """Put strange values into a file, drop some, or break it; returns what was done."""
    content = json.loads(path.read_text())
    done = []
    for _ in range(chance.choice((1, 1, 2))):
        action = chance.choice(("replace", "replace", "replace", "drop", "add"))
        places = _places(content)
        if action == "add" and extra:
            key = chance.choice(extra)
            content[key] = chance.choice(STRANGE)
            if key == "image_processor_type":
                content[key] = f"{chance.choice(KINDS)}ImageProcessor"
            done.append(f"{key}={content[key]!r}")
        elif places:
            *front, last = chance.choice(places)
            holder = content
            for key in front:
                holder = holder[key]
            if action == "drop" and isinstance(holder, dict):
                del holder[last]
            else:
                holder[last] = chance.choice(STRANGE)
            done.append(f"{action} {'.'.join(map(str, (*front, last)))}")
    path.write_text(json.dumps(content))
    if chance.random() < 0.05:
        text = path.read_text()
        path.write_text(text[: chance.randrange(len(text))])
        done.append("cut off")
    return ", ".join(done)


def _mutate_tensors(path: Path, chance: random.Random) -> str:
    """Drop, add, rename, reshape, retype or spoil tensors; returns what was done."""
    tensors = load_file(path)
    name = chance.choice(sorted(tensors))
    tensor = tensors[name]
    action = chance.choice(
        (
            "drop",
            "add",
            "rename",
            "prefix",
            "reshape",
            "retype",
            "nan",
            "infinity",
            "twice",
            "more",
            "transpose",
        )
    )
    if action == "drop":
        del tensors[name]
    elif action == "add":
        tensors[f"{name.rpartition('.')[0]}.surplus.weight"] = torch.ones(2)
    elif action == "rename":
        tensors[name + "_"] = tensors.pop(name)
    elif action == "prefix":
        tensors = {f"module.{key}": each for key, each in tensors.items()}
    elif action == "reshape":
        tensors[name] = torch.ones((*tensor.shape, 2))
    elif action == "retype":
        kind = chance.choice((torch.float16, torch.bfloat16, torch.float64, torch.int8, torch.int64, torch.bool))
        tensors[name] = tensor.to(kind)
        action += f" {kind}"
    elif action in ("nan", "infinity"):
        if tensor.is_floating_point():
            tensor.view(-1)[chance.randrange(tensor.numel())] = float("nan" if action == "nan" else "inf")
    elif action == "twice":
        tensors[f"timm_model.{name}" if f"timm_model.{name}" not in tensors else name] = tensor.clone()
    elif action == "more":
        for key in [key for key in tensors if ".0." in key]:
            tensors[key.replace(".0.", ".7.", 1)] = tensors[key].clone()
    elif tensor.ndim > 1:
        tensors[name] = tensor.transpose(0, 1).contiguous()
    save_file({key: each.contiguous() for key, each in tensors.items()}, path, {"format": "pt"})
    return f"{action} {name}"


def _mutate_bytes(path: Path, chance: random.Random) -> str:
    """Cut a weights file off or flip bits of its header."""
    content = bytearray(path.read_bytes())
    if chance.random() < 0.3:
        keep = chance.randrange(len(content))
        path.write_bytes(content[:keep])
        return f"cut to {keep}"
    header = int.from_bytes(content[:8], "little")
    places = [chance.randrange(8 + header) for _ in range(chance.choice((1, 1, 3)))]
    for place in places:
        content[place] ^= 1 << chance.randrange(8)
    path.write_bytes(content)
    return f"flipped {places}"


def _photograph(width: int, height: int) -> Image.Image:
    random_state = np.random.default_rng(width)
    coarse = Image.fromarray(random_state.integers(60, 200, (6, 6, 3), dtype=np.uint8))
    return coarse.resize((width, height), Image.Resampling.BILINEAR)


def _own_input(folder: Path, picture: Image.Image) -> torch.Tensor:
    """What the checkpoint's own library makes of a picture."""
    config = json.loads((folder / "config.json").read_text())
    if "architecture" in config:
        described = config.get("pretrained_cfg") or config
        transform = create_transform(**resolve_data_config(pretrained_cfg=described), is_training=False)
        return transform(picture)
    return AutoImageProcessor.from_pretrained(folder)(picture, return_tensors="pt")["pixel_values"][0]


def _check_pixels(folder: Path, preprocessing: Any) -> None:
    for size in ((75, 51), (40, 66)):
        picture = _photograph(*size)
        expected = _own_input(folder, picture)
        found = normalise(evaluation_pixels(picture, preprocessing.geometry), preprocessing)
        assert found.shape == expected.shape
        off = ((found - expected) * torch.tensor(preprocessing.std)[:, None, None]).abs().max() * 255
        assert float(off) <= 3.01, f"pixels differ by {float(off):.1f} levels"


def _check_weights(folder: Path, model: Any) -> None:
    """Every number in the file is in the network, bar the classifier's; as a multiset, because names may be older."""
    sums: collections.Counter[tuple[Any, ...]] = collections.Counter()
    for key, each in model.state_dict().items():
        if each.is_floating_point():
            sums[(tuple(each.shape), float(each.double().sum()))] += 1
        assert not each.is_floating_point() or bool(each.isfinite().all()), key
    for key, each in load_file(folder / "model.safetensors").items():
        is_classifier = key.split(".")[0] in ("classifier", "head", "fc") or key.endswith("num_batches_tracked")
        if not is_classifier:
            entry = (tuple(each.shape), float(each.float().double().sum()))
            assert sums[entry] > 0, f"{key} is not used"
            sums[entry] -= 1


def _outcome(folder: Path, what: str) -> str:
    """Load; what is accepted has the file's weights and the processor's pixels, what is refused says so in a line."""
    try:
        backbone = load_backbone(str(folder), CLASSES)
    except InputError as error:
        assert "\n" not in str(error) and len(str(error)) < 1500, (what, str(error))
        return "refused"
    _check_weights(folder, backbone.model)
    _check_pixels(folder, backbone.preprocessing)
    return "right"


CHANGES: dict[str, tuple[int, Callable[[Path, random.Random], str]]] = {
    "configuration": (110, lambda folder, chance: _mutate_json(folder / "config.json", chance)),
    "tensors": (90, lambda folder, chance: _mutate_tensors(folder / "model.safetensors", chance)),
    "bytes": (90, lambda folder, chance: _mutate_bytes(folder / "model.safetensors", chance)),
}


def _of_processor(folder: Path, chance: random.Random) -> str:
    return _mutate_json(folder / "preprocessor_config.json", chance, PIXEL_SETTINGS)


@pytest.mark.parametrize("name", NAMES)
def test_damaged_checkpoints_are_right_or_refused(small_backbones, name, tmp_path, capsys):
    counts: collections.Counter[tuple[str, str]] = collections.Counter()
    changes = dict(CHANGES)
    if name.startswith("transformers"):
        changes["processor"] = (200, _of_processor)
    failures = []
    for kind, (cases, change) in changes.items():
        for seed in range(cases):
            folder = Path(shutil.copytree(small_backbones[name], tmp_path / "checkpoint"))
            what = change(folder, random.Random(f"{name} {kind} {seed}"))
            try:
                counts[kind, _outcome(folder, what)] += 1
            except Exception as error:
                failures.append(f"{kind} {seed} ({what}): {type(error).__name__}: {error}"[:300])
            shutil.rmtree(folder)
    with capsys.disabled():
        print(f"\n{name}: {sum(counts.values()) + len(failures)} cases, {dict(counts)}, {len(failures)} failures")
    assert not failures, "\n".join(failures)


def test_damaged_zip_files_are_converted_bit_for_bit_or_refused(tmp_path, capsys):
    counts: collections.Counter[str] = collections.Counter()
    path = tmp_path / "pytorch_model.bin"
    tensors = {"a.weight": torch.arange(48.0).reshape(6, 8), "b": torch.arange(5), "c": torch.randn(40).half()}
    failures = []
    for seed in range(300):
        chance = random.Random(seed)
        buffer = io.BytesIO()
        torch.save(tensors, buffer)
        content = bytearray(buffer.getvalue())
        if seed % 10 == 0:
            content = content[: chance.randrange(len(content))]
        for _ in range(chance.choice((1, 1, 4))):
            if content:
                content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
        path.write_bytes(content)
        (tmp_path / "model.safetensors").unlink(missing_ok=True)
        try:
            found = load_file(convert_folder(tmp_path))
            same = found.keys() == tensors.keys() and all(torch.equal(found[key], tensors[key]) for key in tensors)
            counts["bit for bit" if same else "other"] += 1
            if not same:
                failures.append(f"{seed}: written with other numbers")
        except InputError as error:
            counts["refused"] += 1
            if "\n" in str(error):
                failures.append(f"{seed}: {error}")
        except Exception as error:
            failures.append(f"{seed}: {type(error).__name__}: {error}")
    with capsys.disabled():
        print(f"\nzip files: {dict(counts)}, {len(failures)} failures")
    assert not failures, "\n".join(failures)
    assert zipfile.is_zipfile(buffer) and counts["bit for bit"] and counts["refused"]
