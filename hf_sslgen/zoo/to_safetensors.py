"""Convert pickled weights (`pytorch_model.bin`) to safetensors without running code they contain."""

from collections.abc import Iterable
from pathlib import Path

import torch
from safetensors.torch import save_file

from hf_sslgen.errors import InputError
from hf_sslgen.files import give_usual_mode, replace_file
from hf_sslgen.zoo.conversion.checkpoint_file import read_checkpoint_file
from hf_sslgen.zoo.timm_folder import WEIGHTS_FILE

PICKLED = "pytorch_model*.bin"

OTHER_WEIGHTS = (".bin", ".ckpt", ".h5", ".msgpack", ".npz", ".onnx", ".pkl", ".pt", ".pth", ".safetensors", ".tar")
"""Suffixes of files that hold weights in some layout."""


def conversion_advice(published: Iterable[str], hub_id: str | None = None, revision: str | None = None) -> str:
    """Advise what to do with a checkpoint without safetensors weights.

    Args:
        published: names of its files.
        hub_id: its Hub repository; None for a folder.
    """
    published = list(published)
    if not any(Path(name).match(PICKLED) for name in published):
        others = sorted(name for name in published if Path(name).suffix in OTHER_WEIGHTS)
        found = f", and not {others[0][:80]}" if others else ""
        return f"only safetensors weights in transformers' or timm's own layout are loaded{found}"
    reason = "only safetensors files are loaded, because opening a .bin file may run code it contains"
    command = "hf-sslgen convert"
    if hub_id is None:
        return f"{reason}: convert it once with `{command} FOLDER`"
    folder = hub_id.partition("/")[2]
    at = f" --revision {revision}" if revision is not None else ""
    source = hub_id if revision is None else f"{hub_id}@{revision}"
    return (
        f"{reason}: convert it once with `hf download {hub_id}{at} --local-dir {folder}` and `{command} {folder} "
        f"--source {source}`, and give the folder {folder} instead"
    )


def _is_plain(name: object, value: object) -> bool:
    """Whether safetensors can store a value: a tensor with content, neither sparse nor quantised."""
    if not isinstance(name, str) or not isinstance(value, torch.Tensor):
        return False
    return value.layout == torch.strided and not value.is_quantized and not value.is_meta


def _read_pickled(path: Path) -> dict[str, torch.Tensor]:
    state = read_checkpoint_file(path).content
    if isinstance(state, dict) and all(_is_plain(name, each) for name, each in state.items()):
        return state
    inner = _inner_mapping(state)
    raise InputError(
        f"{path} is not a mapping of names to plain tensors, the only content that safetensors can store"
        + (f"; its tensors are under the key {inner!r}: save only those" if inner is not None else "")
    )


def _inner_mapping(state: object) -> str | None:
    """Return the key under which a training checkpoint stores its tensors; None if there is none."""
    if not isinstance(state, dict):
        return None
    for key, value in state.items():
        if isinstance(value, dict) and value and all(_is_plain(name, each) for name, each in value.items()):
            return str(key)[:80]
    return None


def convert_folder(folder: Path) -> Path:
    """Write `model.safetensors` next to a folder's `pytorch_model*.bin`; returns its path.

    Raises:
        InputError: there is no such file, or it is damaged or holds more than tensors.
    """
    tensors: dict[str, torch.Tensor] = {}
    paths = sorted(folder.glob(PICKLED))
    if not paths:
        raise InputError(f"{folder} has no {PICKLED}; give a checkpoint folder that does")
    for path in paths:
        state = _read_pickled(path)
        twice = tensors.keys() & state.keys()
        if twice:
            raise InputError(f"{path} holds {min(twice)!r}, as does another {PICKLED} in its folder; remove one")
        # Cloned, because safetensors does not allow two tensors to share storage.
        tensors |= {name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in state.items()}
    target = folder / WEIGHTS_FILE
    with replace_file(target) as unfinished:
        save_file(tensors, unfinished, metadata={"format": "pt"})
        give_usual_mode(unfinished)
    return target
