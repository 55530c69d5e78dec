"""Files of tensors with a digest of their content, written completely or not at all."""

import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from hf_sslgen.files import give_usual_mode, replace_file

logger = logging.getLogger(__name__)

DIGEST = "sha256"
"""Key of the digest in a file's metadata."""


def _digest(tensors: Mapping[str, Tensor]) -> str:
    """Hash all names, types, shapes and values to sixty-four hexadecimal digits."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors on the CPU, with their digest, as a safetensors file."""
    contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
    with replace_file(path) as unfinished:
        save_file(contiguous, unfinished, metadata={DIGEST: _digest(contiguous)})
        give_usual_mode(unfinished)


def is_whole(path: Path) -> bool:
    """Whether a file exists and is undamaged; warns about a damaged one."""
    if not path.exists():
        return False
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.offset_keys()}
            is_undamaged = (file.metadata() or {}).get(DIGEST) == _digest(tensors)
    except (SafetensorError, OSError, ValueError):
        is_undamaged = False
    if not is_undamaged:
        logger.warning("%s is damaged and will be recomputed", path)
    return is_undamaged
