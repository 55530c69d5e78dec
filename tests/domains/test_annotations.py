"""Boxes, masks and pairs of a domain: from their columns through every way a split is cut, and what is refused."""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from datasets import Array2D, ClassLabel, LargeList, List, Value
from datasets import Image as ImageFeature
from PIL import Image

from hf_sslgen.decoding import CorruptImageError
from hf_sslgen.domains import domain_loading, domain_registry, published_images
from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.domains.domain_loading import load_domain
from hf_sslgen.domains.images import joined
from hf_sslgen.errors import InputError
from hf_sslgen.training.configuration import parse_arguments

PETS = ClassLabel(names=["cat", "dog"])
LABELS = {"train": [0, 1] * 12, "validation": [0, 1] * 3, "test": [1, 0, 1, 0, 0]}
ROWS = 60
SIDE = 48


def mask_of(row: int) -> np.ndarray:
    """A rectangle that differs from row to row."""
    mask = np.zeros((SIDE, SIDE), dtype=np.uint8)
    mask[row % 7 : row % 7 + 5, row // 2 : row // 2 + 9] = 1
    return mask


def as_file(mask: np.ndarray) -> dict:
    buffer = io.BytesIO()
    Image.fromarray(mask).save(buffer, "PNG")
    return {"bytes": buffer.getvalue(), "path": None}


BOXES = [[row % 8, row // 8, row % 8 + 10, row // 8 + 1 + row % 5] for row in range(ROWS)]
BURSTS = [f"burst {row // 3}" if row % 11 else None for row in range(ROWS)]
EXTRA = {
    "bbox": (List(Value("int32"), length=4), BOXES),
    "trimap": (ImageFeature(), [as_file(mask_of(row)) for row in range(ROWS)]),
    "burst": (Value("string"), BURSTS),
}
NAMED = {"box_column_name": "bbox", "mask_column_name": "trimap", "pair_column_name": "burst"}
STARTS = {"train": 0, "validation": 24, "test": 30}


@pytest.fixture
def annotated(hub_folder) -> Path:
    return hub_folder(LABELS, PETS, extra=EXTRA)


def load(folder, **options):
    return load_domain(DomainArguments(str(folder), **options))


def assert_annotated(split, rows) -> None:
    """Every image has the annotations of its row of the whole data set."""
    assert len(split) == len(rows)
    keys = split.pair_keys()
    for position, row in enumerate(rows):
        assert split.boxes(position).tolist() == [BOXES[row]]
        assert np.array_equal(split.mask(position), mask_of(row) > 0)
        assert (keys[position] == -1) == (BURSTS[row] is None)
        same = [keys[other] == keys[position] != -1 for other in range(len(rows))]
        assert same == [BURSTS[other] == BURSTS[row] is not None for other in rows]


def test_annotations_go_with_their_images_through_every_split(annotated):
    domain = load(annotated, **NAMED)
    for name in ("train", "validation", "test"):
        split = vars(domain)[name]
        assert all(split.has(kind) for kind in ("box", "mask", "pair"))
        assert_annotated(split, [STARTS[name] + row for row in split.sample_ids])
    assert_annotated(domain.test.select(np.array([3, 1])), [33, 31])
    assert_annotated(joined(domain.train, domain.validation), list(range(30)))
    part = domain.train.select(np.arange(5))
    assert_annotated(joined(part, domain.train.select(np.array([20]))), [0, 1, 2, 3, 4, 20])
    assert joined(domain.train, load(annotated, image_column_name="image").validation).annotations is None


def test_carved_and_reduced_splits_keep_them(hub_folder):
    folder = hub_folder({"train": [0, 1] * 20}, PETS, extra=EXTRA)
    domain = load(folder, **NAMED, samples_per_class=5, max_test_samples=4)
    for split in (domain.train, domain.validation, domain.test):
        assert_annotated(split, split.sample_ids.tolist())


def test_corrupt_images_are_left_out_with_their_annotations(hub_folder, pictures):
    test = [{"bytes": each, "path": None} for each in pictures[30:35]]
    test[1] = {"bytes": pictures[31][:200], "path": None}
    folder = hub_folder(LABELS, PETS, extra=EXTRA, encoded={"test": test})
    assert_annotated(load(folder, **NAMED, skip_corrupt=True).test, [30, 32, 33, 34])


@pytest.mark.parametrize("shards", [1, 3])
def test_streamed_splits_read_to_memory_keep_them(hub_folder, shards):
    folder = hub_folder(LABELS, PETS, extra=EXTRA, shards=shards)
    on_disk, streamed = load(folder, **NAMED), load(folder, **NAMED, streaming=True)
    for name in ("validation", "test"):
        assert_annotated(vars(streamed)[name], [STARTS[name] + row for row in range(len(LABELS[name]))])
        assert vars(streamed)[name].fingerprint() == vars(on_disk)[name].fingerprint()
    assert len(list(streamed.train.one_pass(0))) == 24


def test_validation_cut_from_a_stream_has_none(hub_folder):
    labels = {"train": LABELS["train"], "test": [0, 1]}
    domain = load(hub_folder(labels, PETS, extra=EXTRA), **NAMED, streaming=True, train_val_split=0.4)
    assert domain.test.has("mask") and not domain.validation.has("mask")
    with pytest.raises(InputError, match="split 'train' has no mask column"):
        domain.validation.mask(0)


def test_columns_may_have_the_names_of_others_roles(hub_folder):
    extra = {"image": EXTRA["trimap"], "label": EXTRA["burst"]}
    folder = hub_folder(LABELS, PETS, image_column="mask", label_column="pair", extra=extra)
    names = {"image_column_name": "mask", "label_column_name": "pair"}
    for streaming in (False, True):
        test = load(folder, **names, mask_column_name="image", pair_column_name="label", streaming=streaming).test
        assert np.array_equal(test.mask(2), mask_of(32) > 0)
        assert test.pair_keys().tolist() == [0, 0, 0, -1, 1]
        assert test.labels.tolist() == LABELS["test"] and test.image(0).size == (SIDE, SIDE)


def test_nothing_is_guessed(annotated):
    plain = load(annotated, image_column_name="image")
    assert plain.test.annotations is None and not plain.test.has("box")
    for kind, ask in (("box", plain.test.boxes), ("mask", plain.test.mask)):
        with pytest.raises(InputError, match=rf"split 'test' has no {kind} column; name it with --{kind}_column_name"):
            ask(0)
    with pytest.raises(InputError, match="split 'test' has no pair column; name it with --pair_column_name"):
        plain.test.pair_keys()
    only_pairs = load(annotated, image_column_name="image", pair_column_name="burst").test
    assert only_pairs.has("pair") and not only_pairs.has("box") and not only_pairs.has("mask")
    assert plain.test.dataset.column_names == only_pairs.dataset.column_names == ["image"]


def test_fingerprint_tells_annotations(annotated):
    def fingerprint(*names: str) -> str:
        return load(annotated, image_column_name="image", **{name: NAMED[name] for name in names}).test.fingerprint()

    choices = [(), *((name,) for name in NAMED), tuple(NAMED)]
    assert len({fingerprint(*names) for names in choices}) == 5
    assert fingerprint(*NAMED) == fingerprint(*NAMED)


@pytest.mark.parametrize(
    ("feature", "cells"),
    [
        (LargeList(Value("float64")), [[float(side) for side in box] for box in BOXES]),
        (List(List(Value("float32"))), [[box] for box in BOXES]),
        (Array2D((1, 4), "int64"), [[box] for box in BOXES]),
    ],
)
def test_boxes_in_columns_of_every_type(hub_folder, feature, cells):
    folder = hub_folder(LABELS, PETS, extra={"objects": (feature, cells)})
    for streaming in (False, True):
        test = load(folder, box_column_name="objects", streaming=streaming).test
        assert [test.boxes(position).tolist() for position in range(5)] == [[box] for box in BOXES[30:35]]


@pytest.mark.parametrize(
    ("feature", "cells"),
    [
        (List(List(Value("uint8"))), [mask_of(row).tolist() for row in range(ROWS)]),
        (Array2D((SIDE, SIDE), "float32"), [mask_of(row).astype(np.float32) for row in range(ROWS)]),
        (Value("binary"), [as_file(mask_of(row))["bytes"] for row in range(ROWS)]),
    ],
)
def test_masks_in_columns_of_every_type(hub_folder, feature, cells):
    folder = hub_folder(LABELS, PETS, extra={"objects": (feature, cells)})
    for streaming in (False, True):
        test = load(folder, mask_column_name="objects", streaming=streaming).test
        assert all(np.array_equal(test.mask(position), mask_of(30 + position) > 0) for position in range(5))


@pytest.mark.parametrize(
    ("feature", "values", "expected"),
    [
        (Value("string"), ["a", "", "b", "a", None], [0, -1, 1, 0, -1]),
        (Value("int64"), [7, 7, -1, 3, -1], [0, 0, 1, 2, 1]),
        (Value("float64"), [7.0, float("nan"), 2.5, 7.0, None], [0, -1, 1, 0, -1]),
        (ClassLabel(names=["x", "y"]), [1, 0, -1, 1, None], [0, 1, -1, 0, -1]),
    ],
)
def test_pair_keys_of_every_type(hub_folder, feature, values, expected):
    extra = {"who": (feature, values[:1] * 8 + values)}
    folder = hub_folder({"train": [0, 1] * 4, "test": [0] * 5}, PETS, extra=extra)
    domain = load(folder, pair_column_name="who")
    assert domain.test.pair_keys().tolist() == expected


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"box_column_name": "bboxes"}, r"box_column_name 'bboxes' is not a column .*: image \(Image\), .*'bbox'"),
        ({"mask_column_name": "mask"}, "mask_column_name 'mask' is not a column of the dataset"),
        ({"pair_column_name": "bursts"}, "pair_column_name 'bursts' is not a column .*did you mean 'burst'"),
        ({"box_column_name": "burst"}, "box_column_name 'burst' should hold lists of numbers: x0, y0, x1, y1"),
        ({"box_column_name": "trimap"}, r"box_column_name 'trimap' should hold .* Columns: image \(Image\)"),
        ({"mask_column_name": "bbox"}, "mask_column_name 'bbox' should hold pictures or 2-D arrays"),
        ({"pair_column_name": "bbox"}, "pair_column_name 'bbox' should hold one name or number per image"),
        (
            {"pair_column_name": "label", "label_column_name": "label"},
            "pair_column_name 'label' is already used for something else",
        ),
        ({"mask_column_name": "image"}, "mask_column_name 'image' is already used for something else"),
        ({"pair_column_name": "burst", "label_column_name": "burst"}, "pair_column_name 'burst' is already used for"),
    ],
)
def test_unusable_columns_are_named(annotated, options, reason):
    for streaming in (False, True):
        with pytest.raises(InputError, match=reason):
            load(annotated, streaming=streaming, image_column_name="image", **options)


def test_wrong_boxes_of_the_test_split_are_found_on_loading(hub_folder):
    boxes = [list(box) for box in BOXES]
    boxes[33] = [40, 10, 30, 20]
    folder = hub_folder(LABELS, PETS, extra={"bbox": (List(Value("int32")), boxes)})
    reason = r"box_column_name 'bbox', image 3 of split 'test': the box \[40.0, 10.0, 30.0, 20.0\] ends before"
    with pytest.raises(InputError, match=reason):
        load(folder, box_column_name="bbox")
    with pytest.raises(InputError, match=r"'test': the box .* leaves the picture of 48 x 48 pixels"):
        load(folder, box_column_name="bbox", box_format="xywh")
    assert len(load(folder).test) == 5


def test_wrong_masks_are_named_when_they_are_read(hub_folder):
    masks = [as_file(mask_of(row)) for row in range(ROWS)]
    masks[31], masks[32] = as_file(mask_of(1)[:40]), None
    folder = hub_folder(LABELS, PETS, extra={"m": (ImageFeature(), masks)})
    test = load(folder, mask_column_name="m").test
    assert test.mask(0).any() and not test.mask(2).any()
    with pytest.raises(InputError, match=r"mask_column_name 'm', image 1 of split 'test': the mask has 48 x 40 pix"):
        test.mask(1)


def test_unreadable_picture_of_a_box_is_named(hub_folder, pictures):
    test = [{"bytes": each, "path": None} for each in pictures[30:35]]
    test[4] = {"bytes": b"no picture", "path": None}
    folder = hub_folder(LABELS, PETS, extra=EXTRA, encoded={"test": test})
    with pytest.raises(CorruptImageError, match=r"image 4 of split 'test' .*--skip_corrupt"):
        load(folder, image_column_name="image", box_column_name="bbox")


def test_format_without_a_column_is_refused():
    with pytest.raises(InputError, match="name that column with --box_column_name"):
        DomainArguments("digits", box_format="xywh")


def test_options_are_read_from_the_command_line():
    line = ["--dataset_name", "x", "--box_column_name", "b", "--box_format", "xywh", "--mask_column_name", "m"]
    (arguments,) = parse_arguments((DomainArguments,), "", [*line, "--pair_column_name", "p"])
    assert arguments == DomainArguments(
        "x", box_column_name="b", box_format="xywh", mask_column_name="m", pair_column_name="p"
    )
    with pytest.raises(InputError, match="box_format"):
        parse_arguments((DomainArguments,), "", [*line[:5], "voc"])


def test_a_registered_domain_names_its_columns(annotated, monkeypatch):
    entry = replace(
        domain_registry.domain_entries()["eurosat"],
        expected_sizes={},
        box_column="bbox",
        box_format="xywh",
        mask_column="trimap",
        pair_column="burst",
    )
    for module in (domain_loading, published_images):
        monkeypatch.setattr(module, "registered_entry", lambda arguments: entry)  # as for its id on the Hub
    x, y, width, height = BOXES[30]
    assert load(annotated, image_column_name="image").test.boxes(0).tolist() == [[x, y, x + width, y + height]]
    domain = load(annotated, box_column_name="bbox")
    assert_annotated(domain.test, list(range(30, 35)))


def test_boxes_of_tiny_imagenet(shared_data):
    """Eleven of 2,500 lie along an edge without any area: cut there, they hold nothing of the object."""
    folder = shared_data / "tiny-imagenet-100"
    test = load(folder, box_column_name="bbox").test
    counts = [len(test.boxes(position)) for position in range(len(test))]
    assert (counts.count(0), counts.count(1)) == (11, 2489)
    with pytest.raises(InputError, match=r"leaves the picture of 64 x 64 pixels; .*box_format"):
        load(folder, box_column_name="bbox", box_format="xywh")
