"""Pickled weights (`pytorch_model.bin`) made into safetensors, once and without running what they hold."""

import pickle
from collections.abc import Iterable
from pathlib import Path

import torch
from safetensors.torch import save_file

from hf_sslgen.errors import InputError
from hf_sslgen.files import replace_file
from hf_sslgen.zoo.timm_folder import WEIGHTS_FILE

PICKLED = "pytorch_model*.bin"


def conversion_advice(published: Iterable[str], hub_id: str | None = None, revision: str | None = None) -> str:
    """What to do with a checkpoint that has no safetensors weights.

    Args:
        published: its files.
        hub_id: where they are, unless in a folder.
    """
    if not any(Path(name).match(PICKLED) for name in published):
        return "only safetensors weights in transformers' or timm's own layout are loaded"
    reason = "only safetensors are loaded, because opening a .bin file may run what is in it"
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
    """Whether safetensors can hold it: no sparse or quantised tensor, and none without content."""
    if not isinstance(name, str) or not isinstance(value, torch.Tensor):
        return False
    return value.layout == torch.strided and not value.is_quantized and not value.is_meta


def convert_folder(folder: Path) -> Path:
    """Write `model.safetensors` beside a folder's `pytorch_model*.bin`; returns its path.

    Raises:
        InputError: there is no such file, or it holds more than tensors.
    """
    tensors: dict[str, torch.Tensor] = {}
    paths = sorted(folder.glob(PICKLED))
    if not paths:
        raise InputError(f"{folder} has no {PICKLED}; give the folder of a checkpoint that has")
    for path in paths:
        try:
            state = torch.load(path, map_location="cpu", weights_only=True)
        except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
            raise InputError(f"{path} holds more than tensors, or is damaged, and is not opened") from error
        if not isinstance(state, dict) or not all(_is_plain(name, each) for name, each in state.items()):
            raise InputError(f"{path} is no mapping of names to plain tensors, which is all that safetensors holds")
        # Cloned, because safetensors keeps no two tensors in one storage.
        tensors |= {name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in state.items()}
    target = folder / WEIGHTS_FILE
    with replace_file(target) as unfinished:
        save_file(tensors, unfinished, metadata={"format": "pt"})
        unfinished.chmod(0o644)  # safetensors lets nobody but its owner read the file
    return target
