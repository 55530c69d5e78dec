"""Occlusion of the embedding against a plain loop, captum's Occlusion, and embeddings whose answer is known."""

import doctest
import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from captum.attr import Occlusion
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from hf_sslgen.analysis import occlusion
from hf_sslgen.analysis.occlusion import MAX_SIDE, cell_of_pixels, occlusion_grid, occlusion_maps
from hf_sslgen.errors import InputError
from hf_sslgen.geometry import Geometry
from hf_sslgen.preprocessing import Preprocessing, normalise


def pictures(height: int, width: int, count: int = 3) -> Tensor:
    return torch.randn(count, 3, height, width, generator=torch.Generator().manual_seed(5))


@pytest.fixture(scope="module")
def encoder() -> Callable[[Tensor], Tensor]:
    """A small network of random weights, whose features react to every pixel."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1), nn.GELU(), nn.AdaptiveAvgPool2d(6), nn.Flatten(), nn.Linear(288, 12)
        ).eval()


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.sqrt((a @ a) * (b @ b)))


@torch.no_grad()
def by_hand(embed: Callable[[Tensor], Tensor], images: Tensor, grid: tuple[int, int], reach: int = 0) -> Tensor:
    """Image after image and cell after cell, in double precision; a border at the pixel border nearest to it."""
    (h, w), (height, width) = grid, images.shape[-2:]
    maps = torch.empty(len(images), h, w, dtype=torch.float64)
    for position, image in enumerate(images):
        clean = embed(image[None])[0].double().numpy()
        for row in range(h):
            for column in range(w):
                hidden = image.clone()
                for y in range(height):
                    for x in range(width):
                        inside_row = (
                            math.floor((row - reach) * height / h + 0.5)
                            <= y
                            < math.floor((row + 1 + reach) * height / h + 0.5)
                        )
                        inside_column = (
                            math.floor((column - reach) * width / w + 0.5)
                            <= x
                            < math.floor((column + 1 + reach) * width / w + 0.5)
                        )
                        if inside_row and inside_column:
                            hidden[:, y, x] = 0
                maps[position, row, column] = 1 - cosine(clean, embed(hidden[None])[0].double().numpy())
    return maps


@pytest.mark.parametrize("batch_size", [None, 1, 3, 7, 100])
@pytest.mark.parametrize(
    ("height", "width", "grid"), [(12, 12, (4, 4)), (12, 20, (3, 5)), (17, 23, (4, 7)), (10, 8, (1, 3))]
)
def test_maps_equal_a_plain_loop(
    height: int, width: int, grid: tuple[int, int], batch_size: int | None, encoder: Callable[[Tensor], Tensor]
) -> None:
    images = pictures(height, width)
    expected = by_hand(encoder, images, grid)
    sizes = []

    def embed(batch: Tensor) -> Tensor:
        sizes.append(len(batch))
        return encoder(batch)

    maps = occlusion_maps(embed, images, grid, batch_size=batch_size)
    assert maps.shape == (3, *grid) and maps.dtype == torch.float32 and not maps.requires_grad
    assert (maps - expected).abs().max() <= 1e-5 * expected.max()
    assert expected.min() > 1e-4 * expected.max()
    assert max(sizes) <= max(3, batch_size or 3) and sum(sizes) == 3 * (grid[0] * grid[1] + 1)


@pytest.mark.parametrize("window", [3, 5])
def test_windows_are_centred_on_their_cell(window: int, encoder: Callable[[Tensor], Tensor]) -> None:
    images = pictures(12, 20)
    expected = by_hand(encoder, images, (3, 5), window // 2)
    assert (occlusion_maps(encoder, images, (3, 5), window=window) - expected).abs().max() <= 1e-5 * expected.max()


def test_where_cells_are_whole_pixels_maps_equal_captums_occlusion(encoder: Callable[[Tensor], Tensor]) -> None:
    images = pictures(16, 24)
    clean = encoder(images).detach()

    def similarity(batch: Tensor) -> Tensor:
        return nn.functional.cosine_similarity(encoder(batch).double(), clean.double())

    window = (3, 4, 4)
    captum = Occlusion(similarity).attribute(images, sliding_window_shapes=window, strides=window, baselines=0)
    expected = captum[:, 0, ::4, ::4]
    assert (occlusion_maps(encoder, images, (4, 6)) - expected).abs().max() <= 1e-5 * expected.max()


def test_only_cells_that_the_embedding_reads_have_attribution() -> None:
    """Rows 8 to 15 and columns 20 to 29: of 4 x 6 cells of 4 x 5 px the third and fourth row, last two columns."""
    images = pictures(16, 30)
    maps = occlusion_maps(lambda batch: batch[:, :, 8:16, 20:30].flatten(1), images, (4, 6))
    read = torch.zeros(4, 6, dtype=torch.bool)
    read[2:4, 4:6] = True
    assert (maps[:, read] > 1e-3).all() and (maps[:, ~read] == 0).all()


def test_an_embedding_of_cells_has_a_closed_form() -> None:
    """Features that are one number a cell: to hide a cell leaves sqrt(1 - z_k^2 / |z|^2) of the cosine."""
    images = pictures(12, 20)

    def embed(batch: Tensor) -> Tensor:
        return batch.mean(1).unflatten(1, (3, 4)).unflatten(3, (5, 4)).mean((2, 4)).flatten(1)

    z = embed(images).double()
    expected = 1 - (1 - z**2 / (z**2).sum(1, keepdim=True)).sqrt()
    maps = occlusion_maps(embed, images, (3, 5))
    assert torch.allclose(maps.double(), expected.unflatten(1, (3, 5)), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(("row", "column"), [(0, 0), (0, 4), (2, 0), (1, 3)])
def test_cells_lie_where_the_image_has_them(row: int, column: int) -> None:
    """A bright square and an embedding of all pixels: its cell is the map's largest, (0, 0) at the top left."""
    images = 0.1 * pictures(12, 20, count=1)
    images[:, :, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4] = 2
    maps = occlusion_maps(lambda batch: batch.flatten(1), images, (3, 5))
    assert int(maps[0].argmax()) == 5 * row + column


def test_what_is_neutral_already_is_exactly_zero() -> None:
    """Even where a network's sums depend on the size of its batch, as here by far."""
    images = pictures(8, 8)
    images[0] = 0
    images[1, :, :4, 4:] = 0
    maps = occlusion_maps(lambda batch: batch.flatten(1) + 1e-3 * torch.randn(len(batch), 192) + 1, images, (2, 2))
    assert (maps[0] == 0).all() and maps[1, 0, 1] == 0
    assert int((maps == 0).sum()) == 5


def test_a_neutral_colour_can_be_given(encoder: Callable[[Tensor], Tensor]) -> None:
    """Pixels in [0, 1] with the mean as neutral colour have the maps of normalised images with 0."""
    preprocessing = Preprocessing(Geometry(12, None, "bilinear"), (0.48, 0.45, 0.40), (0.22, 0.23, 0.24))
    pixels = torch.rand(3, 3, 12, 16, generator=torch.Generator().manual_seed(1))
    expected = occlusion_maps(encoder, normalise(pixels, preprocessing), (3, 4))
    mean = torch.tensor(preprocessing.mean)[:, None, None]
    maps = occlusion_maps(lambda batch: encoder(normalise(batch, preprocessing)), pixels, (3, 4), mean)
    assert torch.allclose(maps, expected, rtol=1e-4, atol=1e-7)
    assert not torch.allclose(maps, occlusion_maps(encoder, normalise(pixels, preprocessing), (3, 4), 1.0), rtol=0.1)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_no_gradient_is_kept(mode: Callable[[], object], encoder: Callable[[Tensor], Tensor]) -> None:
    expected = occlusion_maps(encoder, pictures(8, 8), (2, 2))
    with mode():
        maps = occlusion_maps(encoder, pictures(8, 8).clone(), (2, 2))
    assert torch.equal(maps, expected) and not maps.requires_grad


@settings(deadline=None, max_examples=40)
@given(st.floats(1e-3, 1e3), st.integers(0, 100))
def test_maps_do_not_depend_on_the_length_of_features(factor: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randn(2, 3, 6, 6, generator=generator)
    projection = torch.randn(108, 5, generator=generator)
    maps = occlusion_maps(lambda batch: batch.flatten(1) @ projection, images, (3, 2))
    scaled = occlusion_maps(lambda batch: factor * batch.flatten(1) @ projection, images, (3, 2))
    assert torch.allclose(maps, scaled, rtol=1e-3, atol=1e-6)
    assert (maps >= 0).all() and (maps <= 2 + 1e-6).all()


@settings(deadline=None, max_examples=100)
@given(st.integers(1, 20), st.integers(1, 20), st.data())
def test_every_pixel_is_in_the_cell_that_holds_its_centre(h: int, w: int, data: st.DataObject) -> None:
    """A border in the middle of a pixel lies on that pixel's far side, so its cell is the one before."""
    height, width = data.draw(st.integers(h, 64)), data.draw(st.integers(w, 64))
    assert cell_of_pixels(h, height).tolist() == [math.ceil((y + 0.5) * h / height) - 1 for y in range(height)]
    assert len(cell_of_pixels(w, width).unique()) == w


@given(st.integers(1, 200), st.integers(1, 200))
def test_a_large_grid_becomes_windows_of_its_aspect(h: int, w: int) -> None:
    rows, columns = occlusion_grid(h, w)
    assert 1 <= rows <= MAX_SIDE and 1 <= columns <= MAX_SIDE
    if max(h, w) <= MAX_SIDE:
        assert (rows, columns) == (h, w)
    else:
        assert max(rows, columns) == MAX_SIDE
        shorter = MAX_SIDE * min(h, w) / max(h, w)
        assert abs(min(rows, columns) - shorter) <= 0.5 or min(rows, columns) == 1 > shorter


@pytest.mark.parametrize("grid", [(9, 2), (2, 9), (0, 2)])
def test_a_grid_that_does_not_fit_is_refused(grid: tuple[int, int]) -> None:
    with pytest.raises(InputError, match=r"grid \(\d, \d\) does not fit images of 8 x 8 px; give at most a cell per"):
        occlusion_maps(lambda batch: batch.flatten(1), pictures(8, 8), grid)


@pytest.mark.parametrize("window", [0, 2, -1])
def test_an_even_window_is_refused(window: int) -> None:
    with pytest.raises(InputError, match=f"window {window} has no central cell"):
        occlusion_maps(lambda batch: batch.flatten(1), pictures(8, 8), (2, 2), window=window)


def test_examples() -> None:
    result = doctest.testmod(occlusion)
    assert result.attempted == 2 and result.failed == 0
