"""The registry of backbones: its rows, its look-ups, and what it says about a wrong row."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from hf_sslgen.errors import InputError
from hf_sslgen.zoo import backbone_registry
from hf_sslgen.zoo.conversion.layout_rows import LAYOUTS

ROW = """
      - id: some/backbone
        library: timm
        architecture: resnet50
        objective: supervised
        family: supervised
        verified: true
"""


def _write(folder: Path, row: str = ROW, unmatched: str = "[]", excluded: str = "[]") -> Path:
    path = folder / "registry.yaml"
    path.write_text(
        f"""
twin_sets:
  - name: small
    description: one
    source_data: ImageNet-1k
    image_size: 224
    crop_pct: 0.875
    interpolation: bilinear
    backbones: {row}
unmatched: {unmatched}
excluded: {excluded}
""",
        encoding="utf-8",
    )
    return path


def test_each_twin_set_pairs_a_supervised_backbone_or_says_what_is_missing():
    for name, twin_set in backbone_registry.twin_sets().items():
        assert twin_set.name == name
        assert twin_set.supervised, name
        assert twin_set.self_supervised or "no self-supervised twin" in twin_set.description, name
        near = {each.id for each in twin_set.near_twins}
        assert {backbone.twin_set for backbone in twin_set.backbones if backbone.id not in near} == {name}


def test_exact_twins_share_architecture_parameters_and_source():
    for twin_set in backbone_registry.twin_sets().values():
        exact = [backbone for backbone in twin_set.backbones if backbone.exact_twin]
        assert len({(each.architecture, each.parameters, each.source_data) for each in exact}) == 1, twin_set.name


def test_near_and_unmatched_backbones_say_why():
    near = [backbone.id for backbone in backbone_registry.all_backbones() if not backbone.exact_twin]
    assert "timm/deit3_base_patch16_224.fb_in1k" in near
    assert "timm/vit_base_patch14_dinov2.lvd142m" in near
    for backbone in backbone_registry.all_backbones():
        assert backbone.exact_twin or backbone.reason, backbone.id
    for backbone in backbone_registry.unmatched_backbones():
        assert backbone.twin_set is None and not backbone.exact_twin


def test_unverified_rows_say_what_was_not_checked():
    unverified = [backbone for backbone in backbone_registry.all_backbones() if not backbone.verified]
    assert len(unverified) > 20
    for backbone in unverified:
        assert backbone.note is not None and "not checked" in backbone.note, backbone.id


def test_rows_without_an_address_say_which_file_to_look_for():
    without = [each for each in backbone_registry.all_backbones() if each.needs_conversion and each.url is None]
    assert {"obow-200ep-resnet50", "simclr-v2-resnet50", "rrl-supervised-run9-resnet50"} <= {
        each.id for each in without
    }
    for backbone in without:
        assert "convert" in (backbone.note or ""), backbone.id


def test_rows_that_need_conversion_state_a_layout_that_exists_or_leave_it_to_the_keys():
    rows = [backbone for backbone in backbone_registry.all_backbones() if backbone.needs_conversion]
    assert {each.layout for each in rows} - {None} <= set(LAYOUTS)
    assert {each.layout for each in rows} >= {
        "swav",
        "moco",
        "moco_v3",
        "simsiam",
        "byol",
        "obow",
        "lightly",
        "mmselfsup",
    }
    for backbone in rows:
        assert backbone.layout is not None or not backbone.verified or backbone.id == "nyu-visionx/moco-v3-vit-b"


def test_every_published_checkpoint_of_two_code_bases_has_a_row(shared_data):
    tables = shared_data.parent / "reference"
    urls = {each.url: each for each in backbone_registry.all_backbones() if each.url is not None}
    lightly = [line.split("\t") for line in (tables / "lightly-imagenet.tsv").read_text().splitlines()[2:]]
    mmselfsup = [line.split("\t") for line in (tables / "mmselfsup-imagenet.tsv").read_text().splitlines()[2:]]
    assert (len(lightly), len(mmselfsup)) == (14, 41)
    for _, _, batch, epochs, linear, finetune, knn, url in lightly:
        row = urls[url]
        assert (row.batch_size, row.epochs, row.licence, row.code_licence) == (int(batch), int(epochs), None, "mit")
        stated = {each.measure: each.top1 for each in row.published}
        assert stated == {"linear": float(linear), "finetune": float(finetune), "knn": float(knn)}
    for name, _, _, batch, linear, finetune, url in mmselfsup:
        row = urls[url]
        assert row.batch_size == int(batch), name
        # The table repeats a name for some rows, and states 200 epochs for one of 800, so the file's name decides.
        assert row.epochs is not None and re.search(rf"-{row.epochs}e[-_]", url.rpartition("/")[2]), name
        assert row.checksum is not None and url.endswith(f"-{row.checksum.removeprefix('sha256:')}.pth"), name
        published = {each.measure: each.top1 for each in row.published}
        stated = {"linear": linear, "finetune": finetune}
        assert published == {measure: float(value) for measure, value in stated.items() if value}, name


def test_ten_objectives_of_one_code_base_have_a_near_twin():
    lightly = backbone_registry.get_twin_set("resnet50-in1k-lightly")
    (near,) = lightly.supervised
    assert (near.id, near.exact_twin, near.twin_set) == ("timm/resnet50.tv_in1k", False, "resnet50-in1k")
    assert "other code" in (near.reason or "")
    assert len({each.objective for each in lightly.self_supervised}) == 10
    assert {each.epochs for each in lightly.self_supervised} == {100}
    own = backbone_registry.find_backbone("timm/resnet50.tv_in1k")
    assert own is not None and own.exact_twin and own.reason is None


def test_the_published_linear_accuracies_are_those_of_the_gates():
    gates = {
        "swav-800ep-resnet50": 75.3,
        "deepcluster-v2-800ep-resnet50": 75.2,
        "dino-resnet50": 75.3,
        "moco-v3-1000ep-resnet50": 74.6,
        "byol-1000ep-resnet50": 74.4,
        "obow-200ep-resnet50": 73.8,
        "barlowtwins-resnet50": 73.5,
        "vicreg-resnet50": 73.2,
        "infomin-800ep-resnet50": 73.0,
        "sela-v2-400ep-resnet50": 71.8,
        "simclr-v2-resnet50": 71.7,
        "moco-v2-800ep-resnet50": 71.1,
        "lightly-ai/simclrv1-imagenet1k-resnet50-1x": 69.1,
        "simsiam-100ep-resnet50": 68.1,
        "pcl-v2-200ep-resnet50": 67.6,
        "pirl-200ep-resnet50": 61.7,
        "pcl-v1-200ep-resnet50": 61.5,
        "moco-v1-200ep-resnet50": 60.6,
        "insdis-200ep-resnet50": 59.5,
    }
    for name, top1 in gates.items():
        row = backbone_registry.find_backbone(name)
        assert row is not None
        assert [each.top1 for each in row.published if each.measure == "linear"] == [top1], name


def test_the_same_weights_in_two_places_are_of_one_method():
    for backbone in backbone_registry.all_backbones():
        if backbone.same_weights_as is not None:
            other = backbone_registry.find_backbone(backbone.same_weights_as)
            assert other is not None and other.same_weights_as is None, backbone.id
            for name in ("objective", "twin_set", "epochs", "augmentation"):
                assert vars(backbone)[name] == vars(other)[name], (backbone.id, name)


def test_known_facts():
    dino = backbone_registry.find_backbone("timm/vit_small_patch16_224.dino")
    assert dino is not None
    assert (dino.twin_set, dino.family, dino.parameters) == ("vit_small_patch16-in1k", "self-distillation", 21665664)
    simclr = backbone_registry.find_backbone("lightly-ai/simclrv1-imagenet1k-resnet50-1x")
    assert simclr is not None and simclr.normalization == "unit_range"
    resnet = backbone_registry.get_twin_set("resnet50-in1k")
    assert (resnet.image_size, resnet.crop_pct, resnet.interpolation) == (224, 0.875, "bilinear")
    objectives = {backbone.objective for backbone in resnet.backbones}
    assert {"swav", "byol", "simclr", "barlow-twins", "vicreg", "dino"} <= objectives


def test_the_shipped_twins_differ_in_the_objective_alone():
    twins = backbone_registry.get_twin_set("resnet18-tiny-imagenet-100")
    assert twins.image_size == 64
    (supervised,) = twins.supervised
    assert {twin.objective for twin in twins.self_supervised} == {"simclr", "barlow-twins"}
    for twin in twins.backbones:
        assert twin.package_folder == f"resnet18-{twin.objective}"
        assert twin.architecture == supervised.architecture
        assert twin.licence == "research use (Tiny-ImageNet)"


def test_the_timm_rows_match_timm():
    timm = pytest.importorskip("timm")
    tags = set(timm.list_models(pretrained=True))
    for backbone in backbone_registry.all_backbones():
        if backbone.id.startswith("timm/"):
            tag = backbone.id.removeprefix("timm/")
            assert tag in tags, tag
            published = timm.get_pretrained_cfg(tag)
            assert backbone.licence == published.license, tag
            assert (published.mean == (0.5, 0.5, 0.5)) == (backbone.normalization == "half"), tag
            # DeiT without distillation is timm's plain ViT under another name.
            assert backbone.architecture == tag.split(".")[0].replace("deit_", "vit_"), tag


def test_an_unknown_backbone_has_no_row():
    assert backbone_registry.find_backbone("somebody/anything") is None
    assert len(backbone_registry.known_backbone_ids()) == len(set(backbone_registry.known_backbone_ids()))


def test_an_unknown_twin_set_names_the_nearest():
    with pytest.raises(InputError, match="did you mean 'resnet50-in1k'"):
        backbone_registry.get_twin_set("resnet50_in1k")
    with pytest.raises(InputError, match="known: resnet50-in1k"):
        backbone_registry.get_twin_set("zzz")


@pytest.mark.parametrize(
    "backbone_id",
    [
        "timm/resnet50.fb_swsl_ig1b_ft_in1k",
        "timm/convnextv2_tiny.fcmae_ft_in22k_in1k",
        "timm/hgnet_base.ssld_in1k",
        "1aurent/resnet50.lunit_dino",
        "timm/eva02_tiny_patch14_224.mim_in22k",
    ],
)
def test_checkpoints_that_are_not_purely_self_supervised_are_excluded(backbone_id):
    assert backbone_registry.excluded_reason(backbone_id)


def test_no_listed_backbone_matches_an_exclusion():
    assert [each for each in backbone_registry.known_backbone_ids() if backbone_registry.excluded_reason(each)] == []
    assert backbone_registry.excluded_reason("somebody/anything") is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("library: timm", "libary: timm"), "unknown field 'libary'; did you mean 'library'"),
        (("library: timm", "library: tim"), "library is 'tim'; did you mean 'timm'"),
        (("family: supervised", "family: guessing"), "family is 'guessing'; known: supervised, contrastive"),
        (("family: supervised", "family: contrastive"), "contradict each other"),
        (("verified: true", "verified: perhaps"), "verified is 'perhaps'; it must be true or false"),
        (
            ("verified: true", "verified: true\n        paper: 2104.14294"),
            "paper is 2104.14294; it must be none or text",
        ),
        (
            ("verified: true", "verified: true\n        parameters: true"),
            "parameters is True; it must be a whole number",
        ),
        (("verified: true", "verified: true\n        exact_twin: false"), "state why in the field 'reason'"),
        (("library: timm", "library: conversion"), "state the file's address in the field 'url'"),
        (
            ("verified: true", "verified: true\n        published: {measure: linear}"),
            "published is {'measure': 'linear'}; it must be a list of rows",
        ),
        (
            ("verified: true", "verified: true\n        published: [{measure: linear, top1: 101.0, source: a page}]"),
            "published, row 1: top1 is 101.0; it must be above 0 and at most 100",
        ),
        (
            ("verified: true", "verified: true\n        published: [{measure: guess, top1: 70.0, source: a page}]"),
            "measure is 'guess'; known: linear, knn, finetune",
        ),
        (("verified: true", "verified: false"), "say in the field 'note' what was not checked"),
        (
            ("verified: true", "verified: true\n        same_weights_as: some/other"),
            "same_weights_as is 'some/other'; it must be another row's id",
        ),
        (("verified: true", "verified: true\n        padding: valid"), "padding is 'valid'; known: torch, same"),
        (("verified: true", "verified: true\n        epochs: 0"), "epochs is 0; it must be at least 1"),
        (("        verified: true\n", ""), "the field 'verified' is missing"),
        (("verified: true", "verified: true\n        verified: false"), "'verified' occurs twice"),
        (("verified: true", "verified: true\n        source_data: JFT"), "exact_twin, but its source_data"),
    ],
)
def test_a_wrong_row_is_named(tmp_path, change, message):
    with pytest.raises(InputError, match=message):
        backbone_registry.read_registry(_write(tmp_path, ROW.replace(*change)))


def test_a_near_twin_is_a_row_of_another_set(tmp_path):
    path = _write(tmp_path, ROW)
    text = path.read_text(encoding="utf-8").replace(
        "    backbones:", "    near_twins: [{id: some/backbone, reason: none}]\n    backbones:"
    )
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match="near twin 'some/backbone' is not a row of another twin set"):
        backbone_registry.read_registry(path)


def test_a_backbone_in_two_places_is_an_error(tmp_path):
    with pytest.raises(InputError, match="'some/backbone' occurs twice in the registry"):
        backbone_registry.read_registry(_write(tmp_path, ROW + ROW))


def test_a_registry_of_another_shape_is_an_error(tmp_path):
    path = tmp_path / "registry.yaml"
    path.write_text("twin_sets: []\nextra: []\n", encoding="utf-8")
    with pytest.raises(InputError, match="needs the sections twin_sets, unmatched, excluded"):
        backbone_registry.read_registry(path)
    with pytest.raises(InputError, match="section 'unmatched' must be a list of rows"):
        backbone_registry.read_registry(_write(tmp_path, unmatched="{a: 1}"))
    path.write_text("twin_sets: [", encoding="utf-8")
    with pytest.raises(InputError, match=r"registry .* can't be read"):
        backbone_registry.read_registry(path)


def test_importing_the_registries_loads_no_heavy_library():
    code = (
        "import sys; import hf_sslgen.zoo.backbone_registry as z, hf_sslgen.domains.domain_registry as d;"
        "z.twin_sets();"
        "d.domain_entries(); heavy = ('torch', 'timm', 'transformers', 'datasets', 'numpy');"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
