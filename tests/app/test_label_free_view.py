"""Pictures without labels, through backbones with and without a classifier."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import AutoModelForImageClassification

from hf_sslgen.app.label_free_view import View, label_free_views
from hf_sslgen.app.picture_view import GRID, occlusion_map, overlay
from hf_sslgen.app.shown_html import side_by_side
from hf_sslgen.errors import InputError
from hf_sslgen.preprocessing import evaluation_pixels, normalise
from hf_sslgen.zoo.backbone_loading import load_backbone

EMBEDDED = "photo-patches"


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory, digits_domain) -> list[Path]:
    """Two pictures of digits, the second also under another name."""
    folder = tmp_path_factory.mktemp("pictures")
    for name, position in (("<b>a.png", 0), ("b.png", 1), ("c.png", 1)):
        digits_domain.test.image(position).save(folder / name)
    return sorted(folder.iterdir())


@pytest.fixture(scope="module")
def views(pictures: list[Path], small_backbones: dict[str, str]) -> list[View]:
    return list(label_free_views([small_backbones["transformers_vit"], small_backbones["timm_resnet"]], pictures))


def test_a_classifier_names_its_classes_as_transformers_does(views, pictures, small_backbones) -> None:
    location = small_backbones["transformers_vit"]
    model = AutoModelForImageClassification.from_pretrained(location).eval()
    backbone = load_backbone(location, tuple(f"class {index}" for index in range(model.config.num_labels)))
    picture = Image.open(pictures[1]).convert("RGB")
    pixels = normalise(evaluation_pixels(picture, backbone.preprocessing.geometry)[None], backbone.preprocessing)
    with torch.no_grad():
        expected = model(pixel_values=pixels).logits.softmax(1)[0]
        (view,) = [each for each in views if each.backbone == location and each.picture == "b.png"]
        assert [name for name, _ in view.named] == [f"class {int(i)}" for i in expected.argsort(descending=True)[:3]]
        np.testing.assert_allclose(
            [share for _, share in view.named], expected.sort(descending=True)[0][:3], atol=1e-6
        )
        best = int(expected.argmax())
        hidden = pixels.clone()
        hidden[:, :, 4:8, 8:12] = 0  # the second row's third of 8 parts a side, of 32 pixels
        drop = expected[best] - model(pixel_values=hidden).logits.softmax(1)[0, best]
        drops = occlusion_map(lambda each: model(pixel_values=each).logits.softmax(1)[:, best], pixels)
    assert drops.shape == (GRID, GRID)
    np.testing.assert_allclose(drops[1, 2], drop, atol=1e-6)


def test_a_backbone_without_a_classifier_finds_the_picture_most_alike(views, small_backbones) -> None:
    found = {each.picture: each for each in views if each.backbone == small_backbones["timm_resnet"]}
    assert all(each.named == () for each in found.values())
    assert found["b.png"].nearest == ("c.png", pytest.approx(1))
    assert found["c.png"].nearest == ("b.png", pytest.approx(1))


def test_red_is_where_hiding_lowers_the_score() -> None:
    drops = np.full((GRID, GRID), -1.0)
    drops[0, 0] = 0.5
    shown = np.asarray(overlay(np.full((32, 32, 3), 0.5), drops)).astype(int)
    assert shown[:8, :8, 0].min() > shown[:8, :8, 1].max() + 50
    assert np.ptp(shown[200:, 200:]) == 0


def test_names_are_escaped_and_what_is_missing_is_said(views) -> None:
    shown = side_by_side(views[:4], 2, left_out=3)
    assert "&lt;b&gt;a.png" in shown and "<b>a.png" not in shown
    assert "3 more pictures are not shown." in shown and "Still looking." in shown
    assert shown.count("<figure>") == 3 + 4
    whole = side_by_side(views, 2, left_out=0)
    assert "Still looking." not in whole and "names no classes" in whole and "less sure of its first class" in whole


def test_a_picture_that_can_not_be_read_is_named(tmp_path: Path, small_backbones) -> None:
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"'a\.png' can't be read as a picture"):
        next(iter(label_free_views([small_backbones["timm_resnet"]], [tmp_path / "a.png"])))
