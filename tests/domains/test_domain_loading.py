"""Loading domains that lie on disk: layouts, columns, labels, splits, and everything that can be wrong with them."""

import io
import shutil

import datasets
import numpy as np
import pytest
from datasets import ClassLabel, List, Value
from PIL import Image

from hf_sslgen.decoding import CorruptImageError
from hf_sslgen.domains import domain_registry
from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.domains.domain_loading import DEFAULT_NOT_LABEL_PRESERVING, load_domain
from hf_sslgen.errors import HubError, InputError

PETS = ClassLabel(names=["cat", "dog"])
BALANCED = {"train": [0, 1] * 10, "test": [1, 0, 1]}


def _pixels(encoded: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(encoded)).convert("RGB"))


def _load(folder, **options):
    return load_domain(DomainArguments(str(folder), **options))


@pytest.mark.parametrize("layout", ["folder", "file"])
def test_parquet_gives_its_own_pictures_and_labels(hub_folder, pictures, layout):
    folder = hub_folder(BALANCED, PETS)
    path = folder if layout == "folder" else folder / "data" / "train-00000-of-00001.parquet"
    domain = _load(path)
    assert (domain.class_names, domain.name) == (("cat", "dog"), path.name)
    assert (domain.group, domain.metric) == ("unstated", "accuracy")
    assert domain.not_label_preserving == DEFAULT_NOT_LABEL_PRESERVING
    train = domain.train
    for position, row in enumerate(train.sample_ids):
        assert np.array_equal(np.asarray(train.image(position)), _pixels(pictures[row]))
        assert train.labels[position] == BALANCED["train"][row]
    if layout == "folder":
        assert domain.test.sample_ids.tolist() == [0, 1, 2] and domain.test.labels.tolist() == [1, 0, 1]
        assert np.array_equal(np.asarray(domain.test.image(0)), _pixels(pictures[20]))


def test_imagefolder_gives_its_own_pictures_and_folder_names(image_folder):
    root = image_folder({"train": 5, "test": 2})
    domain = _load(root, group="similar")
    assert domain.class_names == tuple(sorted(path.name for path in (root / "train").iterdir()))
    assert (domain.name, domain.group) == (root.name, "similar")
    assert (len(domain.train), len(domain.validation), len(domain.test)) == (12, 3, 6)
    stored = {_pixels(path.read_bytes()).tobytes(): path.parent.name for path in (root / "test").rglob("*.png")}
    for position, label in enumerate(domain.test.labels):
        assert stored[np.asarray(domain.test.image(position)).tobytes()] == domain.class_names[label]


def test_embedded_domain_has_its_registered_description(digits_domain):
    domain = digits_domain
    assert (domain.name, domain.group, domain.metric) == ("digits", "different", "mean_per_class_accuracy")
    assert np.bincount(domain.train.labels).tolist() == [3] * 10
    assert (len(domain.validation), len(domain.test)) == (20, 40)
    assert not set(domain.train.sample_ids) & set(domain.validation.sample_ids)
    assert domain.train.image(0).mode == "RGB"


@pytest.mark.parametrize(
    ("feature", "values", "names"),
    [
        (Value("int64"), [11, 3, 7, 3], ("3", "7", "11")),
        (Value("string"), ["owl", "Bee", "bee", "Bee"], ("Bee", "bee", "owl")),
        (ClassLabel(names=["owl", "bee", "ant"]), [1, 0, 2, 0], ("owl", "bee", "ant")),
    ],
)
def test_labels_of_every_kind_become_class_indices(hub_folder, feature, values, names):
    domain = _load(hub_folder({"train": values * 3, "test": values}, feature))
    assert domain.class_names == names
    stored = values if isinstance(feature, ClassLabel) else [names.index(str(value)) for value in values]
    assert domain.test.labels.tolist() == stored


def test_columns_are_found_or_listed(hub_folder):
    extra = {"centre": (ClassLabel(names=["x", "y"]), [0, 1] * 30), "age": (Value("int64"), list(range(60)))}
    folder = hub_folder(BALANCED, PETS, image_column="picture", label_column="species", extra=extra)
    with pytest.raises(InputError, match=r"--label_column_name. Columns: picture \(Image\), species \(ClassLabel\), "):
        _load(folder)
    domain = _load(folder, label_column_name="species")
    assert domain.class_names == ("cat", "dog") and domain.test.image(0).size == (48, 48)
    assert _load(folder, label_column_name="centre").class_names == ("x", "y")
    with pytest.raises(InputError, match=r"label_column_name 'specie' .* did you mean 'species'"):
        _load(folder, label_column_name="specie")
    with pytest.raises(InputError, match="image_column_name 'age' holds no pictures"):
        _load(folder, label_column_name="species", image_column_name="age")


def test_several_labels_to_a_picture_are_refused(hub_folder):
    folder = hub_folder({"train": [[0], [0, 1]], "test": [[1]]}, List(Value("int64")))
    with pytest.raises(InputError, match=r"label_column_name 'label' holds list; labels must be a ClassLabel"):
        _load(folder)


@pytest.mark.parametrize(
    ("labels", "feature", "reason"),
    [
        ({"train": [0, 1] * 4, "test": [1, -1]}, PETS, r"label -1 in row 1 of split 'test' is outside the 2 classes"),
        ({"train": ["a", "b"] * 4, "test": ["c"]}, Value("string"), r"label 'c' .* \('a', 'b'\)"),
        ({"train": [0, None, 1, 0, 1], "test": [1]}, PETS, r"label None in row 1 of split 'train'"),
        ({"train": ["a", None, "b"], "test": ["a"]}, Value("string"), "holds NoneType, str"),
        ({"train": [0.5, 1.5], "test": [0.5]}, Value("float32"), "holds float"),
        ({"train": [1] * 8, "test": [1]}, PETS, r"holds a single class \('dog'\)"),
        ({"train": [4] * 8, "test": [4]}, Value("int64"), r"has a single class \(4\)"),
        ({"train": [0, 1] * 4, "test": []}, PETS, 'could not be loaded: .*"test" corresponds to no data'),
        ({"train": [], "test": [0]}, PETS, 'could not be loaded: .*"train" corresponds to no data'),
        ({"train": [0, 1], "test": [0]}, PETS, "no validation images can be carved from split 'train'"),
    ],
)
def test_unusable_labels_and_splits_are_named(hub_folder, labels, feature, reason):
    with pytest.raises(InputError, match=reason):
        _load(hub_folder(labels, feature))


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"dataset_name": "cifar1O"}, "dataset_name 'cifar1O' could not be loaded: .* did you mean 'cifar10'"),
        ({"dataset_name": "no/such-data-set"}, "dataset_name 'no/such-data-set' could not be loaded"),
        ({"dataset_name": "/no/such/folder"}, "dataset_name '/no/such/folder' could not be loaded"),
        ({"test_split_name": "tset"}, "test_split_name 'tset' .* which has: train, test; did you mean 'test'"),
        ({"train_split_name": "trainset"}, "train_split_name 'trainset' is not a split"),
        ({"validation_split_name": "test", "test_split_name": "test"}, "each need their own split"),
        ({"registered_as": "minst"}, "registered_as 'minst' is not a registered domain; did you mean .*'mnist'"),
    ],
)
def test_unknown_names_are_refused(options, reason):
    with pytest.raises((InputError, HubError), match=reason):
        load_domain(DomainArguments(**{"dataset_name": "digits", **options}))


@pytest.mark.parametrize(
    "options",
    [{"train_val_split": 0.0}, {"train_val_split": 1.0}, {"samples_per_class": 0}, {"max_test_samples": -1}],
)
def test_numbers_out_of_range_are_refused(options):
    with pytest.raises(InputError, match=next(iter(options))):
        DomainArguments("digits", **options)


def test_file_that_is_no_parquet_is_refused(tmp_path):
    (tmp_path / "broken.parquet").write_bytes(b"PAR1 and then nothing")
    with pytest.raises(InputError, match=r"dataset_name .*broken.parquet' could not be loaded"):
        _load(tmp_path / "broken.parquet")


def test_corrupt_pictures_are_named_or_left_out_and_counted(hub_folder, pictures):
    train = [{"bytes": each, "path": None} for each in pictures[:20]]
    train[4] = {"bytes": pictures[4][:200], "path": None}
    train[7] = None
    test = [{"bytes": pictures[20], "path": None}, {"bytes": b"", "path": "lost.png"}, train[0]]
    folder = hub_folder(BALANCED, PETS, encoded={"train": train, "test": test})
    domain = _load(folder)
    for split, row in ((domain.test, 1), (domain.train, 4), (domain.train, 7)):
        if row in split.sample_ids:
            with pytest.raises(CorruptImageError, match=rf"image {row} of split '{split.name}'.*--skip_corrupt"):
                split.image(split.sample_ids.tolist().index(row))
    domain = _load(folder, skip_corrupt=True)
    assert [note for note in domain.notes if "left out" in note] == [
        "1 images of split 'test' could not be decoded and were left out",
        "2 images of split 'train' could not be decoded and were left out",
    ]
    assert domain.test.sample_ids.tolist() == [0, 2] and domain.test.labels.tolist() == [1, 1]
    rows = sorted([*domain.train.sample_ids, *domain.validation.sample_ids])
    assert rows == [row for row in range(20) if row not in (4, 7)]


def test_split_of_corrupt_pictures_alone_is_empty(hub_folder):
    broken = {split: [{"bytes": b"x", "path": None}] * len(labels) for split, labels in BALANCED.items()}
    with pytest.raises(InputError, match="split 'test' is empty"):
        _load(hub_folder(BALANCED, PETS, encoded=broken), skip_corrupt=True)


def test_missing_validation_is_carved_stratified_and_reproducibly(image_folder):
    root = image_folder({"train": 10, "test": 2})
    first, again = _load(root), _load(root)
    other = _load(root, split_seed=1)
    assert np.bincount(first.validation.labels).tolist() == [2, 2, 2]
    assert np.bincount(first.train.labels).tolist() == [8, 8, 8]
    assert sorted([*first.train.sample_ids, *first.validation.sample_ids]) == list(range(30))
    assert first.validation.sample_ids.tolist() == again.validation.sample_ids.tolist()
    assert first.validation.sample_ids.tolist() != other.validation.sample_ids.tolist()
    assert first.notes == ("validation: a stratified 20% of 'train' (seed 0)",)


def test_missing_test_split_is_carved_too(image_folder):
    domain = _load(image_folder({"train": 10}))
    parts = [set(split.sample_ids) for split in (domain.train, domain.validation, domain.test)]
    assert [len(part) for part in parts] == [18, 6, 6]
    assert len(set.union(*parts)) == 30
    assert [note.split(":")[0] for note in domain.notes] == ["test", "validation"]


def test_published_validation_is_used(image_folder):
    domain = _load(image_folder({"train": 4, "validation": 3, "test": 2}))
    assert (domain.validation.name, len(domain.validation), len(domain.train)) == ("validation", 9, 12)
    assert domain.notes == ()


def test_only_published_evaluation_split_is_for_measuring(image_folder):
    domain = _load(image_folder({"train": 5, "validation": 2}))
    assert (domain.test.name, len(domain.test)) == ("validation", 6)
    assert (domain.validation.name, len(domain.validation)) == ("train", 3)


def test_subsets_are_drawn_after_validation_was_carved(image_folder):
    root = image_folder({"train": 10, "test": 4})
    whole = _load(root)
    few = _load(root, samples_per_class=2, max_eval_samples=3, max_test_samples=6)
    assert np.bincount(few.train.labels).tolist() == [2, 2, 2]
    assert set(few.train.sample_ids) <= set(whole.train.sample_ids)
    assert set(few.validation.sample_ids) <= set(whole.validation.sample_ids)
    assert np.bincount(few.validation.labels).tolist() == [1, 1, 1]
    assert np.bincount(few.test.labels).tolist() == [2, 2, 2]
    assert "trained on 2 images a class; validation was not reduced with them" in few.notes
    assert len(_load(root, max_train_samples=7).train) == 7


def test_fingerprint_tells_contents_and_labels(hub_folder, tmp_path):
    folder = hub_folder({**BALANCED, "validation": [0]}, PETS)
    domain = _load(folder)
    shutil.move(folder, tmp_path / "moved")
    assert _load(tmp_path / "moved").test.fingerprint() == domain.test.fingerprint()
    assert domain.test.fingerprint() != domain.test.select(np.array([1, 0, 2])).fingerprint()
    assert len({split.fingerprint() for split in (domain.train, domain.validation, domain.test)}) == 3


def test_copy_can_be_treated_as_a_registered_domain(hub_folder):
    entry = domain_registry.domain_entries()["mnist"]
    folder = hub_folder(BALANCED, PETS, image_column="x", label_column="y")
    domain = _load(folder, registered_as="mnist")
    assert (domain.name, domain.group, domain.metric) == (folder.name, entry.group, entry.metric)
    assert domain.not_label_preserving == entry.not_label_preserving
    assert domain.class_names == ("cat", "dog")


@pytest.fixture
def registered(monkeypatch, tmp_path):
    """Put rows into a registry of their own."""

    def write(rows: str) -> None:
        path = tmp_path / "registry.yaml"
        path.write_text(f"domains:\n{rows}\nknown_bad: []\n")
        found = domain_registry.read_registry(path)
        monkeypatch.setattr(domain_registry, "_registry", lambda: found)

    return write


ROW = (
    "  - {{name: pets, title: Pets, id: {folder}, format: parquet, label_column: label, num_classes: 2, "
    "group: similar, verified: false, {rest}}}"
)


def test_sizes_the_registry_expects_are_asserted(hub_folder, registered):
    folder = hub_folder(BALANCED, PETS)
    registered(ROW.format(folder=folder, rest="expected_sizes: {train: 20, test: 3}"))
    assert _load("pets").name == _load(folder).name == "pets"
    registered(ROW.format(folder=folder, rest="expected_sizes: {train: 20, test: 4}"))
    with pytest.raises(InputError, match="split 'test' of pets has 3 images instead of 4"):
        _load("pets")


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("feature", [Value("string"), ClassLabel(names=["photo", "sketch"])])
def test_row_filter_keeps_the_domains_rows(hub_folder, pictures, registered, feature, streaming):
    kinds = [["photo", "sketch"][row % 3 == 0] for row in range(60)]
    values = kinds if isinstance(feature, Value) else [feature.str2int(kind) for kind in kinds]
    folder = hub_folder({"train": [0, 1] * 15, "test": [0, 1, 1, 0, 0, 1]}, PETS, extra={"style": (feature, values)})
    registered(ROW.format(folder=folder, rest="row_filter: {style: sketch}"))
    domain = _load("pets", streaming=streaming, train_val_split=0.3)
    assert domain.test.labels.tolist() == [0, 0]
    assert [domain.test.encoded(position)["bytes"] for position in (0, 1)] == [pictures[30], pictures[33]]
    train = list(domain.train.one_pass(0)) if streaming else domain.train.sample_ids
    assert len(train) + len(domain.validation) == 10


def test_domain_for_evaluation_only_has_nothing_to_train_on(hub_folder, registered):
    registered(ROW.format(folder=hub_folder(BALANCED, PETS), rest="train_split: null"))
    with pytest.raises(InputError, match="pets is for evaluation only and has no training split"):
        _load("pets")
    assert len(_load("pets", train_split_name="train").train) == 16


def test_shared_data_sets_load_as_the_domains_they_are_copies_of(shared_data):
    domain = _load(shared_data / "mnist-small", registered_as="mnist", samples_per_class=2, max_test_samples=10)
    assert (len(domain.train), len(domain.test), domain.group) == (20, 10, "different")
    with pytest.raises(InputError, match="bbox"):
        datasets.disable_progress_bars()
        _load(shared_data / "tiny-imagenet-100", label_column_name="boxes", streaming=True)
