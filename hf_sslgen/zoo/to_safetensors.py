"""Pickled weights (`pytorch_model.bin`) made into safetensors, once and without running what they hold."""

import pickle
import struct
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path

import torch
from safetensors.torch import save_file

from hf_sslgen.errors import InputError
from hf_sslgen.files import give_usual_mode, replace_file
from hf_sslgen.zoo.timm_folder import WEIGHTS_FILE

PICKLED = "pytorch_model*.bin"

OTHER_WEIGHTS = (".bin", ".ckpt", ".h5", ".msgpack", ".npz", ".onnx", ".pkl", ".pt", ".pth", ".safetensors", ".tar")
"""Endings of files that hold weights in some layout."""

DAMAGES = (
    OSError,
    RuntimeError,
    EOFError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ImportError,
    ArithmeticError,
    MemoryError,
    AssertionError,
)
"""What reading a damaged pickle raises, whose instructions may ask for anything."""


def conversion_advice(published: Iterable[str], hub_id: str | None = None, revision: str | None = None) -> str:
    """What to do with a checkpoint that has no safetensors weights.

    Args:
        published: its files.
        hub_id: where they are, unless in a folder.
    """
    published = list(published)
    if not any(Path(name).match(PICKLED) for name in published):
        others = sorted(name for name in published if Path(name).suffix in OTHER_WEIGHTS)
        found = f", and not {others[0][:80]}" if others else ""
        return f"only safetensors weights in transformers' or timm's own layout are loaded{found}"
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


def _check_members(path: Path) -> None:
    """Compare every part of a zip file with its checksum, which torch does not.

    Raises:
        InputError: names a part that is damaged.
    """
    try:
        if not zipfile.is_zipfile(path):
            return  # older files of torch hold no checksums
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
            names = archive.namelist()
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError, struct.error) as error:
        raise InputError(f"{path} is damaged ({error}); fetch it again") from error
    if damaged is None and len(set(names)) < len(names):
        damaged = next(name for name in names if names.count(name) > 1)
    if damaged is not None:
        raise InputError(f"{path} is damaged: its part {damaged!r} does not match its checksum; fetch it again")


def _read_pickled(path: Path) -> dict[str, torch.Tensor]:
    _check_members(path)
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, *DAMAGES) as error:
        raise InputError(f"{path} holds more than tensors, or is damaged, and is not opened") from error
    if isinstance(state, dict) and all(_is_plain(name, each) for name, each in state.items()):
        return state
    inner = _inner_mapping(state)
    raise InputError(
        f"{path} is not a mapping of names to plain tensors, which is all that safetensors holds"
        + (f"; its tensors lie under the key {inner!r}: save those alone" if inner is not None else "")
    )


def _inner_mapping(state: object) -> str | None:
    """The key under which a training checkpoint keeps its tensors beside other things; None where there is none."""
    if not isinstance(state, dict):
        return None
    for key, value in state.items():
        if isinstance(value, dict) and value and all(_is_plain(name, each) for name, each in value.items()):
            return str(key)[:80]
    return None


def convert_folder(folder: Path) -> Path:
    """Write `model.safetensors` beside a folder's `pytorch_model*.bin`; returns its path.

    Raises:
        InputError: there is no such file, or it is damaged or holds more than tensors.
    """
    tensors: dict[str, torch.Tensor] = {}
    paths = sorted(folder.glob(PICKLED))
    if not paths:
        raise InputError(f"{folder} has no {PICKLED}; give the folder of a checkpoint that has")
    for path in paths:
        state = _read_pickled(path)
        twice = tensors.keys() & state.keys()
        if twice:
            raise InputError(f"{path} holds {min(twice)!r}, which another {PICKLED} beside it holds too; remove one")
        # Cloned, because safetensors keeps no two tensors in one storage.
        tensors |= {name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in state.items()}
    target = folder / WEIGHTS_FILE
    with replace_file(target) as unfinished:
        save_file(tensors, unfinished, metadata={"format": "pt"})
        give_usual_mode(unfinished)
    return target
