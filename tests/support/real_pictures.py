"""Real pictures for tests of pixels."""

import io
from pathlib import Path

import pyarrow.parquet as pq
import torch
from PIL import Image
from sklearn.datasets import load_sample_image
from torch import Tensor
from torchvision.transforms.v2 import functional as F

from hf_sslgen.domains.domain_registry import EMBEDDED_FOLDER


def pictures_of(file: Path, count: int, side: int | None = None) -> list[Image.Image]:
    """The first pictures of a Parquet file, resized if a side is given."""
    rows = pq.read_table(file, columns=["image"])["image"].slice(0, count).to_pylist()
    pictures = [Image.open(io.BytesIO(row["bytes"])).convert("RGB") for row in rows]
    return pictures if side is None else [picture.resize((side, side)) for picture in pictures]


def embedded_pictures(domain: str, count: int, side: int | None = None) -> list[Image.Image]:
    return pictures_of(EMBEDDED_FOLDER / domain / "test.parquet", count, side)


def photograph_pictures(side: int) -> list[Image.Image]:
    """Two photographs, cut out at 224 pixels and resized to `side`."""
    names = ("china.jpg", "flower.jpg")
    pictures = [Image.fromarray(load_sample_image(name)[100:324, 200:424]) for name in names]
    return [picture.resize((side, side)) for picture in pictures]


def stacked(pictures: list[Image.Image]) -> Tensor:
    """(N, 3, H, W) floats in [0, 1]."""
    return torch.stack([F.pil_to_tensor(picture) for picture in pictures]).float() / 255


def coordinate_ramps(side: int) -> Tensor:
    """(1, 3, side, side): coordinates of pixel centres, to the right, downwards, and to the right again.

    After a geometric transform they tell where each pixel has come from.
    """
    ramp = ((torch.arange(side) + 0.5) / side).expand(side, side)
    return torch.stack([ramp, ramp.t(), ramp])[None]
