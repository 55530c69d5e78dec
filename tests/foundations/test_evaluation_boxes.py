"""Where boxes of a picture are in the network's input, against boxes drawn into real photographs."""

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_image

from hf_sslgen.geometry import Geometry, evaluation_boxes, evaluation_points
from hf_sslgen.preprocessing import evaluation_pixels

CHINA = Image.fromarray(load_sample_image("china.jpg"))
PICTURES = {
    "landscape": CHINA,
    "portrait": CHINA.transpose(Image.Transpose.ROTATE_90),
    "square": CHINA.crop((0, 0, 400, 400)),
}
GEOMETRIES = {
    "squash": Geometry(96, None, "bilinear"),
    "crop": Geometry(96, 0.875, "bilinear"),
    "whole": Geometry(64, 1.0, "bilinear"),
    "enlarged": Geometry(512, 0.9, "bilinear"),
}


def drawn(picture: Image.Image, box: tuple[int, int, int, int], geometry: Geometry) -> torch.Tensor:
    """(S, S) share of each input pixel inside the box: the difference that its colour makes."""
    inputs = []
    for colour in ((255, 255, 255), (0, 0, 0)):
        painted = picture.copy()
        painted.paste(colour, box)
        inputs.append(evaluation_pixels(painted, geometry)[0].double())
    return (inputs[0] - inputs[1]) / 255


def pixel_shares(start: float, stop: float, side: int) -> np.ndarray:
    edges = np.arange(side + 1) / side
    return (np.minimum(stop, edges[1:]) - np.maximum(start, edges[:-1])).clip(0) * side


@pytest.mark.parametrize("geometry", GEOMETRIES.values(), ids=GEOMETRIES)
@pytest.mark.parametrize("shape", PICTURES)
def test_box_is_where_it_was_drawn(shape, geometry):
    picture = PICTURES[shape]
    width, height = picture.size
    generator = np.random.default_rng(0)
    compared = 0
    for _ in range(6):
        x = np.sort(generator.choice(width + 1, 2, replace=False))
        y = np.sort(generator.choice(height + 1, 2, replace=False))
        box = (int(x[0]), int(y[0]), int(x[1]), int(y[1]))
        seen = drawn(picture, box, geometry).numpy()
        moved = evaluation_boxes(np.array([box], dtype=float), picture.size, geometry)
        if len(moved) == 0:
            assert seen.max() < 0.5
            continue
        side = geometry.image_size
        expected = np.outer(*(pixel_shares(*moved[0, axes], side) for axes in ([1, 3], [0, 2])))
        # The filter spreads an edge over neighbouring pixels, alike to both sides.
        assert np.abs(seen.mean(axis=0) - expected.mean(axis=0)).max() < 0.6
        assert abs(seen.sum() / side - expected.sum() / side) < 0.75
        for axis in (0, 1):
            centre = (np.arange(side) + 0.5) / side
            found, wanted = (np.average(centre, weights=each.sum(axis=axis)) for each in (seen, expected))
            assert found == pytest.approx(wanted, abs=0.5 / side)
        compared += 1
    assert compared >= 3


def test_closed_forms():
    """200 x 100 pixels, resized to 64 x 32 and cut to the 32 in the middle."""
    geometry, size = Geometry(32, 1.0, "bicubic"), (200, 100)
    boxes = np.array(
        [[0, 0, 200, 100], [50, 0, 150, 100], [100, 50, 125, 75], [0, 0, 50, 100], [40, 90, 60, 95]], dtype=float
    )
    expected = [[0, 0, 1, 1], [0, 0, 1, 1], [0.5, 0.5, 0.75, 0.75], [0, 0.9, 0.1, 0.95]]
    np.testing.assert_allclose(evaluation_boxes(boxes, size, geometry), expected)
    squashed = evaluation_boxes(boxes, size, Geometry(32, None, "bicubic"))
    np.testing.assert_allclose(squashed, boxes / [200, 100, 200, 100])
    assert evaluation_boxes(np.empty((0, 4)), size, geometry).shape == (0, 4)
    np.testing.assert_allclose(
        evaluation_points(np.array([[0.0, 0.0], [25.0, 100.0]]), size, geometry), [[-0.5, 0], [-0.25, 1]]
    )
