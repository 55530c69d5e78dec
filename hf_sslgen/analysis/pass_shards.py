"""Shards: parts of a pass that are stored on disk as they finish, so that an interrupted pass can resume.

A shard is a safetensors file with the digest of its content, written completely or not at all. Several processes
divide the shards of a folder among themselves, and each reads all of them afterwards.
"""

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from numpy.typing import NDArray
from safetensors import safe_open
from torch import Tensor
from tqdm.auto import tqdm

from hf_sslgen.analysis.feature_store import FeatureStore
from hf_sslgen.analysis.tensor_files import is_whole, write_tensors
from hf_sslgen.analysis.trunk_passes import are_followed

SHARD_IMAGES = 128
"""Number of images per shard, unless a batch is larger."""


def _no_wait() -> None:
    return None


@dataclass(frozen=True)
class Processes:
    """The processes that share a pass.

    Attributes:
        index: index of this process, in [0, count).
        wait: barrier that returns when every process has called it.
    """

    index: int = 0
    count: int = 1
    wait: Callable[[], None] = _no_wait


@dataclass(frozen=True)
class Run:
    """Where a pass runs, and in which processes.

    Attributes:
        shards: folder for the finished parts of a pass; None for a temporary one.
        processes: the processes that share the pass.
        features: where the outputs of frozen trunks are kept; None to compute them each time.
    """

    shards: Path | None = None
    processes: Processes = field(default_factory=Processes)
    features: FeatureStore | None = None


ALONE = Run()


def parts(num_images: int, batch_size: int, processes: Processes, whole_batches: bool = False) -> list[slice]:
    """Divide [0, num_images) into one non-empty range per shard, with enough for every process if possible.

    Args:
        whole_batches: whether every range but the last consists of full batches, so that dividing the pass does not
            change rounding.
    """
    size = max(1, min(max(SHARD_IMAGES, batch_size), -(-num_images // processes.count)))
    if whole_batches:
        size = -(-size // batch_size) * batch_size
    return [slice(start, min(start + size, num_images)) for start in range(0, num_images, size)]


@contextmanager
def shard_folder(folder: Path | None) -> Iterator[Path]:
    """Yield the given folder, which is kept, or a temporary one if it is None."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="hf-sslgen-pass-") as temporary:
        yield Path(temporary)


def compute_shards(
    work: Mapping[Path, tuple[int, Callable[[], dict[str, Tensor]]]], processes: Processes, description: str
) -> None:
    """Compute this process's share of the missing shards, and wait for the other processes.

    Args:
        work: for each shard file, its number of images and the function that computes its tensors.
        description: description of the progress bar, which counts images.
    """
    mine = list(work.items())[processes.index :: processes.count]
    total = sum(num_images for _, (num_images, _) in mine)
    hidden = True if processes.index or are_followed() else None  # None: hidden unless stderr is a terminal
    with tqdm(total=total, desc=description, unit="image", disable=hidden, leave=False) as progress:
        for path, (num_images, compute) in mine:
            if not is_whole(path):
                write_tensors(path, compute())
            progress.update(num_images)
    processes.wait()


def read_shards(paths: Sequence[Path], name: str) -> NDArray[Any]:
    """Read one tensor from every shard, concatenated along the first axis in shard order."""
    tensors = []
    for path in paths:
        with safe_open(path, framework="pt") as shard:
            tensors.append(shard.get_tensor(name))
    return torch.cat(tensors).numpy()
