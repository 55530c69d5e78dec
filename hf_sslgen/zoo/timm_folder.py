"""Write backbones as timm folders with `config.json` and `model.safetensors`, which every tool here loads."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from hf_sslgen.files import give_usual_mode, replace_files

WEIGHTS_FILE = "model.safetensors"


def write_timm_folder(
    folder: Path,
    state_dict: dict[str, torch.Tensor],
    architecture: str,
    num_features: int,
    model_args: dict[str, Any],
    pretrained_cfg: dict[str, Any],
    num_classes: int = 0,
    dtype: torch.dtype | None = None,
) -> None:
    """Write a network's weights and the settings to rebuild it; the folder is written completely or not at all.

    Args:
        state_dict: weights under timm's native keys.
        model_args: keyword arguments of `timm.create_model` except `num_classes`, which transformers' wrapper passes
            itself.
        pretrained_cfg: preprocessing (`input_size`, `mean`, `std`, `interpolation`, `crop_pct`) and layer names.
        dtype: precision of floating-point tensors on disk; None keeps each as it is. So does a value too large for it,
            such as a variance of batch normalisation above 65,504 in half precision.
    """
    config = {
        "architecture": architecture,
        "num_classes": num_classes,
        "num_features": num_features,
        "model_args": {key: value for key, value in model_args.items() if key != "num_classes"},
        "pretrained_cfg": pretrained_cfg,
    }
    tensors = {name: _stored(tensor, dtype) for name, tensor in state_dict.items()}
    with replace_files(folder) as unfinished:
        write_timm_files(unfinished, config, tensors)


def write_timm_files(folder: Path, config: dict[str, Any], tensors: dict[str, torch.Tensor]) -> None:
    """Write the configuration and the tensors of a network into a folder that becomes visible when it is complete."""
    plain = {name: tensor.contiguous().cpu() for name, tensor in tensors.items()}
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    save_file(plain, folder / WEIGHTS_FILE, metadata={"format": "pt"})
    give_usual_mode(folder / WEIGHTS_FILE)


def _stored(tensor: torch.Tensor, dtype: torch.dtype | None) -> torch.Tensor:
    if dtype is None or not tensor.is_floating_point():
        return tensor
    converted = tensor.to(dtype)
    overflows = torch.isfinite(tensor) & ~torch.isfinite(converted)
    return tensor if bool(overflows.any()) else converted
