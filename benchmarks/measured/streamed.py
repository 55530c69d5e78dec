"""Passes over streamed images as in fine-tuning, from files made for the benchmark, each in its own process."""

import io
import os
import time
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from measured.measuring import peak_resident

SIDE, TILE = 144, 48
TRAIN, VALIDATION, TEST = "train", "validation", "test"
FEW = 10
"""Number of pictures in splits that are not measured."""

ROW_GROUP = 100
"""Rows in a row group, as `datasets` writes them for pictures."""

BATCH_SIZE, INPUT_SIDE, SHUFFLE_BUFFER = 64, 112, 1000
REPOSITORY = "owner/collages"
HUB, FILES, PREPARED = "streamed from the Hub", "streamed from disk", "prepared on disk"


@dataclass(frozen=True)
class Collages:
    """Distinct pictures, each made of nine real patches, in parquet files.

    Attributes:
        shard: number of pictures in a file.
        with_test: whether the test split has all pictures of the training split, or only a few.
    """

    count: int
    shard: int
    with_test: bool

    def write(self, folder: Path) -> float:
        """Write the files in the Hub's layout; returns the bytes of the pictures."""
        import datasets

        (folder / "data").mkdir(parents=True)
        classes = datasets.ClassLabel(names=["a", "b", "c"])
        schema = datasets.Features({"image": datasets.Image(), "label": classes}).arrow_schema
        generator, tiles, size = np.random.default_rng(0), _tiles(), 0
        count = -(-self.count // self.shard)
        for index in range(count):
            rows = min(self.shard, self.count - index * self.shard)
            pictures = [_collage(tiles, generator) for _ in range(rows)]
            size += sum(map(len, pictures))
            labels = [(index + row) % 3 for row in range(rows)]
            table = pa.table([[{"bytes": each, "path": None} for each in pictures], labels], schema=schema)
            path = folder / "data" / f"{TRAIN}-{index:05d}-of-{count:05d}.parquet"
            pq.write_table(table, path, row_group_size=ROW_GROUP)
            if self.with_test:
                os.link(path, path.with_name(path.name.replace(TRAIN, TEST, 1)))
        for split in (VALIDATION,) if self.with_test else (VALIDATION, TEST):
            pq.write_table(table.slice(0, FEW), folder / "data" / f"{split}-00000-of-00001.parquet")
        return float(size)


def _tiles() -> list[np.ndarray]:
    from hf_sslgen.domains.domain_registry import embedded_files, find_domain

    entry = find_domain("photo-patches")
    assert entry is not None
    rows = pq.read_table(embedded_files(entry)[TRAIN]).column("image").to_pylist()
    return [np.asarray(Image.open(io.BytesIO(row["bytes"])).convert("RGB")) for row in rows]


def _collage(tiles: list[np.ndarray], generator: np.random.Generator) -> bytes:
    picture = np.empty((SIDE, SIDE, 3), dtype=np.uint8)
    for top in range(0, SIDE, TILE):
        for left in range(0, SIDE, TILE):
            picture[top : top + TILE, left : left + TILE] = tiles[int(generator.integers(len(tiles)))]
    file = io.BytesIO()
    Image.fromarray(picture).save(file, "JPEG", quality=int(generator.integers(75, 95)))
    return file.getvalue()


def publish(folder: Path) -> None:
    """Push the files to the Hub of this process's environment."""
    from huggingface_hub import HfApi

    api = HfApi()
    api.create_repo(REPOSITORY, repo_type="dataset")
    api.upload_folder(repo_id=REPOSITORY, repo_type="dataset", folder_path=folder)


def _batches(location: str, streaming: bool, workers: int) -> Generator[int, None, None]:
    """Yield the sizes of the batches in fine-tuning, endlessly for a stream and for one pass otherwise."""
    from torch.utils.data import DataLoader

    from hf_sslgen.domains.domain_arguments import DomainArguments
    from hf_sslgen.domains.domain_loading import load_domain
    from hf_sslgen.domains.images import ImageSplit
    from hf_sslgen.geometry import Geometry
    from hf_sslgen.training import samples
    from hf_sslgen.training.random_crop import Augmentation

    domain = load_domain(DomainArguments(location, streaming=streaming, shuffle_buffer_size=SHUFFLE_BUFFER))
    geometry = Geometry(INPUT_SIDE, 1.0, "bilinear")
    augmentation = Augmentation(minimum_area=0.35, horizontal_flip=True)
    of_kind: Any = samples.TrainingSamples if isinstance(domain.train, ImageSplit) else samples.StreamedTrainingSamples
    images = of_kind(domain.train, geometry, augmentation, 0)
    order: Any
    if isinstance(domain.train, ImageSplit):
        order = samples.EpochOrder(len(domain.train), 0)
    else:
        order = samples.StreamOrder(domain.train)
    context = "fork" if workers else None  # the default would be spawn in a spawned process, unlike in fine-tuning
    loader = DataLoader(
        images,
        BATCH_SIZE,
        sampler=order,
        collate_fn=samples.collate,
        num_workers=workers,
        multiprocessing_context=context,
    )
    yield 0  # everything is loaded
    for batch in loader:
        yield len(batch["labels"])


def images_per_second(places: dict[str, str], images: int, rounds: int, workers: int) -> dict[str, list[float]]:
    """Measure the speed of each way to read the same images, in turns; the first round is not counted."""
    speeds: dict[str, list[float]] = {name: [] for name in places}
    for turn in range(rounds + 1):
        for name, place in places.items():
            batches = _batches(place, name != PREPARED, workers)
            next(batches)
            start, seen = time.perf_counter(), 0
            while seen < images:
                seen += next(batches)
            speed = seen / (time.perf_counter() - start)
            batches.close()
            if turn:
                speeds[name].append(speed)
    return speeds


def peak_of_training(location: str, images: int) -> float:
    """Return the peak resident memory, in bytes, of a process that reads a training pass of the stream."""
    batches = _batches(location, True, 0)
    seen = next(batches)
    while seen < images:
        seen += next(batches)
    batches.close()
    return peak_resident()


def peak_of_evaluation(location: str, images: int) -> float:
    """Return the same for a process that reads the streamed test split and then measures every image in it."""
    from torch.utils.data import DataLoader

    from hf_sslgen.domains.domain_arguments import DomainArguments
    from hf_sslgen.domains.domain_loading import load_domain
    from hf_sslgen.geometry import Geometry
    from hf_sslgen.training.samples import EvaluationSamples

    domain = load_domain(DomainArguments(location, streaming=True))
    assert len(domain.test) == images
    loader = DataLoader(EvaluationSamples(domain.test, Geometry(INPUT_SIDE, 1.0, "bilinear")), BATCH_SIZE)
    assert sum(len(batch["labels"]) for batch in loader) == images
    return peak_resident()
