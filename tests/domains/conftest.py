"""Small data sets of real pictures in the layouts of the Hub."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import datasets
import pyarrow.parquet as pq
import pytest

EMBEDDED = Path(__file__).parents[2] / "hf_sslgen" / "domains" / "embedded"


@pytest.fixture(autouse=True)
def no_pause_after_a_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    """After each shuffled pass `datasets` sleeps 5 s so that threads reading remote files end; here all is local."""
    monkeypatch.setattr(datasets.config, "SLEEP_TIME_ON_THREADS_SHUTDOWN", 0)


@pytest.fixture(scope="session")
def pictures() -> list[bytes]:
    """Sixty PNG files of one photograph, all different."""
    table = pq.read_table(EMBEDDED / "photo-patches" / "train.parquet")
    return [row["image"]["bytes"] for row in table.to_pylist()[:60]]


@pytest.fixture
def hub_folder(tmp_path: Path, pictures: list[bytes]) -> Callable[..., Path]:
    """A factory of data sets: `hub_folder({"train": [0, 1, 0], "test": [1]}, ClassLabel(names=["a", "b"]))`.

    The lists are labels; the pictures are taken in order through all splits. Files lie in the Hub's layout,
    `data/train-00000-of-00002.parquet`, as many to a split as `shards` says; `extra` adds whole columns to each split.
    """

    def build(
        labels: Mapping[str, Sequence[Any]],
        label_feature: Any,
        image_column: str = "image",
        label_column: str = "label",
        shards: int = 1,
        encoded: Mapping[str, Sequence[Any]] | None = None,
        extra: Mapping[str, tuple[Any, Sequence[Any]]] | None = None,
    ) -> Path:
        features = {image_column: datasets.Image(decode=False), label_column: label_feature}
        features |= {name: feature for name, (feature, _) in (extra or {}).items()}
        (tmp_path / "hub" / "data").mkdir(parents=True)
        start = 0
        for split, values in labels.items():
            stop = start + len(values)
            images = [{"bytes": each, "path": None} for each in pictures[start:stop]]
            columns = {image_column: (encoded or {}).get(split, images), label_column: list(values)}
            columns |= {name: list(cells)[start:stop] for name, (_, cells) in (extra or {}).items()}
            dataset = datasets.Dataset.from_dict(columns, features=datasets.Features(features))
            dataset = dataset.cast_column(image_column, datasets.Image())
            count = max(1, min(shards, len(values)))
            for shard in range(count):
                part = dataset.shard(count, shard, contiguous=True) if count > 1 else dataset
                part.to_parquet(tmp_path / "hub" / "data" / f"{split}-{shard:05d}-of-{count:05d}.parquet")
            start = stop
        return tmp_path / "hub"

    return build
