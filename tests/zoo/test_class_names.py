"""Which output of a classifier means which class: told by names."""

import shutil

import pytest
import torch
from transformers import AutoModelForImageClassification

from hf_sslgen.errors import InputError
from hf_sslgen.zoo.anatomy import find_classifier
from hf_sslgen.zoo.backbone_loading import load_backbone

KNOWN = ("fox", "caf\u00e9", "owl")


@pytest.fixture(params=["timm_resnet", "transformers_vit"])
def checkpoint(request, small_backbones, tmp_path):
    """A classifier of three named classes, in the two layouts of a configuration."""
    model = load_backbone(small_backbones[request.param], KNOWN, seed=1).model
    model.save_pretrained(tmp_path / "checkpoint")
    source = small_backbones[request.param] + "/preprocessor_config.json"
    if request.param == "transformers_vit":
        shutil.copy(source, tmp_path / "checkpoint")
    return str(tmp_path / "checkpoint")


def logits(backbone):
    pixels = torch.rand(4, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return backbone.model(pixel_values=pixels).logits


def test_outputs_follow_the_names(checkpoint):
    own = load_backbone(checkpoint, KNOWN, match="name")
    assert own.has_trained_head
    for match in ("name", None):
        turned = load_backbone(checkpoint, ("owl", "fox", "cafe\u0301"), match=match)
        assert turned.has_trained_head
        assert torch.equal(logits(turned), logits(own)[:, [2, 0, 1]])
        assert turned.model.config.id2label == {0: "owl", 1: "fox", 2: "cafe\u0301"}
    shared = load_backbone(checkpoint, ("owl", "fox"), match="shared")
    assert torch.allclose(logits(shared), logits(own)[:, [2, 0]])
    assert find_classifier(shared.model)[1].out_features == 2
    # as the configuration on disk has them, by transformers alone
    plain = AutoModelForImageClassification.from_pretrained(checkpoint).eval()
    assert list(plain.config.id2label.values()) == list(KNOWN)
    assert torch.allclose(logits(own), plain(pixel_values=torch.rand(4, 3, 32, 32, generator=_seeded())).logits)


def _seeded():
    return torch.Generator().manual_seed(0)


@pytest.mark.parametrize(
    "names",
    [("fox", "cat", "owl"), ("Fox", "café", "owl"), ("a", "b", "c"), ("fox", "owl"), ("fox", "café", "owl", "cat")],
)
def test_other_names_are_refused_with_both_lists(checkpoint, names):
    with pytest.raises(InputError) as raised:
        load_backbone(checkpoint, names, match="name")
    message = str(raised.value)
    assert "'fox', 'café', 'owl'" in message and ", ".join(map(repr, names)) in message
    assert "--match_classes shared" in message


def test_a_classifier_for_something_else_altogether_is_left_unused(checkpoint):
    for match in ("name", "none", None):
        names = ("a", "b", "c", "d") if match == "name" else ("a", "b", "c")
        backbone = load_backbone(checkpoint, names, match=match, seed=3)
        assert not backbone.has_trained_head
        again = load_backbone(checkpoint, names, match=match, seed=3)
        weight, same = (find_classifier(each.model)[1].weight for each in (backbone, again))
        assert torch.equal(weight, same)
        if len(names) == len(KNOWN):
            trained = find_classifier(load_backbone(checkpoint, KNOWN).model)[1].weight
            assert not torch.allclose(weight, trained)


def test_positions_count_where_they_are_asked_for_or_all_there_is(checkpoint, small_backbones, caplog):
    own = logits(load_backbone(checkpoint, KNOWN))
    assert torch.equal(logits(load_backbone(checkpoint, ("x", "y", "z"), match="position")), own)
    with pytest.raises(InputError, match=r"has 3, and the dataset has 2 \('x', 'y'\)"):
        load_backbone(checkpoint, ("x", "y"), match="position")
    caplog.clear()
    for match in ("name", None):
        assert load_backbone(small_backbones["transformers_resnet"], tuple("abcdefg"), match=match).has_trained_head
    said = [record.message for record in caplog.records if "matched to the classes in order" in record.message]
    assert len(said) == 2 and "'a', 'b'" in said[0]
    caplog.clear()
    assert not load_backbone(small_backbones["timm_resnet"], ("a", "b"), match="name").has_trained_head
    assert not caplog.records
