"""Shards: parts of a pass that are kept on disk as they are finished, so that an interrupted one goes on.

A shard is a safetensors file with the digest of its content, there whole or not at all. Several processes share out
the shards of a folder and all of them read the whole afterwards.
"""

import hashlib
import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from tqdm.auto import tqdm

from hf_sslgen.files import give_usual_mode, replace_file

logger = logging.getLogger(__name__)

DIGEST = "sha256"
"""Key of a shard's metadata."""

SHARD_IMAGES = 128
"""Images in a shard, where a batch is not larger."""


def _no_wait() -> None:
    return None


@dataclass(frozen=True)
class Processes:
    """The processes that share a pass.

    Attributes:
        index: of this one, in [0, count).
        wait: returns when every process has called it.
    """

    index: int = 0
    count: int = 1
    wait: Callable[[], None] = _no_wait


@dataclass(frozen=True)
class Run:
    """Where and by whom a pass is run.

    Attributes:
        shards: folder that keeps the finished parts of a pass; None for a temporary one.
        processes: those that run it together.
    """

    shards: Path | None = None
    processes: Processes = field(default_factory=Processes)


ALONE = Run()


def parts(num_images: int, batch_size: int, processes: Processes, whole_batches: bool = False) -> list[slice]:
    """Consecutive parts of [0, num_images), one a shard: none empty, and enough for every process where possible.

    Args:
        whole_batches: whether every part but the last has only batches of the full size, so that a pass in parts
            rounds as a pass without them.
    """
    size = max(1, min(max(SHARD_IMAGES, batch_size), -(-num_images // processes.count)))
    if whole_batches:
        size = -(-size // batch_size) * batch_size
    return [slice(start, min(start + size, num_images)) for start in range(0, num_images, size)]


@contextmanager
def shard_folder(folder: Path | None) -> Iterator[Path]:
    """The folder itself, kept, or where there is None a temporary one."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="hf-sslgen-pass-") as temporary:
        yield Path(temporary)


def _digest(tensors: Mapping[str, Tensor]) -> str:
    """Sixty-four hexadecimal digits of all names, types, shapes and values."""
    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}\n".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def is_whole(path: Path) -> bool:
    """Whether a shard is there and undamaged; warns of a damaged one."""
    if not path.exists():
        return False
    try:
        with safe_open(path, framework="pt") as shard:
            tensors = {name: shard.get_tensor(name) for name in shard.offset_keys()}
            is_undamaged = (shard.metadata() or {}).get(DIGEST) == _digest(tensors)
    except (SafetensorError, OSError, ValueError):
        is_undamaged = False
    if not is_undamaged:
        logger.warning("%s is damaged and computed again", path)
    return is_undamaged


def compute_shards(
    work: Mapping[Path, tuple[int, Callable[[], dict[str, Tensor]]]], processes: Processes, description: str
) -> None:
    """Compute this process's share of the shards that are not there yet, and wait for the others.

    Args:
        work: by the file of each shard, how many images it takes and what computes its tensors.
        description: of the progress bar, which counts images.
    """
    mine = list(work.items())[processes.index :: processes.count]
    total = sum(num_images for _, (num_images, _) in mine)
    hidden = True if processes.index else None  # None: hidden where nobody watches a terminal
    with tqdm(total=total, desc=description, unit="image", disable=hidden, leave=False) as progress:
        for path, (num_images, compute) in mine:
            if not is_whole(path):
                tensors = {name: tensor.contiguous() for name, tensor in compute().items()}
                with replace_file(path) as unfinished:
                    save_file(tensors, unfinished, metadata={DIGEST: _digest(tensors)})
                    give_usual_mode(unfinished)
            progress.update(num_images)
    processes.wait()


def read_shards(paths: Sequence[Path], name: str) -> NDArray[Any]:
    """One tensor of every shard, joined along the first axis in the order of the shards."""
    tensors = []
    for path in paths:
        with safe_open(path, framework="pt") as shard:
            tensors.append(shard.get_tensor(name))
    return torch.cat(tensors).numpy()
