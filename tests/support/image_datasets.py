"""Small datasets of real pictures as files of the Hub: parquet and webdataset, in shards of any size."""

import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from datasets import Features, Value

from hf_sslgen.domains.splits import content_id

EMBEDDED = Path(__file__).parents[2] / "hf_sslgen" / "domains" / "embedded"
ROW_GROUP = 4

Shards = Mapping[str, Sequence[int]]
"""Rows of each shard, by split; splits take the pictures one after another."""


def pictures() -> pa.Table:
    """Pictures of six classes in turns, all different, with columns `image` and `label`."""
    table = pq.read_table(EMBEDDED / "photo-patches" / "train.parquet")
    labels = table["label"].to_pylist()
    turns = {label: iter([row for row, each in enumerate(labels) if each == label]) for label in sorted(set(labels))}
    return table.take([next(turns[label]) for _ in range(40) for label in turns])


def ids(table: pa.Table) -> list[int]:
    """What identifies the pictures."""
    return [content_id(value["bytes"]) for value in table["image"].to_pylist()]


def splits(shards: Shards) -> dict[str, list[pa.Table]]:
    """The rows of each shard."""
    table, start, found = pictures(), 0, {}
    for split, sizes in shards.items():
        found[split] = []
        for size in sizes:
            found[split].append(table.slice(start, size))
            start += size
    return found


def split_ids(shards: Shards) -> dict[str, list[int]]:
    """Ids of each split's pictures, in order."""
    return {split: [each for part in parts for each in ids(part)] for split, parts in splits(shards).items()}


def write_parquet(folder: Path, shards: Shards, plain: bool = False) -> Path:
    """`data/SPLIT-00000-of-00003.parquet`; `plain` leaves out what says that the labels are of classes."""
    (folder / "data").mkdir(parents=True)
    for split, parts in splits(shards).items():
        for index, part in enumerate(parts):
            if plain:
                features = Features.from_arrow_schema(part.schema)
                kept = Features({"image": features["image"], "label": Value("int64")})
                part = part.cast(kept.arrow_schema)
            path = folder / "data" / f"{split}-{index:05d}-of-{len(parts):05d}.parquet"
            pq.write_table(part, path, row_group_size=ROW_GROUP)
    return folder


def write_large_parquet(folder: Path, rows: int, padding: int) -> Path:
    """One shard of a training split, with so many bytes beside each picture, and a test split of five rows."""
    write_parquet(folder, {"train": (rows,), "test": (5,)})
    (path,) = (folder / "data").glob("train-*")
    table = pq.read_table(path)
    noise = [np.random.default_rng(row).bytes(padding) for row in range(rows)]
    pq.write_table(table.append_column("noise", pa.array(noise, pa.binary())), path, row_group_size=ROW_GROUP)
    (test,) = (folder / "data").glob("test-*")
    few = pq.read_table(test)
    pq.write_table(few.append_column("noise", pa.array([b""] * len(few), pa.binary())), test)
    return folder


def write_webdataset(folder: Path, shards: Shards, picture: str = "png") -> Path:
    """`SPLIT/00000.tar` with `NUMBER.png`, `NUMBER.cls` and `NUMBER.json` for each row."""
    number = 0
    for split, parts in splits(shards).items():
        (folder / split).mkdir(parents=True)
        for index, part in enumerate(parts):
            with tarfile.open(folder / split / f"{index:05d}.tar", "w") as archive:
                for row in part.to_pylist():
                    label = row["label"]
                    members = {picture: row["image"]["bytes"], "cls": str(label).encode()}
                    members["json"] = json.dumps({"class": f"class {label}", "seen": number}).encode()
                    for extension, content in members.items():
                        member = tarfile.TarInfo(f"{number:06d}.{extension}")
                        member.size = len(content)
                        archive.addfile(member, io.BytesIO(content))
                    number += 1
    return folder
