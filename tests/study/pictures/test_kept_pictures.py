"""Small pictures of real cells: what is kept, what it shows, and what happens to files that are something else."""

import io
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from hf_sslgen.analysis.transforms import VARIANTS
from hf_sslgen.domains.domain_loading import load_domain
from hf_sslgen.preprocessing import evaluation_pixels
from hf_sslgen.study.cells.cell_folder import Cell
from hf_sslgen.study.pictures import picture_keeping
from hf_sslgen.study.pictures.picture_choice import least_invariant, pictured_errors
from hf_sslgen.study.pictures.small_picture import MOST_BYTES, SIDE, small_picture
from hf_sslgen.study.pictures.stored_pictures import index_path, pictures_of, read_picture

NETWORK = "timm_resnet"


@pytest.fixture(scope="module")
def cells(cells_of: Callable[[str], list[Cell]]) -> list[Cell]:
    return cells_of(NETWORK)


def pixels_of(path: Path | None) -> np.ndarray:
    assert path is not None
    content = read_picture(path)
    assert content is not None
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"), dtype=float)


def test_errors_have_pictures_of_the_right_images(cells: list[Cell], computation: Any) -> None:
    test = load_domain(computation(NETWORK).specs[0].domain).test
    places = {sample_id: place for place, sample_id in enumerate(test.sample_ids.tolist())}
    for cell in cells[1:]:
        pictures = pictures_of(cell.folder)
        errors = pictured_errors(cell.columns().clean)
        assert errors and len(pictures.images) == len(errors)
        for error in errors:
            image = test.image(places[error.sample_id])
            shown = pixels_of(pictures.image(error.sample_id))
            assert shown.shape == np.asarray(image).shape  # digits are smaller than a small picture
            assert np.abs(shown - np.asarray(image, dtype=float)).mean() < 12


def test_transformed_images_are_those_that_were_measured(cells: list[Cell], computation: Any) -> None:
    """Made anew from the published picture, the geometry and the seed."""
    spec = computation(NETWORK).specs[0]
    test = load_domain(spec.domain).test
    places = {sample_id: place for place, sample_id in enumerate(test.sample_ids.tolist())}
    pictures = pictures_of(cells[0].folder)
    found = least_invariant(cells[0].columns(), ("horizontal_flip", "vertical_flip"))
    assert found and len(pictures.moved) == len(found)
    for image in found:
        pixels = evaluation_pixels(test.image(places[image.sample_id]), spec.geometry)[None].float() / 255
        moved = VARIANTS[image.variant](pixels, [image.sample_id], spec.analysis.seed)
        paths = pictures.before_and_after(image.sample_id, image.variant)
        for path, expected in zip(paths or (), (pixels, moved), strict=True):
            shown = torch.from_numpy(pixels_of(path)).permute(2, 0, 1) / 255
            assert (shown - expected[0]).abs().mean() < 0.05


def test_pictures_are_shared_and_no_part_of_a_cell(cells: list[Cell]) -> None:
    assert not any("webp" in path.name for cell in cells for path in cell.folder.iterdir())
    files = list(pictures_of(cells[0].folder).folder.glob("*.webp"))
    named = [name for cell in cells for name in pictures_of(cell.folder).images.values()]
    assert len(set(named)) < len(named) and {f"{name}.webp" for name in named} <= {path.name for path in files}
    assert all(path.stat().st_size <= MOST_BYTES for path in files)


def test_a_second_cell_decodes_only_new_pictures(
    computation: Any, monkeypatch: pytest.MonkeyPatch, cells: list[Cell], tmp_path: Path
) -> None:
    from hf_sslgen.domains.images import ImageSplit
    from hf_sslgen.study.execution.workbench import prepare_cell

    decoded: list[int] = []
    image = ImageSplit.image
    monkeypatch.setattr(ImageSplit, "image", lambda split, place: decoded.append(place) or image(split, place))
    prepared = prepare_cell(computation(NETWORK).specs[1], None)
    analysis = type("Records", (), {"records": cells[1].records()})()
    picture_keeping.keep_pictures(tmp_path, "first", prepared, analysis)
    once = len(decoded)
    picture_keeping.keep_pictures(tmp_path, "second", prepared, analysis)
    assert once == len(decoded) > 0
    first, second = (json.loads(index_path(tmp_path / "pictures", name).read_text()) for name in ("first", "second"))
    assert first == second


def test_a_folder_that_can_not_be_written_costs_pictures_only(
    computation: Any, cells: list[Cell], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from hf_sslgen.study.execution.workbench import prepare_cell

    (tmp_path / "pictures").write_text("a file")
    analysis = type("Records", (), {"records": cells[1].records()})()
    picture_keeping.keep_pictures(tmp_path, "cell", prepare_cell(computation(NETWORK).specs[1], None), analysis)
    assert "no pictures of" in caplog.text


def test_noise_is_small_and_large_pictures_are_reduced() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (500, 300, 3), dtype=np.uint8)
    content = small_picture(Image.fromarray(noise))
    assert len(content) <= MOST_BYTES
    assert Image.open(io.BytesIO(content)).size == (round(300 * SIDE / 500), SIDE)


def webp(size: tuple[int, int], **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, "red").save(buffer, "WEBP", **options)
    return buffer.getvalue()


def test_files_that_are_no_small_pictures_count_as_missing(tmp_path: Path) -> None:
    good = tmp_path / "good.webp"
    good.write_bytes(webp((SIDE, SIDE)))
    assert read_picture(good) == good.read_bytes()
    animation = webp((8, 8), save_all=True, append_images=[Image.new("RGB", (8, 8), "blue")])
    bad = {
        "text": b"secret",
        "empty": b"",
        "cut": good.read_bytes()[:-20],
        "wide": webp((SIDE + 1, 10)),
        "animated": animation,
        "long": good.read_bytes() + bytes(MOST_BYTES),
    }
    for name, content in bad.items():
        (tmp_path / name).write_bytes(content)
        assert read_picture(tmp_path / name) is None, name
    (tmp_path / "link").symlink_to(good)
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for name in ("link", "folder", "pipe", "nothing"):
        assert read_picture(tmp_path / name) is None, name


@pytest.mark.parametrize(
    "content",
    [
        "",
        "[1]",
        "{" * 5000,
        '{"images": 3, "moved": {"a": "b"}}',
        '{"images": {"0": "../../secret", "1": 4}, "moved": {"0  ": ["x", "y"]}}',
        json.dumps({"images": {"0": "0" * 32}, "padding": "x" * 70_000}),
    ],
)
def test_a_damaged_index_names_no_pictures(content: str, tmp_path: Path) -> None:
    cell = tmp_path / "cells" / "a-cell"
    path = index_path(tmp_path / "pictures", cell.name)
    path.parent.mkdir(parents=True)
    path.write_text(content)
    assert not pictures_of(cell)
    path.write_text(json.dumps({"images": {"0": "0" * 32}, "moved": {}}))
    assert pictures_of(cell).image(0) == tmp_path / "pictures" / f"{'0' * 32}.webp"


def test_cells_without_the_folder_are_as_finished_as_before(cells: list[Cell], computation: Any) -> None:
    folder = pictures_of(cells[0].folder).folder
    aside = folder.with_name("aside")
    folder.rename(aside)
    try:
        found = computation(NETWORK).run()
        assert [cell.numbers for cell in found] == [cell.numbers for cell in cells]
        assert not any(pictures_of(cell.folder) for cell in found)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        aside.rename(folder)
