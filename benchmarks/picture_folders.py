"""Write pictures of a dataset in parquet files as a user's own folder, in one of several layouts.

python benchmarks/picture_folders.py DATASET FOLDER --layout classes --pictures 2000
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
from datasets import ClassLabel, Dataset, load_dataset

from hf_sslgen.reporting.csv_files import write_csv

TEST_SHARE = 5
"""Every fifth picture is for testing, in layouts that have splits."""


def _split(index: int) -> str:
    return "test" if index % TEST_SHARE == 0 else "train"


def write_classes(pictures: Dataset, names: Sequence[str], folder: Path) -> None:
    """`class/picture.png`"""
    for index, row in enumerate(pictures):
        path = folder / names[row["label"]] / f"{index:05d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        row["image"].save(path)


def write_splits(pictures: Dataset, names: Sequence[str], folder: Path) -> None:
    """`train/class/picture.jpg` and `test/class/picture.jpg`"""
    for index, row in enumerate(pictures):
        path = folder / _split(index) / names[row["label"]] / f"{index:05d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        row["image"].convert("RGB").save(path, quality=95)


def write_metadata(pictures: Dataset, names: Sequence[str], folder: Path) -> None:
    """`picture.png`, with labels and splits in `metadata.csv`"""
    folder.mkdir(parents=True)
    rows = []
    for index, row in enumerate(pictures):
        row["image"].save(folder / f"{index:05d}.png")
        rows.append({"file_name": f"{index:05d}.png", "label": names[row["label"]], "split": _split(index)})
    write_csv(pd.DataFrame(rows), folder / "metadata.csv")


def write_parquet(pictures: Dataset, names: Sequence[str], folder: Path) -> None:
    """`train.parquet` and `test.parquet`"""
    folder.mkdir(parents=True)
    for split in ("train", "test"):
        rows = [index for index in range(len(pictures)) if _split(index) == split]
        pictures.select(rows).to_parquet(folder / f"{split}.parquet")


LAYOUTS: dict[str, Callable[[Dataset, Sequence[str], Path], None]] = {
    "classes": write_classes,
    "splits": write_splits,
    "metadata": write_metadata,
    "parquet": write_parquet,
}


def some_pictures(dataset: Path, number: int) -> tuple[Dataset, list[str]]:
    """Return rows with columns `image` and `label`, drawn from the training split, and the names of the classes.

    Raises:
        SystemExit: the dataset has too few pictures, or labels without names.
    """
    rows = load_dataset(str(dataset), split="train").select_columns(["image", "label"])
    if len(rows) < number:
        raise SystemExit(f"{dataset} has {len(rows)} training pictures, fewer than {number}")
    label = rows.features["label"]
    if not isinstance(label, ClassLabel):
        raise SystemExit(f"{dataset}: the column label has no names of classes")
    return rows.shuffle(seed=0).select(range(number)), list(label.names)


def main(command_line: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("dataset", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--layout", choices=list(LAYOUTS), required=True)
    parser.add_argument("--pictures", type=int, default=2000)
    options = parser.parse_args(command_line)
    pictures, names = some_pictures(options.dataset, options.pictures)
    LAYOUTS[options.layout](pictures, names, options.folder)


if __name__ == "__main__":
    main()
