"""Ways to lay out a data set on disk."""

import csv
import io
import json
import shutil
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datasets import ClassLabel, Dataset, DatasetDict, Features, Image, Value

from tests.matrix.encodings import Encoding
from tests.matrix.labels import ClassNames, integers
from tests.matrix.pictures import Picture, pictures

SPLITS = ("train", "test")


@dataclass(frozen=True)
class Content:
    """What is laid out: pictures in an encoding, whose classes have names that tables store in some way."""

    encoding: Encoding
    class_names: ClassNames
    storage: str

    def name(self, picture: Picture) -> str:
        return self.class_names.of(picture.split)[picture.class_index]

    def file_name(self, picture: Picture) -> str:
        return f"{picture.stem}.{self.encoding.suffix}"


@dataclass(frozen=True)
class Layout:
    """A layout.

    Attributes:
        write: lays the content out below a folder and returns the `--dataset_name`.
        is_table: whether a column of a table says which class a picture is of, instead of its folder.
        carved: whether there is no test split, so that one is carved from all pictures.
        ordinary: whether refusing it would be a fault.
        readable: whether reading it would be a fault.
        options: what a user adds to the command.
        not_for: kinds of class names that this layout can't tell from something else.
    """

    name: str
    write: Callable[[Path, Content], Path]
    is_table: bool = False
    carved: bool = False
    ordinary: bool = True
    readable: bool = True
    options: tuple[str, ...] = ()
    not_for: tuple[str, ...] = ()


def _save(path: Path, content: Content, picture: Picture) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encoding.encode(picture))


def _folders(
    root: Path, content: Content, split_folders: tuple[str, str] = SPLITS, file_name: str = "{}", below: str = ""
) -> Path:
    """SPLIT/CLASS/FILE, with a folder `below` between class and file."""
    for split, folder in zip(SPLITS, split_folders, strict=True):
        for picture in pictures(split):
            name = file_name.format(content.file_name(picture))
            _save(root / folder / content.name(picture) / below / name, content, picture)
    return root


def _classes_alone(root: Path, content: Content) -> Path:
    for split in SPLITS:
        for picture in pictures(split):
            _save(root / content.class_names.names[picture.class_index] / content.file_name(picture), content, picture)
    return root


def _upper_case(root: Path, content: Content) -> Path:
    for split in SPLITS:
        for picture in pictures(split):
            _save(root / split / content.name(picture) / content.file_name(picture).upper(), content, picture)
    return root


def _with_other_files(root: Path, content: Content) -> Path:
    _folders(root, content)
    for split in SPLITS:
        (root / split / "notes.txt").write_text("not a picture")
        (root / split / content.class_names.of(split)[0] / "Thumbs.db").write_bytes(b"not a picture")
    (root / "README.md").write_text("# Not a picture")
    return root


def _linked_classes(root: Path, content: Content) -> Path:
    _folders(root / "elsewhere", content)
    for split in SPLITS:
        (root / "data" / split).mkdir(parents=True)
        for folder in (root / "elsewhere" / split).iterdir():
            (root / "data" / split / folder.name).symlink_to(folder, target_is_directory=True)
    return root / "data"


def _linked_splits(root: Path, content: Content) -> Path:
    _folders(root / "elsewhere", content)
    (root / "data").mkdir()
    for split in SPLITS:
        (root / "data" / split).symlink_to(root / "elsewhere" / split, target_is_directory=True)
    return root / "data"


def _same_file_twice(root: Path, content: Content) -> Path:
    _folders(root, content)
    first = pictures("train")[0]
    source = root / "train" / content.name(first) / content.file_name(first)
    (root / "test" / content.class_names.of("test")[0] / f"again.{content.encoding.suffix}").symlink_to(source)
    return root


def _flat(root: Path, content: Content) -> Path:
    for split in SPLITS:
        for picture in pictures(split):
            _save(root / split / content.file_name(picture), content, picture)
    return root


def _metadata(root: Path, content: Content, write: Callable[[Path, list[dict[str, Any]]], None]) -> Path:
    for split in SPLITS:
        for picture in pictures(split):
            _save(root / split / content.file_name(picture), content, picture)
        rows = [{"file_name": content.file_name(each), "label": content.name(each)} for each in pictures(split)]
        write(root / split, rows)
    return root


def _write_csv(folder: Path, rows: list[dict[str, Any]]) -> None:
    with (folder / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def _write_json_lines(folder: Path, rows: list[dict[str, Any]]) -> None:
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    (folder / "metadata.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _metadata_without_labels(root: Path, content: Content) -> Path:
    """Folders tell the classes; metadata.csv tells which scanner made a picture."""
    _folders(root, content)
    for split in SPLITS:
        rows = [
            {"file_name": f"{content.name(each)}/{content.file_name(each)}", "scanner": f"scanner {each.index % 2}"}
            for each in pictures(split)
        ]
        _write_csv(root / split, rows)
    return root


def _label_values(content: Content, split: str) -> tuple[list[Any], Any]:
    """The column's values and its type, as the content stores labels."""
    names = content.class_names.of(split)
    of_pictures = [names[picture.class_index] for picture in pictures(split)]
    if content.storage == "integers":
        return [integers(picture.class_index) for picture in pictures(split)], Value("int64")
    if content.storage == "strings" or (content.storage == "class-label-then-strings" and split == "test"):
        return of_pictures, Value("string")
    reverse = content.storage == "class-label-other-order" and split == "test"
    ordered = list(reversed(names)) if reverse else list(names)
    return [ordered.index(name) for name in of_pictures], ClassLabel(names=ordered)


def _table(content: Content, split: str) -> Dataset:
    labels, kind = _label_values(content, split)
    images = [{"bytes": content.encoding.encode(picture), "path": None} for picture in pictures(split)]
    return Dataset.from_dict({"image": images, "label": labels}, features=Features({"image": Image(), "label": kind}))


def _parquet(root: Path, content: Content, names: dict[str, str]) -> Path:
    for split, name in names.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        _table(content, split).to_parquet(root / name)
    return root


def _one_parquet(root: Path, content: Content) -> Path:
    _table(content, "train").to_parquet(root / "all.parquet")
    return root / "all.parquet"


def _saved_splits(root: Path, content: Content) -> Path:
    DatasetDict({split: _table(content, split) for split in SPLITS}).save_to_disk(root / "saved")
    return root / "saved"


def _saved_dataset(root: Path, content: Content) -> Path:
    _table(content, "train").save_to_disk(root / "saved")
    return root / "saved"


def _arrow_file(root: Path, content: Content) -> Path:
    _table(content, "train").save_to_disk(root / "saved")
    (path,) = (root / "saved").glob("*.arrow")
    return path


def _csv_file(root: Path, content: Content) -> Path:
    with (root / "pictures.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "label"])
        for picture in pictures("train"):
            _save(root / content.file_name(picture), content, picture)
            writer.writerow([content.file_name(picture), content.name(picture)])
    return root / "pictures.csv"


def _zip_file(root: Path, content: Content) -> Path:
    _folders(root / "folders", content)
    return Path(shutil.make_archive(str(root / "data"), "zip", root / "folders"))


def _tars(root: Path, content: Content, stem: str = "{}") -> Path:
    for split in SPLITS:
        (root / split).mkdir(parents=True)
        with tarfile.open(root / split / "00000.tar", "w") as archive:
            for picture in pictures(split):
                key = stem.format(picture.stem)
                label = content.name(picture)
                members = {content.encoding.suffix: content.encoding.encode(picture), "cls": label.encode()}
                for extension, data in members.items():
                    member = tarfile.TarInfo(f"{key}.{extension}")
                    member.size = len(data)
                    archive.addfile(member, io.BytesIO(data))
    return root


LAYOUTS = {
    layout.name: layout
    for layout in (
        Layout("folders", _folders),
        Layout("folders-upper", lambda root, content: _folders(root, content, ("Train", "TEST"))),
        Layout("folders-synonyms", lambda root, content: _folders(root, content, ("training", "testing"))),
        Layout("folders-validation", lambda root, content: _folders(root, content, ("train", "val"))),
        Layout("classes-alone", _classes_alone, carved=True, not_for=("splits",)),
        Layout("files-named-as-splits", lambda root, content: _folders(root, content, file_name="train_{}")),
        Layout("files-upper-case", _upper_case),
        Layout("folders-below-classes", lambda root, content: _folders(root, content, below="test"), ordinary=False),
        Layout("with-other-files", _with_other_files),
        Layout("linked-classes", _linked_classes),
        Layout("linked-splits", _linked_splits),
        Layout("pattern-characters", lambda root, content: _folders(root / "my [best] pics? {a,b}*", content)),
        Layout("same-file-twice", _same_file_twice, readable=False),
        Layout("flat", _flat, readable=False),
        Layout("metadata-csv", lambda root, content: _metadata(root, content, _write_csv), is_table=True),
        Layout("metadata-jsonl", lambda root, content: _metadata(root, content, _write_json_lines), is_table=True),
        Layout("metadata-without-labels", _metadata_without_labels),
        Layout(
            "parquet",
            lambda root, content: _parquet(root, content, {"train": "train.parquet", "test": "test.parquet"}),
            is_table=True,
        ),
        Layout(
            "parquet-shards",
            lambda root, content: _parquet(
                root, content, {split: f"data/{split}-00000-of-00001.parquet" for split in SPLITS}
            ),
            is_table=True,
        ),
        Layout(
            "parquet-eval",
            lambda root, content: _parquet(root, content, {"train": "train.parquet", "test": "eval.parquet"}),
            is_table=True,
        ),
        Layout(
            "parquet-upper",
            lambda root, content: _parquet(root, content, {"train": "TRAIN.PARQUET", "test": "Test.Parquet"}),
            is_table=True,
        ),
        Layout("one-parquet", _one_parquet, is_table=True, carved=True),
        Layout("saved-splits", _saved_splits, is_table=True),
        Layout("saved-dataset", _saved_dataset, is_table=True, carved=True),
        Layout("arrow-file", _arrow_file, is_table=True, carved=True, ordinary=False),
        Layout("csv-file", _csv_file, is_table=True, carved=True, ordinary=False),
        Layout("zip-file", _zip_file, ordinary=False),
        Layout("tars", _tars, is_table=True, ordinary=False),
        Layout("tars-with-dots", lambda root, content: _tars(root, content, "v1.0.{}"), is_table=True, ordinary=False),
    )
}

FILES_ALONE = ("metadata-csv", "metadata-jsonl", "csv-file", "tars", "tars-with-dots")
"""Tables whose labels are always text."""
