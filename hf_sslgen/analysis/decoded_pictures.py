"""Decode pictures to pixels in threads, ahead of the network, and keep some for the next backbone."""

from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from torch import Tensor

from hf_sslgen.domains.images import ImageSplit
from hf_sslgen.geometry import Geometry
from hf_sslgen.preprocessing import evaluation_pixels

KEPT_BYTES = 512 * 1024**2
"""Pixels kept in memory, from the pictures used last. Consecutive cells of a study pass the same pictures through
different trunks."""

Key = tuple[int, str, Geometry]
"""A picture's digest and intensity, and the geometry of its pixels."""

_kept: OrderedDict[Key, Tensor] = OrderedDict()


def _decoded(split: ImageSplit, position: int, key: Key) -> Tensor:
    found = _kept.get(key)
    return evaluation_pixels(split.image(position), key[2]) if found is None else found


def decoded_ahead(split: ImageSplit, geometry: Geometry, batch_size: int, keep: bool = False) -> Iterator[Tensor]:
    """Yield the pixels of a split's images, (B, 3, S, S) bytes, while the next batch is being decoded.

    Decoding and resizing release Python's lock, so threads, as many as torch uses, run beside the network.

    Args:
        keep: whether to keep the pixels in memory for a later call, up to `KEPT_BYTES`.

    Raises:
        CorruptImageError: a picture can't be decoded.
    """
    keys = [(int(digest), str(split.intensity), geometry) for digest in split.picture_digests()]
    starts = range(0, len(split), batch_size)
    with ThreadPoolExecutor(torch.get_num_threads()) as threads:

        def submit(start: int) -> list[tuple[Key, Future[Tensor]]]:
            positions = range(start, min(start + batch_size, len(split)))
            return [(keys[place], threads.submit(_decoded, split, place, keys[place])) for place in positions]

        ahead = submit(0) if len(split) else []
        for start in starts:
            batch, ahead = ahead, submit(start + batch_size) if start + batch_size < len(split) else []
            pixels = torch.stack([future.result() for _, future in batch])
            for (key, _), row in zip(batch, pixels, strict=True):
                if keep:
                    _keep(key, row)
            yield pixels


def _keep(key: Key, pixels: Tensor) -> None:
    _kept[key] = pixels
    _kept.move_to_end(key)
    while len(_kept) * 3 * key[2].image_size ** 2 > KEPT_BYTES:
        _kept.popitem(last=False)
