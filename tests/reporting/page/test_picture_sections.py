"""The pictures of a page, on synthetic cells with pictures beside them."""

import base64
import io
import re
from collections.abc import Callable
from pathlib import Path

import jinja2
import numpy as np
import pytest
from fake_pictures import add_pictures
from fake_study import Study, build_study
from PIL import Image

from hf_sslgen.reporting.page import picture_sections as sections_module
from hf_sslgen.reporting.page.cell_details import cell_details
from hf_sslgen.reporting.page.html_page import TEMPLATES
from hf_sslgen.reporting.page.overlay_pictures import DIMMED, overlay_picture
from hf_sslgen.reporting.page.picture_book import PictureBook
from hf_sslgen.reporting.page.picture_sections import NO_PICTURES, PictureSections, picture_sections
from hf_sslgen.reporting.page.picture_tiles import Room, percent
from hf_sslgen.study.cells.cell_folder import Cell
from hf_sslgen.study.pictures.stored_pictures import PICTURES


@pytest.fixture(scope="module")
def pictured(tmp_path_factory: pytest.TempPathFactory) -> Study:
    study = build_study(
        tmp_path_factory.mktemp("pictured") / "cells",
        class_names=("<b>cat</b>", "coffee", 'ro"cket', "flower", "vase"),
    )
    add_pictures(study.cells)
    return study


@pytest.fixture(scope="module")
def sections(pictured: Study) -> PictureSections:
    return picture_sections(pictured.cells)


def render(sections: PictureSections) -> str:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined
    )
    parts = "".join(f"{{{{ p.{kind}(x) }}}}" for kind in ("overlays", "errors", "disagreements", "moved", "notes"))
    return environment.from_string('{% import "pictures.html.jinja" as p %}' + parts).render(x=sections)


def cell_of(study: Study, backbone: str, domain: str) -> Cell:
    found = [c for c in study.cells if (c.backbone, c.domain, c.protocol) == (backbone, domain, "linear")]
    return found[0]


def test_surest_errors_come_first_with_their_words(sections: PictureSections, pictured: Study) -> None:
    for scene in sections.errors:
        for strip in scene.strips:
            records = cell_of(pictured, strip.title, scene.domain).records()
            wrong = records[records["reference"] != records["prediction"]].sort_values("confidence", ascending=False)
            assert len(strip.tiles) == sections_module.MOST_ERRORS
            for tile, row in zip(strip.tiles, wrong.itertuples(), strict=False):
                assert tile.lines[2] == f"{percent(row.confidence)} sure"
    assert {strip.title for strip in sections.errors[0].strips} == {cell.backbone for cell in pictured.cells}


def test_disagreements_are_errors_that_the_other_avoids(sections: PictureSections, pictured: Study) -> None:
    assert sections.disagreements
    for scene in sections.disagreements:
        for strip in scene.strips:
            right, wrong = (cell_of(pictured, name, scene.domain).records() for name in strip.backbones)
            both = right.merge(wrong, on="sample_id", suffixes=("_right", "_wrong"))
            one = both[(both["correct_right"] == 1) & (both["correct_wrong"] == 0)]
            surest = one["confidence_wrong"].sort_values(ascending=False)
            expected = [f"{percent(each)} sure" for each in surest[: len(strip.tiles)]]
            assert [tile.lines[2] for tile in strip.tiles] == expected
            assert "untrained" not in strip.title


def test_least_invariant_images_stand_beside_their_transform(sections: PictureSections) -> None:
    assert sections.moved
    for scene in sections.moved:
        assert scene.protocol == "pretrained"
        for strip in scene.strips:
            assert all(tile.after and tile.source != tile.after for tile in strip.tiles)
            assert all(tile.lines[1].startswith("similarity ") for tile in strip.tiles)


def test_overlays_name_prediction_and_confidence(sections: PictureSections, pictured: Study) -> None:
    scene = next(scene for scene in sections.overlays if scene.protocol == "linear")
    assert scene.overlays is not None
    for row in scene.overlays.rows:
        assert len(row) == 1 + len(scene.overlays.columns)
        for name, tile in zip(scene.overlays.columns, row[1:], strict=True):
            assert tile.verdict in ("right", "wrong") and tile.lines[1].endswith("%"), name


def test_short_names_are_shown_and_full_ones_kept(pictured: Study) -> None:
    names = {"resnet50-simclr": "SimCLR"}
    found = picture_sections(pictured.cells, names)
    assert "SimCLR" in {strip.title for strip in found.errors[0].strips}
    assert any("SimCLR is right" in strip.title for strip in found.disagreements[0].strips)
    assert all(name != "SimCLR" for strip in found.disagreements[0].strips for name in strip.backbones)
    html = render(found)
    assert 'data-backbone="resnet50-simclr" title="resnet50-simclr">SimCLR</th>' in html
    assert "where SimCLR looks" in html


def test_names_are_escaped_and_captions_short(sections: PictureSections) -> None:
    html = render(sections)
    assert "<b>cat</b>" not in html and "&lt;b&gt;cat" in html
    assert "<script" not in html and "http" not in html
    for block in re.findall(r"<(?:p|caption)[^>]*>(.*?)</", html, re.DOTALL):
        assert all(len(sentence.split()) <= 25 for sentence in re.split(r"[.;]", block)), block


def test_a_study_without_pictures_says_so(study: Study) -> None:
    found = picture_sections(study.cells)
    assert found.notes == [NO_PICTURES]
    assert not found.errors and not found.disagreements and not found.moved
    assert found.overlays  # which are stored in the cells
    assert NO_PICTURES in render(found)


def test_the_room_bounds_the_page(pictured: Study, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = render(picture_sections(pictured.cells))
    monkeypatch.setattr(sections_module, "Room", lambda: Room(30_000))
    found = picture_sections(pictured.cells)
    assert found.notes == ["Some pictures are left out, to keep the page small."]
    addresses = [part.split('"')[0] for part in render(found).split('src="')[1:]]
    assert sum(map(len, addresses)) <= 30_000 < len(whole)


def test_details_refer_to_pictures_by_number(pictured: Study) -> None:
    book = PictureBook()
    details = [cell_details(cell, book) for cell in pictured.cells if cell.protocol == "linear"]
    numbers = {e["picture"] for d in details for pair in d["confusion"]["pairs"] for e in pair["examples"]}
    numbers |= {error["picture"] for d in details for error in d["errors"]}
    assert numbers == set(range(len(book.addresses)))
    assert len(set(book.addresses)) == len(book.addresses)
    for address in book.addresses:
        content = base64.b64decode(address.removeprefix("data:image/webp;base64,"))
        assert Image.open(io.BytesIO(content)).format == "WEBP"
    small = PictureBook(room=1000)
    cell_details(pictured.cells[1], small)
    assert sum(map(len, small.addresses)) <= 1000


def test_a_planted_file_is_not_shown(pictured: Study, make_study: Callable[..., Study], tmp_path: Path) -> None:
    study = make_study(tmp_path / "cells")
    add_pictures(study.cells)
    secret = tmp_path / "secret"
    secret.write_bytes(b"RIFFsecret")
    for path in (tmp_path / PICTURES).glob("*.webp"):
        path.unlink()
        path.symlink_to(secret)
    found = picture_sections(study.cells)
    assert not found.errors and not found.moved
    assert base64.b64encode(b"RIFFsecret").decode()[:8] not in render(found)


def test_an_overlay_is_lighter_where_there_is_evidence() -> None:
    image = np.full((64, 64, 3), 200, dtype=np.uint8)
    attribution = np.zeros((8, 8), dtype=np.float32)
    attribution[1, 1] = 3.0
    pixels = np.asarray(Image.open(io.BytesIO(overlay_picture(image, attribution))).convert("L"), dtype=float)
    assert abs(pixels[50, 50] - 200 * DIMMED) < 6
    assert pixels[12, 12] > 200 * DIMMED + 60
    for empty in (-np.ones((8, 8)), np.full((8, 8), np.nan)):
        flat = np.asarray(Image.open(io.BytesIO(overlay_picture(image, empty))).convert("L"), dtype=float)
        assert abs(flat - 200 * DIMMED).max() < 6
