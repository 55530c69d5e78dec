"""The embedded domains: what is in their files, and how the script that builds them cuts patches."""

import importlib.util
import io
import itertools
import sys
from collections import Counter
from pathlib import Path

import datasets
import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from hf_sslgen.domains import domain_registry
from hf_sslgen.errors import InputError

SCRIPT = Path(__file__).parents[2] / "scripts" / "build_embedded_domains.py"
EMBEDDED = ("photo-patches", "specimen-patches", "digits")


@pytest.fixture(scope="module")
def builder():
    specification = importlib.util.spec_from_file_location("build_embedded_domains", SCRIPT)
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    # Dataclasses look their module up by name.
    sys.modules[specification.name] = module
    specification.loader.exec_module(module)
    yield module
    del sys.modules[specification.name]


def _read(name: str, split: str) -> list[dict]:
    entry = domain_registry.domain_entries()[name]
    return pq.read_table(domain_registry.embedded_files(entry)[split]).to_pylist()


def _overlap(one, other) -> int:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return max(0, width) * max(0, height)


@pytest.mark.parametrize("name", EMBEDDED)
def test_datasets_reads_images_and_named_labels(name, tmp_path):
    entry = domain_registry.domain_entries()[name]
    files = {split: str(path) for split, path in domain_registry.embedded_files(entry).items()}
    loaded = datasets.load_dataset("parquet", data_files=files, cache_dir=str(tmp_path))
    assert {split: len(rows) for split, rows in loaded.items()} == entry.expected_sizes
    for rows in loaded.values():
        assert isinstance(rows.features["image"], datasets.Image)
        assert isinstance(rows.features["label"], datasets.ClassLabel)
        assert rows.features["label"].num_classes == entry.num_classes
        side = 8 if name == "digits" else 48
        assert rows[0]["image"].size == (side, side)
        assert rows[0]["image"].mode in ("L", "RGB")


@pytest.mark.parametrize("name", ("photo-patches", "specimen-patches"))
def test_classes_have_the_same_number_of_patches(name):
    classes = domain_registry.domain_entries()[name].num_classes
    for split, wanted in (("train", 60), ("test", 24)):
        assert Counter(row["label"] for row in _read(name, split)) == dict.fromkeys(range(classes), wanted)


def test_the_digits_are_split_by_class():
    train, test = (Counter(row["label"] for row in _read("digits", split)) for split in ("train", "test"))
    assert sum(train.values()) + sum(test.values()) == 1797
    for digit in range(10):
        assert test[digit] == round((train[digit] + test[digit]) / 3)


@pytest.mark.parametrize("name", EMBEDDED)
def test_no_image_is_there_twice(name):
    train, test = ([row["image"]["bytes"] for row in _read(name, split)] for split in ("train", "test"))
    assert not set(train) & set(test)
    assert len(set(train)) == len(train) and len(set(test)) == len(test)


def test_the_files_stay_small():
    assert sum(path.stat().st_size for path in domain_registry.EMBEDDED_FOLDER.rglob("*")) < 4_000_000


def test_the_readme_credits_every_class(builder):
    text = (domain_registry.EMBEDDED_FOLDER / "README.md").read_text(encoding="utf-8")
    for picture in (*builder.PHOTOGRAPHS, *builder.SPECIMENS):
        assert f"| {picture.label} |" in text and f"`{Path(picture.path).name}`" in text


@pytest.mark.parametrize("width", (241 + 96, 451, 512, 550, 600, 640, 706, 1000))
def test_bands_of_the_two_splits_are_a_gap_apart(builder, width):
    bands = builder.bands(width)
    assert [split for split, _, _ in bands] == ["train", "test", "train", "test"]
    assert bands[0][1] == 0 and bands[-1][2] == width
    for (_, _, stop), (_, start, _) in itertools.pairwise(bands):
        assert start - stop == builder.GAP
    for split, start, stop in bands:
        assert stop - start >= builder.PATCH
        assert split == "train" or (stop - start) % builder.PATCH == 0


def test_a_narrow_picture_is_refused(builder):
    with pytest.raises(InputError, match="too narrow"):
        builder.bands(300)


@pytest.mark.parametrize("size", [(451, 300), (512, 512), (1000, 872)])
def test_test_patches_do_not_overlap_and_share_nothing_with_train(builder, size):
    boxes = builder.candidate_boxes(*size)
    assert len(boxes["test"]) >= builder.TEST_PATCHES and len(boxes["train"]) >= builder.TRAIN_PATCHES
    for box in boxes["train"] + boxes["test"]:
        assert (box[2] - box[0], box[3] - box[1]) == (builder.PATCH, builder.PATCH)
        assert min(box) >= 0 and box[2] <= size[0] and box[3] <= size[1]
    assert all(_overlap(*pair) == 0 for pair in itertools.combinations(boxes["test"], 2))
    widened = [(left - builder.GAP, upper, right + builder.GAP, lower) for left, upper, right, lower in boxes["test"]]
    assert all(_overlap(*pair) == 0 for pair in itertools.product(widened, boxes["train"]))
    half = builder.PATCH**2 // 2
    assert all(_overlap(*pair) <= half for pair in itertools.combinations(boxes["train"], 2))


def test_patches_that_hardly_vary_are_left_out(builder):
    pixels = np.random.default_rng(0).integers(0, 256, (96, 96, 3)).astype(np.uint8)
    pixels[:, :48] = 100
    pixels[::2, :48] = 106
    image = Image.fromarray(pixels)
    assert builder.varied_boxes(image, [(0, 0, 48, 48), (48, 0, 96, 48)]) == [(48, 0, 96, 48)]


def test_too_few_varied_patches_are_an_error(builder):
    with pytest.raises(InputError, match="'sky' has 0 train patches"):
        builder.chosen_boxes(Image.new("RGB", (640, 480), (80, 90, 200)), "sky")


def test_another_picture_of_the_same_name_is_refused(builder, tmp_path):
    (tmp_path / "astronaut.png").write_bytes(b"something else")
    with pytest.raises(InputError, match="not the expected picture"):
        builder.find_file(builder.PHOTOGRAPHS[0], tmp_path)
    with pytest.raises(InputError, match="unpack a scikit-image wheel"):
        builder.find_file(builder.PHOTOGRAPHS[1], tmp_path)


@pytest.mark.parametrize("name", ("photo-patches", "specimen-patches"))
def test_the_files_hold_the_patches_the_script_cuts(builder, name):
    """Pixels, not bytes: another Pillow may compress differently; JPEG sources may decode a level or two apart."""
    pytest.importorskip("skimage")
    pytest.importorskip("sklearn")
    stored = {split: iter(_read(name, split)) for split in ("train", "test")}
    for label, picture in enumerate(builder.PATCH_DOMAINS[name]):
        image = builder.load_picture(picture)
        for split, boxes in builder.chosen_boxes(image, picture.label).items():
            for box in boxes:
                row = next(stored[split])
                assert row["label"] == label
                with Image.open(io.BytesIO(row["image"]["bytes"])) as patch:
                    difference = np.asarray(patch, dtype=int) - np.asarray(image.crop(box), dtype=int)
                assert np.abs(difference).max() <= (2 if picture.path.endswith(".jpg") else 0)


def test_a_second_build_writes_the_same_bytes(builder, tmp_path):
    pytest.importorskip("sklearn")
    for attempt in ("one", "two"):
        builder.write_domain(tmp_path / attempt, builder.digit_rows(), [str(digit) for digit in range(10)])
    for split in ("train", "test"):
        one, two = (tmp_path / attempt / f"{split}.parquet" for attempt in ("one", "two"))
        assert one.read_bytes() == two.read_bytes()
