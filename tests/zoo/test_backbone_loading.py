"""Loading backbones as classifiers: real networks, small, in the layouts checkpoints are published in."""

import json
import shutil
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForImageClassification
from transformers.utils import logging as transformers_logging

from hf_sslgen.errors import HubError, InputError
from hf_sslgen.geometry import Geometry
from hf_sslgen.zoo.anatomy import find_classifier
from hf_sslgen.zoo.backbone_loading import load_backbone, set_linear_classifier
from hf_sslgen.zoo.backbone_registry import all_backbones
from hf_sslgen.zoo.locations import registered, resolve_location
from hf_sslgen.zoo.timm_folder import write_timm_folder

NAMES = ("timm_resnet", "timm_vit", "transformers_resnet", "transformers_vit")
CLASSES = ("cat", "dog", "owl", "yak", "bee")
SEVEN = tuple("abcdefg")
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
HALF = ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
PREPROCESSING = {
    "timm_resnet": (Geometry(32, 0.875, "bicubic"), *IMAGENET),
    "timm_vit": (Geometry(32, 0.9, "bicubic"), *HALF),
    "transformers_resnet": (Geometry(32, 0.875, "bicubic", margins="down"), *IMAGENET),
    "transformers_vit": (Geometry(32, None, "bilinear"), *HALF),
}


def _logits(model, side: int = 32) -> torch.Tensor:
    images = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        outputs = model(images)
    return outputs if isinstance(outputs, torch.Tensor) else outputs.logits


def _head(backbone) -> torch.Tensor:
    return find_classifier(backbone.model)[1].weight


def _trunk(backbone) -> dict[str, torch.Tensor]:
    classifier, _ = find_classifier(backbone.model)
    return {name: each for name, each in backbone.model.state_dict().items() if not name.startswith(classifier)}


def _copied(folder: str, target: Path) -> Path:
    return Path(shutil.copytree(folder, target))


@pytest.mark.parametrize("name", NAMES)
def test_backbone_becomes_a_float32_classifier_of_the_given_classes(small_backbones, name):
    random_state = torch.random.get_rng_state()
    backbone = load_backbone(small_backbones[name], CLASSES)
    assert torch.equal(torch.random.get_rng_state(), random_state)
    assert _logits(backbone.model).shape == (2, 5)
    assert {each.dtype for each in backbone.model.parameters()} == {torch.float32}
    assert not backbone.model.training and not backbone.has_trained_head
    assert backbone.model.config.id2label == dict(enumerate(CLASSES))
    assert backbone.model.config.label2id["yak"] == 3
    given = backbone.preprocessing
    assert (given.geometry, given.mean, given.std) == PREPROCESSING[name]
    head = sum(each.numel() for each in find_classifier(backbone.model)[1].parameters())
    assert backbone.num_parameters + head == sum(each.numel() for each in backbone.model.parameters())


@pytest.mark.parametrize("name", NAMES)
def test_head_depends_on_the_seed_and_the_trunk_does_not(small_backbones, name):
    first, again, other = (load_backbone(small_backbones[name], CLASSES, seed=seed) for seed in (0, 0, 1))
    assert torch.equal(_head(first), _head(again))
    assert not torch.equal(_head(first), _head(other))
    assert 0.005 < _head(first).std() < 0.5
    assert first.weights == other.weights
    assert all(torch.equal(_trunk(first)[key], each) for key, each in _trunk(other).items())


def test_trunk_holds_the_files_weights(small_backbones):
    stored = load_file(Path(small_backbones["timm_vit"]) / "model.safetensors")
    loaded = load_backbone(small_backbones["timm_vit"], CLASSES).model.timm_model.state_dict()
    assert stored.keys() | {"head.weight", "head.bias"} == loaded.keys()
    assert all(torch.equal(each, loaded[key]) for key, each in stored.items())


def test_half_precision_folder_loads_in_float32(small_backbones, tmp_path):
    source = Path(small_backbones["timm_resnet"])
    config = json.loads((source / "config.json").read_text())
    tensors = load_file(source / "model.safetensors")
    write_timm_folder(
        tmp_path / "half",
        tensors,
        config["architecture"],
        config["num_features"],
        config["model_args"],
        config["pretrained_cfg"],
        dtype=torch.float16,
    )
    assert load_file(tmp_path / "half" / "model.safetensors")["conv1.weight"].dtype == torch.float16
    assert (tmp_path / "half" / "model.safetensors").stat().st_mode & 0o777 == 0o644
    backbone = load_backbone(str(tmp_path / "half"), CLASSES)
    assert {each.dtype for each in backbone.model.parameters()} == {torch.float32}
    assert torch.equal(backbone.model.timm_model.conv1.weight, tensors["conv1.weight"].half().float())
    assert backbone.weights != load_backbone(str(source), CLASSES).weights


@pytest.mark.parametrize("name", NAMES)
def test_untrained_backbone_has_its_own_seeded_weights(small_backbones, name):
    trained = _trunk(load_backbone(small_backbones[name], CLASSES))
    first, again, other = (
        load_backbone(f"untrained:{small_backbones[name]}", CLASSES, seed=seed) for seed in (3, 3, 4)
    )
    assert [each.weights.partition(", of ")[0] for each in (first, other)] == [
        "untrained, seed 3",
        "untrained, seed 4",
    ]
    assert first.name.startswith("untrained:") and not first.has_trained_head
    assert first.preprocessing == load_backbone(small_backbones[name], CLASSES).preprocessing
    assert torch.equal(_logits(first.model), _logits(again.model))
    random = [key for key, each in trained.items() if each.is_floating_point() and each.ndim > 1 and each.std() > 0]
    assert len(random) >= 6
    for key in random:
        assert not torch.equal(_trunk(first)[key], trained[key])
        assert not torch.equal(_trunk(first)[key], _trunk(other)[key])


@pytest.mark.parametrize("name", ["timm_resnet", "timm_vit"])
def test_untrained_backbone_is_initialised_as_timm_does(small_backbones, name):
    loaded = load_backbone(f"untrained:{small_backbones[name]}", CLASSES)
    config = json.loads((Path(small_backbones[name]) / "config.json").read_text())
    torch.manual_seed(99)
    fresh = timm.create_model(config["architecture"], num_classes=0, **config["model_args"]).state_dict()
    constant = 0
    for key, expected in fresh.items():
        found = loaded.model.timm_model.state_dict()[key].float()
        if expected.float().std(unbiased=False) == 0:
            assert torch.equal(found, expected.float())
            constant += 1
        elif expected.numel() > 500:
            assert float(found.std() / expected.std()) == pytest.approx(1, abs=0.15)
            assert abs(float(found.mean())) < 0.1 * float(expected.std())
    assert constant > 10
    if name == "timm_resnet":
        assert torch.equal(fresh["layer4.1.bn2.weight"], torch.zeros(32))


def test_shipped_twin_loads_and_is_registered():
    backbone = load_backbone("twin-resnet18-supervised", CLASSES)
    assert backbone.preprocessing.geometry.image_size == 64
    assert backbone.num_parameters == 1_592_336 and len(backbone.weights) == 16
    assert _logits(backbone.model, 64).isfinite().all()
    row, untrained = registered(backbone.name), registered(f"untrained:{backbone.name}")
    assert (row.objective, row.family) == ("supervised", "supervised")
    assert (untrained.objective, untrained.family, untrained.id) == ("untrained",) * 2 + (f"untrained:{row.id}",)
    assert untrained.twin_set == row.twin_set
    assert registered("owner/anything") is None


@pytest.mark.parametrize("name", NAMES)
def test_saved_model_gives_the_same_logits_wherever_it_is_loaded(small_backbones, name, tmp_path):
    model = load_backbone(small_backbones[name], CLASSES).model
    model.save_pretrained(tmp_path / "saved")
    reloaded = AutoModelForImageClassification.from_pretrained(tmp_path / "saved")
    assert torch.equal(_logits(reloaded), _logits(model))
    assert reloaded.config.id2label == dict(enumerate(CLASSES))
    if name.startswith("timm"):
        through_timm = timm.create_model(f"local-dir:{tmp_path / 'saved'}", pretrained=True).eval()
        assert torch.equal(_logits(through_timm), _logits(model))


@pytest.mark.parametrize("name", NAMES)
def test_own_head_is_kept_for_as_many_classes_and_new_for_others(small_backbones, name, tmp_path):
    trained = load_backbone(small_backbones[name], SEVEN, seed=5)
    trained.model.save_pretrained(tmp_path / "saved")
    kept = load_backbone(str(tmp_path / "saved"), SEVEN, seed=6)
    assert kept.has_trained_head and torch.equal(_logits(kept.model), _logits(trained.model))
    replaced = load_backbone(str(tmp_path / "saved"), CLASSES, seed=6)
    assert not replaced.has_trained_head and _head(replaced).shape[0] == 5
    assert all(torch.equal(_trunk(replaced)[key], each) for key, each in _trunk(trained).items())


def test_published_head_of_the_same_size_counts_as_trained(small_backbones):
    assert load_backbone(small_backbones["transformers_vit"], SEVEN).has_trained_head


@pytest.mark.parametrize("geometry", [Geometry(48, None, "bilinear"), Geometry(40, 0.8, "lanczos")])
def test_saved_timm_model_remembers_the_geometry_it_was_fed(small_backbones, geometry, tmp_path):
    backbone = load_backbone(small_backbones["timm_resnet"], CLASSES, geometry=geometry)
    assert (backbone.preprocessing.geometry, backbone.preprocessing.mean) == (geometry, IMAGENET[0])
    backbone.model.save_pretrained(tmp_path / "saved")
    assert load_backbone(str(tmp_path / "saved"), CLASSES).preprocessing == backbone.preprocessing


def test_image_size_adapts_a_timm_transformer_also_when_saved(small_backbones, tmp_path):
    backbone = load_backbone(small_backbones["timm_vit"], CLASSES, image_size=64)
    assert backbone.preprocessing.geometry == Geometry(64, 0.9, "bicubic")
    backbone.model.save_pretrained(tmp_path / "saved")
    reloaded = load_backbone(str(tmp_path / "saved"), CLASSES)
    assert torch.equal(_logits(reloaded.model, 64), _logits(backbone.model, 64))


@pytest.mark.parametrize(("name", "side"), [("transformers_vit", 64), ("timm_vit", 33)])
def test_image_size_a_network_cannot_take_is_refused(small_backbones, name, side):
    with pytest.raises(InputError, match=rf"model_name_or_path .* does not accept images of {side} px"):
        load_backbone(small_backbones[name], CLASSES, image_size=side)


@pytest.mark.parametrize("bias", [True, False])
def test_linear_classifier_is_put_in(small_backbones, bias):
    model = load_backbone(small_backbones["timm_resnet"], CLASSES).model
    if not bias:
        find_classifier(model)[1].bias = None
    weight, offset = torch.randn(5, 32), torch.randn(5)
    set_linear_classifier(model, weight, offset)
    with torch.no_grad():
        images = torch.randn(2, 3, 32, 32)
        features = model.timm_model.forward_head(model.timm_model.forward_features(images), pre_logits=True)
        assert torch.allclose(model(images).logits, features @ weight.T + offset, atol=1e-5)


def test_loading_is_silent_and_leaves_transformers_as_it_was(small_backbones, capfd):
    transformers_logging.set_verbosity_info()
    transformers_logging.enable_progress_bar()
    try:
        load_backbone(small_backbones["transformers_vit"], CLASSES)
        assert transformers_logging.get_verbosity() == transformers_logging.INFO
        assert transformers_logging.is_progress_bar_enabled()
    finally:
        transformers_logging.set_verbosity_warning()
    captured = capfd.readouterr()
    assert "LOAD REPORT" not in captured.err and "Loading weights" not in captured.err and captured.out == ""


def _without_trunk_tensor(folder: Path) -> str:
    tensors = load_file(folder / "model.safetensors")
    del tensors["layer3.0.conv1.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return "lacks 1 tensors .* 'timm_model.layer3.0.conv1.weight'"


def _with_reshaped_trunk(folder: Path) -> str:
    tensors = load_file(folder / "model.safetensors")
    tensors["conv1.weight"] = tensors["conv1.weight"][:, :, 1:, 1:].contiguous()
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return "lacks 1 tensors .* in another shape, .*conv1.weight"


def _only_pickled(folder: Path) -> str:
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    return "only safetensors files are loaded, .*: convert it once with"


def _truncated(folder: Path) -> str:
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    return "could not be loaded"


def _no_configuration(folder: Path) -> str:
    (folder / "config.json").unlink()
    return "could not be loaded: .*config.json"


@pytest.mark.parametrize(
    "damage", [_without_trunk_tensor, _with_reshaped_trunk, _only_pickled, _truncated, _no_configuration]
)
def test_incomplete_folder_is_refused_by_name(small_backbones, tmp_path, damage):
    folder = _copied(small_backbones["timm_resnet"], tmp_path / "damaged")
    reason = damage(folder)
    with pytest.raises(InputError, match=reason) as raised:
        load_backbone(str(folder), CLASSES)
    assert f"model_name_or_path {str(folder)!r}" in str(raised.value)


@pytest.mark.parametrize("model_type", ["network-of-mine", "vit"])
def test_code_that_comes_with_a_checkpoint_is_never_run(small_backbones, tmp_path, model_type):
    folder = _copied(small_backbones["transformers_vit"], tmp_path / "remote")
    config = json.loads((folder / "config.json").read_text())
    config |= {
        "model_type": model_type,
        "auto_map": {"AutoConfig": "mine.Config", "AutoModelForImageClassification": "mine.Model"},
    }
    (folder / "config.json").write_text(json.dumps(config))
    marker = tmp_path / "was-run"
    (folder / "mine.py").write_text(f"open({str(marker)!r}, 'w').close()\nclass Config: ...\nclass Model: ...\n")
    if model_type == "vit":  # the library has a class of its own for it
        assert load_backbone(str(folder), CLASSES).model.config.model_type == "vit"
    else:
        with pytest.raises(InputError, match="needs code from its repository, which is never run"):
            load_backbone(str(folder), CLASSES)
    assert not marker.exists()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("twin-resnet18-supervized", "did you mean 'twin-resnet18-supervised'"),
        ("untrained:twin-resnet18-supervized", "did you mean 'twin-resnet18-supervised'"),
        ("./no/such/folder", "there is no such folder"),
        ("timm/resnet50.tv_in1", "could not be loaded: .* did you mean 'timm/resnet50.tv_in1k'"),
    ],
)
def test_unknown_name_is_refused_with_the_nearest_known(name, reason):
    with pytest.raises((InputError, HubError), match=reason) as raised:
        load_backbone(name, CLASSES)
    assert str(raised.value).startswith("model_name_or_path ")


def test_backbone_in_another_format_has_to_be_converted_unless_a_folder_has_its_name(tmp_path, monkeypatch):
    name = next(each.id for each in all_backbones() if each.library == "conversion" and "/" not in each.id)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_SSLGEN_ZOO", str(tmp_path / "zoo"))
    with pytest.raises(InputError, match=f"convert it first: `hf-sslgen zoo convert {name}`"):
        resolve_location(name)
    (tmp_path / name).mkdir()
    assert resolve_location(name) == name
