"""The registry of domains: its rows, its look-ups, and what it says about a wrong row."""

from pathlib import Path

import pytest

from hf_sslgen.domains import domain_registry
from hf_sslgen.errors import InputError

ROW = """
  - name: pictures
    title: Pictures
    id: some/pictures
    format: parquet
    label_column: label
    num_classes: 2
    group: similar
    verified: true
"""


def _write(folder: Path, rows: str = ROW) -> Path:
    path = folder / "registry.yaml"
    path.write_text(f"domains: {rows}\nknown_bad: []\n", encoding="utf-8")
    return path


def test_both_groups_and_the_embedded_domains_are_there():
    entries = domain_registry.domain_entries()
    assert len(entries) == 39
    assert {name for name, entry in entries.items() if entry.format == "embedded"} == {
        "photo-patches",
        "specimen-patches",
        "digits",
    }
    groups = [entry.group for entry in entries.values()]
    assert groups.count("similar") == 14 and groups.count("different") == 25


def test_a_domain_is_found_by_name_and_by_id():
    by_name = domain_registry.find_domain("cifar10")
    assert by_name is not None and by_name is domain_registry.find_domain("uoft-cs/cifar10")
    assert (by_name.image_column, by_name.label_column, by_name.config) == ("img", "label", "plain_text")
    assert domain_registry.find_domain("somebody/anything") is None


def test_splits_and_sizes():
    entries = domain_registry.domain_entries()
    assert entries["food101"].splits == ("train", "validation")
    assert entries["food101"].test_split == "validation" and entries["food101"].validation_split is None
    assert entries["tiny-imagenet"].expected_sizes == {"train": 100000, "valid": 10000}
    assert entries["eurosat"].splits == ("train", "validation", "test")
    assert entries["aptos"].test_split is None
    for name in ("imagenet-r", "imagenet-a", "imagenet-sketch", "imagenet-v2"):
        assert entries[name].train_split is None and entries[name].format == "webdataset"
    for entry in entries.values():
        assert entry.num_classes >= 2
        assert all(size >= entry.num_classes for size in entry.expected_sizes.values())


def test_unverified_rows_are_marked():
    assert {name for name, entry in domain_registry.domain_entries().items() if not entry.verified} == {
        "caltech101",
        "resisc45",
        "isic2019",
        "malaria",
        "plant-village",
        "domainnet-sketch",
        "imagenet-r",
        "imagenet-a",
        "imagenet-sketch",
        "imagenet-v2",
    }


def test_a_column_may_be_unknown_only_where_the_row_is_unverified():
    for entry in domain_registry.domain_entries().values():
        assert entry.image_column is not None or not entry.verified, entry.name


def test_mean_per_class_accuracy_where_the_literature_reports_it():
    per_class = {
        entry.name
        for entry in domain_registry.domain_entries().values()
        if entry.metric == "mean_per_class_accuracy" and entry.format != "embedded"
    }
    assert per_class == {"pets", "flowers102", "aircraft", "caltech101"}


def test_transforms_that_change_the_label():
    entries = domain_registry.domain_entries()
    for name in ("mnist", "kmnist", "svhn", "digits", "gtsrb", "chest-xray"):
        assert {"horizontal_flip", "vertical_flip"} <= set(entries[name].not_label_preserving), name
    assert "hue" in entries["flowers102"].not_label_preserving
    assert "resized_crop" in entries["clevr-count"].not_label_preserving
    assert entries["cifar10"].not_label_preserving == ()


def test_one_domain_of_a_data_set_is_kept_by_its_column():
    assert domain_registry.domain_entries()["domainnet-sketch"].row_filter == {"domain": "sketch"}


def test_known_bad_data_sets_are_no_domains():
    known_bad = domain_registry.known_bad_domains()
    assert "marmal88/skin_cancer" in known_bad
    assert all(domain_registry.find_domain(each) is None for each in known_bad)


def test_only_embedded_domains_have_files():
    digits = domain_registry.find_domain("digits")
    assert digits is not None
    files = domain_registry.embedded_files(digits)
    assert set(files) == {"train", "test"} and all(path.is_file() for path in files.values())
    cifar10 = domain_registry.find_domain("cifar10")
    assert cifar10 is not None
    with pytest.raises(InputError, match="'cifar10' is not embedded"):
        domain_registry.embedded_files(cifar10)


def test_an_entry_can_be_hashed():
    entries = list(domain_registry.domain_entries().values())
    assert len(set(entries)) == len(entries)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("group: similar", "gruop: similar"), "domain 'pictures': unknown field 'gruop'; did you mean 'group'"),
        (("group: similar", "group: near"), "group is 'near'; it must be one of similar, different"),
        (("format: parquet", "format: script"), "format is 'script'"),
        (("format: parquet", "format: embedded"), "an embedded domain must not have an id"),
        (("num_classes: 2", "num_classes: two"), "num_classes is 'two'; it must be a whole number"),
        (("num_classes: 2", "num_classes: 2\n    expected_sizes: {valid: 3}"), "splits that it does not have: valid"),
        (
            ("num_classes: 2", "num_classes: 2\n    expected_sizes: {test: many}"),
            "expected_sizes is .* it must be a mapping",
        ),
        (("num_classes: 2", "num_classes: 2\n    not_label_preserving: [flip]"), "not_label_preserving is 'flip'"),
        (
            ("num_classes: 2", "num_classes: 2\n    not_label_preserving: hue"),
            "not_label_preserving is 'hue'; it must be a list of text",
        ),
        (("num_classes: 2", "num_classes: 2\n    box_column: bbox"), "box_column and box_format belong together"),
        (("num_classes: 2", "num_classes: 2\n    box_format: xywh"), "box_column and box_format belong together"),
        (("num_classes: 2", "num_classes: 2\n    box_format: voc"), "box_format is 'voc'; known: xyxy, xywh"),
        (("num_classes: 2", "num_classes: 2\n    train_split: null\n    test_split: null"), "neither a train_split"),
    ],
)
def test_a_wrong_row_is_named(tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        domain_registry.read_registry(_write(tmp_path, ROW.replace(*change)))


def test_a_domain_in_two_places_is_an_error(tmp_path):
    with pytest.raises(InputError, match="occurs twice in the registry"):
        domain_registry.read_registry(_write(tmp_path, ROW + ROW.replace("name: pictures", "name: others")))
