"""Images in groups: whole groups are carved, shared groups are counted, and nothing changes without groups."""

import csv
import logging
from pathlib import Path

import numpy as np
import pytest
from datasets import ClassLabel, Value

from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.domains.domain_loading import load_domain
from hf_sslgen.domains.groups import grouped_split
from hf_sslgen.errors import InputError

PETS = ClassLabel(names=["cat", "dog"])
PATIENTS = [f"patient {row // 4}" for row in range(60)]
LABELS = [row // 4 % 2 for row in range(60)]


def load(folder: Path, **options):
    return load_domain(DomainArguments(str(folder), **options))


@pytest.fixture
def grouped(hub_folder) -> Path:
    """Forty training images of ten patients, and twenty test images of five others; a patient has one class."""
    labels = {"train": LABELS[:40], "test": LABELS[40:]}
    return hub_folder(labels, PETS, extra={"patient": (Value("string"), PATIENTS)})


def test_whole_groups_are_carved(grouped):
    domain = load(grouped, group_column_name="patient")
    train, validation = set(domain.train.group_names()), set(domain.validation.group_names())
    assert len(domain.train) + len(domain.validation) == 40 and not train & validation
    assert np.bincount(domain.validation.labels).tolist() == [4, 4]  # a fifth of 20 images a class, in groups of four
    assert any("validation: 20% of 'train' (20% requested) in whole groups, 2 of 10" in note for note in domain.notes)
    assert not any(note.startswith("groups:") for note in domain.notes)
    other = load(grouped, group_column_name="patient", split_seed=1)
    assert set(other.validation.group_names()) != validation
    by_image = load(grouped)
    assert set(by_image.validation.sample_ids) != set(domain.validation.sample_ids)
    assert by_image.fingerprints() == load(grouped, group_column_name=None).fingerprints()
    assert by_image.fingerprints()["test"] != domain.fingerprints()["test"]


def test_a_test_split_is_carved_in_whole_groups(hub_folder):
    folder = hub_folder({"train": LABELS}, PETS, extra={"patient": (Value("string"), PATIENTS)})
    domain = load(folder, group_column_name="patient")
    parts = [set(split.group_names()) for split in (domain.train, domain.validation, domain.test)]
    assert sum(map(len, parts)) == len(set().union(*parts)) == 15
    assert all(len(np.unique(split.labels)) == 2 for split in (domain.train, domain.validation, domain.test))


def test_groups_in_training_and_test_images_are_counted(hub_folder, caplog):
    patients = [f"patient {row // 5}" for row in range(45)] + ["patient 0"] * 5 + ["new"] * 5 + [None] * 5
    labels = {"train": LABELS[:40], "test": LABELS[40:]}
    folder = hub_folder(labels, PETS, extra={"patient": (Value("string"), patients)})
    with caplog.at_level(logging.WARNING):
        domain = load(folder, group_column_name="patient")
    (note,) = [note for note in domain.notes if note.startswith("groups:")]
    assert note.startswith(
        "groups: 1 of the 3 groups of the test images are also in training or validation images (5 of 20"
    )
    assert [record.message for record in caplog.records] == [note] and note in domain.taken.as_json()["carved"]
    codes = domain.test.group_codes()
    assert len(np.unique(codes)) == 3 + 5, "an image without a group is one of its own"


def test_streams_hold_out_whole_groups(grouped):
    options = {"group_column_name": "patient", "streaming": True, "train_val_split": 0.4}
    domain = load(grouped, **options)
    on_disk = load(grouped, group_column_name="patient")
    group_of = {
        split.encoded(row)["bytes"]: name
        for split in (on_disk.train, on_disk.validation)
        for row, name in enumerate(split.group_names())
    }
    held_out = {group_of[domain.validation.encoded(row)["bytes"]] for row in range(len(domain.validation))}
    streamed = [each.value["bytes"] for each in domain.train.one_pass(0)]
    trained = {group_of[each] for each in streamed}
    assert held_out and trained and not held_out & trained
    assert len(streamed) + len(domain.validation) == 40
    assert "groups 'patient'" in domain.train.fingerprint()
    assert "groups" not in load(grouped, streaming=True).train.fingerprint()
    assert domain.test.group_codes().tolist() == on_disk.test.group_codes().tolist()
    assert domain.test.fingerprint() == on_disk.test.fingerprint()


def test_a_folder_names_groups_in_its_metadata(tmp_path, pictures):
    root = tmp_path / "scans"
    for split, start in (("train", 0), ("test", 40)):
        rows = []
        for row in range(start, start + (40 if split == "train" else 20)):
            name = f"{PETS.names[LABELS[row]]}/{row}.png"
            (root / split / name).parent.mkdir(parents=True, exist_ok=True)
            (root / split / name).write_bytes(pictures[row])
            rows.append({"file_name": name, "patient": row // 4})
        with (root / split / "metadata.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, ["file_name", "patient"])
            writer.writeheader()
            writer.writerows(rows)
    domain = load(root, group_column_name="patient")
    assert not set(domain.train.group_names()) & set(domain.validation.group_names())
    assert len(np.unique(domain.test.group_codes())) == 5
    with pytest.raises(InputError, match="group_column_name 'patients' is not a column"):
        load(root, group_column_name="patients")
    with pytest.raises(InputError, match="group_column_name 'image' should hold one name or number"):
        load(root, group_column_name="image")


def test_patches_are_grouped_by_their_photograph(caplog):
    with caplog.at_level(logging.WARNING):
        domain = load("photo-patches")
    assert np.array_equal(domain.test.group_codes(), domain.test.labels)
    assert len(domain.train) == 288 and len(np.unique(domain.validation.labels)) == 6
    assert "which divides groups, because no class has images of two groups" in " ".join(domain.notes)
    assert "6 of the 6 groups of the test images are also in training" in " ".join(domain.notes)
    assert not caplog.records, "a class that is a group has to be trained on"
    assert not load("digits").test.has("group")


@pytest.mark.parametrize("seed", range(5))
def test_shares_come_close_and_no_class_is_lost(seed):
    generator = np.random.default_rng(seed)
    groups = np.repeat(np.arange(200), generator.integers(1, 9, 200))
    labels = generator.permutation(np.repeat(np.arange(5), 1 + len(groups) // 5)[: len(groups)])
    kept, held_out = grouped_split(labels, groups, 0.2, seed)
    assert np.array_equal(np.sort(np.concatenate([kept, held_out])), np.arange(len(groups)))
    assert not set(groups[kept]) & set(groups[held_out])
    shares = np.bincount(labels[held_out], minlength=5) / np.bincount(labels)
    assert np.abs(shares - 0.2).max() < 0.05
    assert len({len(grouped_split(labels, groups, 0.2, seed)[1]) for _ in range(2)}) == 1


def test_small_classes_keep_a_group_on_each_side():
    labels = np.array([0] * 40 + [1, 1, 1, 2, 2])
    groups = np.array([row // 2 for row in range(40)] + [100, 100, 101, 102, 102])
    kept, held_out = grouped_split(labels, groups, 0.2, 0)
    assert set(labels[kept]) == {0, 1, 2} and set(labels[held_out]) == {0, 1}
    assert len(grouped_split(np.array([0, 0, 1, 1]), np.array([5, 5, 7, 7]), 0.5, 0)[1]) == 0
