"""Localisation of maps in boxes and masks, against regions drawn into the network's input and loops over cells."""

import doctest
import io

import numpy as np
import pytest
from datasets import ClassLabel, Dataset, Features, List, Value
from datasets import Image as ImageFeature
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn.datasets import load_sample_image

from hf_sslgen.analysis import localization_numbers as module
from hf_sslgen.analysis.localization_numbers import (
    box_coverage,
    localization_analysis,
    mask_coverage,
    object_coverage,
)
from hf_sslgen.decoding import decode_image
from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.domains.domain_loading import load_domain
from hf_sslgen.errors import InputError
from hf_sslgen.geometry import Geometry
from hf_sslgen.preprocessing import evaluation_pixels

GEOMETRIES = {
    "squash": Geometry(96, None, "bilinear"),
    "crop": Geometry(96, 0.8, "bilinear"),
    "enlarged": Geometry(320, 0.9, "bilinear"),
}
FLOWER = Image.fromarray(load_sample_image("flower.jpg"))
PICTURES = [
    (FLOWER.resize((160, 90)), 1),
    (FLOWER.resize((90, 160)), 1),
    (FLOWER.resize((100, 100)), 1),
    (FLOWER.resize((120, 80)), 6),
    (FLOWER.resize((121, 77)), 3),
    (FLOWER.resize((96, 96)), 1),
    (FLOWER.resize((300, 40)), 1),
]
BOXES = [
    [[20, 10, 110, 70]],
    [[5, 30, 60, 150]],
    [[0, 0, 100, 100]],
    [[30, 5, 90, 45], [10, 20, 50, 79]],
    [[60, 7, 119, 40]],
]
BOXES += [[], [[0, 0, 30, 40]]]  # no object, and one that the crop cuts off


def as_file(image: Image.Image, orientation: int = 1) -> dict:
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    image.save(buffer, "PNG", exif=exif)
    return {"bytes": buffer.getvalue(), "path": None}


def mask_of(row: int) -> Image.Image:
    mask = Image.new("L", PICTURES[row][0].size)
    for box in BOXES[row]:
        mask.paste(1, box)
    return mask


@pytest.fixture(scope="module")
def annotated(tmp_path_factory):
    """A folder with the pictures above as its test split, and with boxes and masks of the same regions."""
    folder = tmp_path_factory.mktemp("annotated")
    kinds = {"image": ImageFeature(), "label": ClassLabel(names=["cat", "dog"])}
    kinds |= {"box": List(List(Value("int32"))), "mask": ImageFeature()}
    test = {
        "image": [as_file(image, orientation) for image, orientation in PICTURES],
        "label": [0] * len(PICTURES),
        "box": BOXES,
        "mask": [as_file(mask_of(row)) for row in range(len(PICTURES))],
    }
    train = {name: values[:4] for name, values in test.items()} | {"label": [0, 1, 0, 1]}
    for split, columns in (("train", train), ("test", test)):
        Dataset.from_dict(columns, features=Features(kinds)).to_parquet(folder / f"{split}.parquet")
    return folder


def split_of(folder, *kinds):
    names = {f"{kind}_column_name": kind for kind in kinds}
    return load_domain(DomainArguments(str(folder), image_column_name="image", **names)).test


def seen_coverage(row: int, geometry: Geometry, grid: tuple[int, int]) -> np.ndarray:
    """Share of each cell inside the object: the difference that its colour makes to the network's input."""
    inputs = []
    for colour in ((255, 255, 255), (0, 0, 0)):
        painted = PICTURES[row][0].copy()
        for box in BOXES[row]:
            painted.paste(colour, box)
        upright = decode_image(as_file(painted, PICTURES[row][1]), "picture")
        inputs.append(evaluation_pixels(upright, geometry)[0].double().numpy())
    share = (inputs[0] - inputs[1]) / 255
    h, w = grid
    return share.reshape(h, len(share) // h, w, len(share) // w).mean(axis=(1, 3))


@pytest.mark.parametrize("geometry", GEOMETRIES.values(), ids=GEOMETRIES)
def test_coverage_is_what_the_network_sees_of_the_object(annotated, geometry):
    grid = (4, 4)
    by_box = object_coverage(split_of(annotated, "box"), geometry, grid)
    by_mask = object_coverage(split_of(annotated, "mask"), geometry, grid)
    np.testing.assert_allclose(by_box, by_mask, atol=1e-12)
    for row in range(len(PICTURES)):
        # Resizing spreads an edge over a pixel or two of the input, a small part of a cell.
        assert np.abs(by_box[row] - seen_coverage(row, geometry, grid)).max() < 0.03, row
    assert not by_box[5].any() and by_box[2].min() == 1
    assert by_box[6].any() == (geometry.crop_pct is None)


def test_masks_come_before_boxes(annotated):
    geometry, grid = GEOMETRIES["squash"], (3, 5)
    both = split_of(annotated, "box", "mask")
    assert np.array_equal(
        object_coverage(both, geometry, grid), object_coverage(split_of(annotated, "mask"), geometry, grid)
    )


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(*[st.integers(0, 24)] * 4), min_size=1, max_size=4),
    st.tuples(*[st.integers(1, 6)] * 2),
)
def test_boxes_cover_the_cells_of_their_union(corners, grid):
    """Against counting: cells and boxes are made of 120 x 120 squares."""
    boxes = [(min(a, b), min(c, d), max(a, b), max(c, d)) for a, b, c, d in corners if a != b and c != d]
    inside = np.zeros((120, 120))
    for x0, y0, x1, y1 in boxes:
        inside[5 * y0 : 5 * y1, 5 * x0 : 5 * x1] = 1
    h, w = grid
    expected = inside.reshape(h, 120 // h, w, 120 // w).mean(axis=(1, 3))
    found = box_coverage(np.array(boxes, dtype=float).reshape(-1, 4) / 24, grid)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    assert found.max() <= 1.0
    by_mask = mask_coverage(inside > 0, Geometry(32, None, "bicubic"), grid)
    np.testing.assert_allclose(by_mask, expected, atol=1e-12)


LOCALIZATION = ("lift", "mass_accuracy", "pointing_game", "area_share")


def test_numbers_and_records_are_those_of_the_definition(annotated):
    """Loops over cells of maps whose mass lies where we put it."""
    geometry = GEOMETRIES["crop"]
    subset = split_of(annotated, "box")
    maps = np.random.default_rng(0).normal(0.3, 1.0, (len(PICTURES), 4, 4)).astype(np.float32)
    maps[1] = -1.0  # nothing is left of it
    numbers, columns = localization_analysis(maps, subset, geometry, "fine-tuned")
    coverage = object_coverage(subset, geometry, (4, 4))
    expected = {name: np.full(len(PICTURES), np.nan) for name in LOCALIZATION}
    for row, (a, inside) in enumerate(zip(np.maximum(maps.astype(float), 0), coverage, strict=True)):
        if row in (1, 5, 6):
            continue
        mass = sum(a[i, j] * inside[i, j] for i in range(4) for j in range(4)) / a.sum()
        area = sum(inside[i, j] for i in range(4) for j in range(4)) / 16
        values = {"mass_accuracy": mass, "area_share": area, "lift": mass / area}
        values["pointing_game"] = inside[np.unravel_index(a.argmax(), a.shape)]
        for name, value in values.items():
            expected[name][row] = value
    assert [number.metric for number in numbers] == list(LOCALIZATION) == list(columns)
    for number in numbers:
        np.testing.assert_allclose(columns[number.metric], expected[number.metric], rtol=1e-9)
        assert number.value == pytest.approx(np.nanmean(expected[number.metric]))
        assert (number.n, number.n_undefined, number.stage, number.transform) == (4, 3, "fine-tuned", "")
        has_interval = number.metric == "pointing_game"  # a share; means of four images have none
        assert np.isnan(number.low) != has_interval


def test_without_any_defined_image_the_reason_is_said(annotated):
    subset = split_of(annotated, "box").select(np.array([5]))
    numbers, columns = localization_analysis(np.ones((1, 2, 2), np.float32), subset, GEOMETRIES["crop"], "pretrained")
    assert all(np.isnan(number.value) and "its mask is empty" in number.reason for number in numbers)
    assert all(np.isnan(values).all() for values in columns.values())


def test_a_domain_without_annotations_says_so(annotated):
    with pytest.raises(InputError, match="split 'test' has no box column; name it with --box_column_name"):
        object_coverage(split_of(annotated), GEOMETRIES["crop"], (2, 2))


def test_maps_that_know_nothing_of_the_object(shared_data):
    """On real boxes a uniform map has lift 1, and one in the centre more: photographers aim at objects."""
    options = {"box_column_name": "bbox", "max_test_samples": 300}
    subset = load_domain(DomainArguments(str(shared_data / "tiny-imagenet-100"), **options)).test
    geometry = Geometry(64, 1.0, "bilinear")
    uniform = np.ones((len(subset), 8, 8), np.float32)
    lift, mass_accuracy, pointing_game, area_share = localization_analysis(uniform, subset, geometry, "pretrained")[0]
    assert lift.value == pytest.approx(1) and lift.n + lift.n_undefined == 300
    assert mass_accuracy.value == pytest.approx(area_share.value) == pytest.approx(pointing_game.value)
    assert 0.3 < area_share.low < area_share.high < 0.7
    distance = np.hypot(*np.meshgrid(np.arange(8) - 3.5, np.arange(8) - 3.5))
    centred = (uniform * np.exp(-((distance / 2) ** 2))).astype(np.float32)
    lift, _, pointing_game, _ = localization_analysis(centred, subset, geometry, "pretrained")[0]
    assert lift.low > 1.2 and pointing_game.low > area_share.high


def test_documented_example():
    assert doctest.testmod(module).attempted == 1 and doctest.testmod(module).failed == 0
