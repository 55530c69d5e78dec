"""Local data sets of every kind but plain folders: what is taken, what is said of the rest, and what is refused."""

import csv
import io
import shutil
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import datasets
import pytest
from datasets import ClassLabel, DatasetDict, load_dataset

from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.domains.domain_loading import load_domain
from hf_sslgen.domains.domain_names import domain_name, told_apart
from hf_sslgen.errors import InputError
from tests.support.coloured_pictures import SPLITS, Kind, kinds_by_role, write_picture

PETS = ClassLabel(names=["cat", "dog"])
LABELS = {"train": [0, 1] * 6, "test": [1, 0, 1]}


def _load(path, **options):
    return load_domain(DomainArguments(str(path), **options))


def _folders(root: Path, splits=("train", "test"), classes=("cat", "dog"), each=5) -> Path:
    for split in splits:
        for label, name in enumerate(classes):
            for number in range(each):
                role = split if split in SPLITS else "other"
                write_picture(root / split / name / f"{number}.png", Kind(SPLITS.index(role), label, number))
    return root


def _sizes(domain) -> list[int]:
    return [len(split) for split in (domain.train, domain.validation, domain.test)]


def _left_out(domain) -> dict[str, int | None]:
    return {each.what: each.count for each in domain.taken.left_out}


def _write_metadata(path: Path, rows: list[dict]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


@pytest.mark.parametrize("names", [("TRAIN.PARQUET", "Test.Parquet"), ("train/a.parquet", "Eval/b.parquet")])
def test_tables_are_split_by_their_names_and_folders(hub_folder, tmp_path, names):
    folder = hub_folder(LABELS, PETS)
    for split, name in zip(LABELS, names, strict=True):
        path = tmp_path / "my [tables]?" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / "data" / f"{split}-00000-of-00001.parquet", path)
    domain = _load(tmp_path / "my [tables]?")
    assert domain.test.labels.tolist() == LABELS["test"] and sum(_sizes(domain)) == 15


def test_missing_shard_and_unnamed_table_are_refused(hub_folder):
    folder = hub_folder(LABELS, PETS, shards=3)
    shutil.copy(folder / "data" / "test-00000-of-00003.parquet", folder / "data" / "more.parquet")
    with pytest.raises(InputError, match=r"'data/more.parquet' is not named after a split, while others are"):
        _load(folder)
    (folder / "data" / "more.parquet").unlink()
    (folder / "data" / "train-00001-of-00003.parquet").unlink()
    with pytest.raises(InputError, match="split 'train' should have 3 files, but number 00001 is missing"):
        _load(folder)


def test_what_save_to_disk_wrote_is_loaded(hub_folder, tmp_path):
    splits = load_dataset(str(hub_folder(LABELS, PETS)))
    assert isinstance(splits, DatasetDict)
    splits.save_to_disk(tmp_path / "splits")
    splits["train"].save_to_disk(tmp_path / "single")
    (arrow,) = (tmp_path / "single").glob("*.arrow")
    assert _load(tmp_path / "splits").test.labels.tolist() == LABELS["test"]
    assert sum(_sizes(_load(tmp_path / "single"))) == sum(_sizes(_load(arrow))) == len(LABELS["train"])


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("pets.zip", "it is an archive; unpack it"),
        ("pets.csv", "it is a table; put it next to the pictures as metadata.csv"),
        ("pets.png", "it is a single picture"),
        ("pets.bin", "it is not a dataset file"),
        ("archives", r"it holds \.zip archives \(1\); unpack the archives first"),
        ("nothing", "it is empty"),
        ("flat", r"the folder 'test' has pictures but no class folders; put them into"),
        ("loose", "needs one folder per class and at least two of them"),
        ("beside", r"the folder 'train' holds pictures but no class folders, and lies next to others"),
        ("upside_down", "'cat/test' is named after a split but lies on the second level"),
        ("case", "the class 'cat' of 'train' is called 'Cat' in 'test'"),
        ("disjoint", "split 'test' has no class in common with 'train'"),
        ("two_names", "has 2 splits whose names mean train"),
    ],
)
def test_what_is_no_data_set_is_refused_with_the_remedy(tmp_path, name, reason):
    path = tmp_path / name
    picture = Kind(0, 0, 0)
    if path.suffix == ".zip":
        zipfile.ZipFile(path, "w").close()
    elif path.suffix:
        path.write_bytes(b"x")
    else:
        path.mkdir()
    for kind, places in {
        "flat": ("train/1.png", "test/1.png"),
        "loose": ("1.png",),
        "beside": ("train/1.png", "cat/1.png", "dog/1.png"),
        "upside_down": ("cat/train/1.png", "cat/test/1.png", "dog/train/1.png"),
        "case": ("train/cat/1.png", "train/dog/1.png", "test/Cat/1.png", "test/dog/1.png"),
        "disjoint": ("train/cat/1.png", "train/dog/1.png", "test/bus/1.png"),
        "two_names": ("train/cat/1.png", "train/dog/1.png", "Training/cat/1.png"),
    }.items():
        for place in places if kind == name else ():
            write_picture(path / place, picture)
    if name == "archives":
        zipfile.ZipFile(path / "train.zip", "w").close()
    with pytest.raises(InputError, match=reason):
        _load(path)


def test_file_in_two_splits_or_classes_is_refused_and_links_in_a_circle_are_named(tmp_path):
    root = _folders(tmp_path / "pets")
    (root / "train" / "cat" / "around").symlink_to(root / "train", target_is_directory=True)
    domain = _load(root)
    assert sum(_sizes(domain)) == 20 and _left_out(domain)["the link 'train/cat/around' to a folder around it"] == 1
    (root / "train" / "cat" / "again.png").symlink_to(root / "train" / "cat" / "0.png")
    assert _left_out(_load(root))["links to pictures that are there already"] == 1
    (root / "train" / "dog" / "both.png").symlink_to(root / "train" / "cat" / "0.png")
    with pytest.raises(InputError, match="one file in two classes"):
        _load(root)
    (root / "train" / "dog" / "both.png").unlink()
    (root / "test" / "cat" / "leak.png").symlink_to(root / "train" / "cat" / "1.png")
    with pytest.raises(InputError, match="one file in two splits"):
        _load(root)


def test_classes_without_training_or_test_images_are_named(tmp_path):
    root = _folders(tmp_path / "pets", classes=("cat", "dog"))
    write_picture(root / "test" / "owl" / "1.png", Kind(2, 2, 0))
    write_picture(root / "train" / "bee" / "1.png", Kind(0, 3, 0))
    (root / "train" / "ant").mkdir()
    (root / "train" / "ant" / "1.heic").write_bytes(b"x")
    domain = _load(root)
    assert (domain.taken.untrained_classes, domain.taken.untested_classes) == (("owl",), ("bee",))
    assert _left_out(domain) == {".heic files": 1, "class folders without pictures: train/ant": 1}
    lines = "\n".join(domain.taken.lines())
    assert "classes without training images: owl" in lines and ".heic files (1)" in lines


def test_metadata_without_labels_leaves_the_folders_labels(tmp_path):
    root = _folders(tmp_path / "pets")
    for split in ("train", "test"):
        rows = [{"file_name": f"{name}/0.png", "scanner": name[0]} for name in ("cat", "dog")]
        _write_metadata(root / split / "metadata.csv", rows)
    domain = _load(root)
    assert domain.class_names == ("cat", "dog") and domain.taken.label_column == "the names of folders"
    found = [each for role in kinds_by_role(domain).values() for each in role]
    assert len(found) == 20 and all(name == ("cat", "dog")[kind.label] for kind, name in found)
    assert _load(root, pair_column_name="scanner").test.pair_keys().tolist().count(-1) == 8


def test_metadata_labels_are_read_as_they_stand(tmp_path):
    root = tmp_path / "pets"
    for split in ("train", "test"):
        names = ["NA", "None"] * 4
        for number, _ in enumerate(names):
            write_picture(root / split / f"{number}.png", Kind(SPLITS.index(split), number % 2, number))
        rows = [{"file_name": f"{number}.png", "label": name} for number, name in enumerate(names)]
        _write_metadata(root / split / "metadata.csv", rows)
    write_picture(root / "test" / "more.png", Kind(2, 0, 99))
    domain = _load(root)
    assert domain.class_names == ("NA", "None") and _left_out(domain) == {"pictures of 'test' without metadata": 1}
    assert all(name == ("NA", "None")[kind.label] for kind, name in kinds_by_role(domain)["test"])
    (root / "train" / "3.png").unlink()
    with pytest.raises(InputError, match=r"the picture '3.png' of train/metadata.csv does not exist"):
        _load(root)
    assert sum(_sizes(_load(root, skip_corrupt=True))) == 15
    _write_metadata(root / "train" / "metadata.csv", [{"file_name": "../../secret.png", "label": "NA"}])
    with pytest.raises(InputError, match="lies outside the dataset"):
        _load(root)


def _flat(root: Path, splits: dict[str, list[Any]]) -> Path:
    """A folder of pictures and one table; the keys of `splits` are those of the table's column."""
    values = [(split, label) for split, labels in splits.items() for label in labels]
    rows = []
    for number, (split, label) in enumerate(values):
        write_picture(root / f"{number}.png", Kind(0, number, number))
        rows.append({"file_name": f"{number}.png", "species": label, "Split": split})
    _write_metadata(root / "metadata.csv", rows)
    return root


def test_a_column_of_splits_in_metadata_makes_the_splits(tmp_path):
    pets = ["cat", "dog"] * 3
    root = _flat(tmp_path / "pets", {"train": pets, "Valid": pets[:2], "test": pets[:4], "extra": pets, "": pets[:3]})
    domain = _load(root)
    assert _sizes(domain) == [6, 2, 4]
    assert _left_out(domain) == {"pictures of split 'extra', which has no role": 6, "pictures beside the splits": 3}
    assert [kind.number for kind, _ in kinds_by_role(domain)["test"]] == [8, 9, 10, 11]
    assert "  2 classes, from column 'species': cat (3), dog (3)" in domain.taken.lines()
    domain = _load(root, train_split_name="extra", validation_split_name="train")
    assert [kind.number for kind, _ in kinds_by_role(domain)["train"]] == list(range(12, 18))


def test_a_column_of_splits_that_is_not_read_is_named(tmp_path, hub_folder):
    pets = ["cat", "dog"] * 4
    numbered = _load(_flat(tmp_path / "numbered", {"1": pets, "2": pets}), label_column_name="species")
    said = "column 'Split' has 1, 2 in split 'train' and is not read: the splits are those of the files and folders"
    assert numbered.taken.remarks == (said,) and f"  {said}" in numbered.taken.lines()
    root = _folders(tmp_path / "pets")
    rows = [{"file_name": f"{name}/0.png", "split": "train"} for name in ("cat", "dog")]
    _write_metadata(root / "test" / "metadata.csv", rows)
    assert "column 'split' has " in _load(root).taken.remarks[0]
    text = datasets.Value("string")
    tables = hub_folder(LABELS, PETS, extra={"split": (text, ["training"] * 12 + ["test"] * 3)})
    assert _load(tables).taken.remarks == ()
    domain = _load(tables / "data" / "train-00000-of-00001.parquet")
    assert domain.taken.remarks == ()
    datasets.concatenate_datasets(list(load_dataset(str(tables)).values())).to_parquet(tmp_path / "all.parquet")
    (remark,) = _load(tmp_path / "all.parquet").taken.remarks
    assert remark.startswith("column 'split' has 'training', 'test' in split 'train' and is not read")


def test_dots_in_the_names_of_a_webdataset_are_refused(tmp_path):
    def write(path: Path, stem: str) -> Path:
        with tarfile.open(path, "w") as archive:
            for number in range(12):
                picture = write_picture(tmp_path / "one.png", Kind(0, number % 2, number)).read_bytes()
                for suffix, content in (("png", picture), ("cls", str(number % 2).encode())):
                    member = tarfile.TarInfo(f"{stem}{number}.{suffix}")
                    member.size = len(content)
                    archive.addfile(member, io.BytesIO(content))
        return path

    assert sum(_sizes(_load(write(tmp_path / "good.tar", "a")))) == 12
    with pytest.raises(InputError, match="because it splits names at the first dot"):
        _load(write(tmp_path / "bad.tar", "v1.0-"))


def test_folder_of_a_registered_name_is_ambiguous(tmp_path, monkeypatch):
    _folders(tmp_path / "digits")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"write ./digits for the local one, or registered:digits for the domain"):
        _load("digits")
    assert _load("./digits").class_names == ("cat", "dog")
    registered = _load("registered:digits", max_test_samples=10)
    assert (registered.name, len(registered.class_names)) == ("digits", 10)


def test_folders_of_one_name_are_told_apart(tmp_path, monkeypatch):
    for place in ("a/x/pets", "b/x/pets", "c/digits"):
        (tmp_path / place).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    given = [DomainArguments(name) for name in ("a/x/pets", "b/x/pets", "digits", "c/digits", "mnist")]
    names = [domain_name(each) for each in told_apart(given)]
    assert names == ["a/x/pets", "b/x/pets", "digits", "c/digits", "mnist"]
