"""The control with fresh weights: nothing of what was learned remains, and everything else does."""

from itertools import pairwise

import pytest
import timm
import torch

from hf_sslgen.zoo.anatomy import find_classifier
from hf_sslgen.zoo.backbone_loading import load_backbone
from hf_sslgen.zoo.backbone_registry import get_twin_set
from hf_sslgen.zoo.reinitialised import CASCADE, cascade, reinitialised

CLASSES = ("cat", "dog", "owl")
NAMES = ["timm_resnet", "timm_vit", "transformers_resnet", "transformers_vit"]
TWINS = "resnet18-tiny-imagenet-100"


def _state(backbone):
    return {key: value.clone() for key, value in backbone.model.state_dict().items()}


def _learned(small_backbones, name):
    """A backbone whose every tensor was changed, as training does it: scales, biases and statistics too."""
    backbone = load_backbone(small_backbones[name], CLASSES)
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for tensor in backbone.model.state_dict().values():
            if tensor.is_floating_point():
                tensor += 0.1 + 0.05 * torch.rand(tensor.shape, generator=generator)
    return backbone


@pytest.mark.parametrize("name", NAMES)
def test_no_weight_is_left_and_all_shapes_are(small_backbones, name):
    backbone = _learned(small_backbones, name)
    before, random_state = _state(backbone), torch.random.get_rng_state()
    fresh = reinitialised(backbone, 3)
    after = _state(fresh)
    assert torch.equal(torch.random.get_rng_state(), random_state)
    assert all(torch.equal(value, _state(backbone)[key]) for key, value in before.items())
    assert {key: value.shape for key, value in after.items()} == {key: value.shape for key, value in before.items()}
    for key, value in after.items():
        if value.is_floating_point() and not key.endswith(("relative_position_index",)):
            assert not (value == before[key]).any(), key
    assert type(fresh.model) is type(backbone.model) and not fresh.model.training
    assert fresh.model.config.id2label == backbone.model.config.id2label == dict(enumerate(CLASSES))
    assert (fresh.preprocessing, fresh.name) == (backbone.preprocessing, backbone.name)
    assert fresh.weights == "re-initialised, seed 3" and not fresh.has_trained_head
    pixels = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        logits = fresh.model(pixel_values=pixels).logits
    assert logits.shape == (2, 3) and torch.isfinite(logits).all() and not torch.equal(logits[0], logits[1])


@pytest.mark.parametrize("name", NAMES)
def test_weights_depend_on_the_seed_alone(small_backbones, name):
    learned = _learned(small_backbones, name)
    first, again, other = reinitialised(learned, 3), reinitialised(learned, 3), reinitialised(learned, 4)
    untrained = load_backbone(f"untrained:{small_backbones[name]}", CLASSES, seed=3)
    for key, value in _state(first).items():
        assert torch.equal(value, _state(again)[key])
        assert torch.equal(value, _state(untrained)[key])
        if value.is_floating_point() and value.ndim > 1 and value.std() > 0:
            assert not torch.equal(value, _state(other)[key])


@pytest.mark.parametrize("name", ["timm_resnet", "transformers_resnet"])
def test_batch_normalisation_knows_no_data(small_backbones, name):
    fresh = reinitialised(_learned(small_backbones, name), 0)
    norms = [module for module in fresh.model.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    assert norms
    for norm in norms:
        assert (norm.running_mean == 0).all() and (norm.running_var == 1).all() and norm.num_batches_tracked == 0


@pytest.mark.parametrize("objective", ["supervised", "barlow-twins"])
def test_a_shipped_twin_starts_as_timm_starts_it(objective):
    """Full-size weights: tensor by tensor the spread that timm gives them, and not the trained one."""
    (twin,) = [each for each in get_twin_set(TWINS).backbones if each.objective == objective]
    trained = load_backbone(twin.id, CLASSES)
    found = reinitialised(trained, 0).model.timm_model.state_dict()
    config = trained.model.config
    torch.manual_seed(99)
    expected = timm.create_model(config.architecture, num_classes=0, **(config.model_args or {})).state_dict()
    compared = 0
    for key, value in expected.items():
        if value.float().std(unbiased=False) == 0:  # scales, biases, statistics: the residual gammas among them
            assert torch.equal(found[key], value), key
        elif value.numel() > 2000:
            assert float(found[key].std() / value.std()) == pytest.approx(1, abs=0.06), key
            assert abs(float(found[key].mean())) < 0.05 * float(value.std()), key
            compared += 1
    assert compared >= 15


@pytest.mark.parametrize("name", NAMES)
def test_a_cascade_draws_more_and_more_from_the_head_on(small_backbones, name):
    learned = _learned(small_backbones, name)
    before, control = _state(learned), reinitialised(learned, 3)
    fresh, names, drawn = _state(control), list(before), []
    for part, network in cascade(learned, control):
        state = _state(network)
        new = {
            key for key in names if torch.equal(state[key], fresh[key]) and not torch.equal(state[key], before[key])
        }
        assert all(torch.equal(state[key], before[key]) for key in names if key not in new)
        assert not network.model.training
        drawn.append((part, new))
    parts = [part for part, _ in drawn]
    assert parts[0] == "head" and parts == [part for part in CASCADE if part in parts]
    classifier, _ = find_classifier(learned.model)
    assert drawn[0][1] == {f"{classifier}.weight", f"{classifier}.bias"}
    sizes = [len(new) for _, new in drawn]
    assert sizes == sorted(set(sizes)) and sizes[-1] < len(names)
    assert all(earlier[1] < later[1] for earlier, later in pairwise(drawn))
    assert all(torch.equal(value, before[key]) for key, value in _state(learned).items())


def test_the_last_quarter_of_a_residual_network_is_its_last_stage(small_backbones):
    learned = _learned(small_backbones, "timm_resnet")
    before, control = _state(learned), reinitialised(learned, 0)
    quarter = dict(cascade(learned, control))["last_quarter"]
    changed = {key for key, value in _state(quarter).items() if not torch.equal(value, before[key])}
    assert {key.split(".")[1] for key in changed} == {"layer4", "fc"}
    stages = {key for key in before if key.split(".")[1] in ("layer4", "fc") and not key.endswith("tracked")}
    assert changed == stages
