"""Networks in each layout of published checkpoints: found by their keys, converted to the bit, or refused by name."""

import copy
import random
from collections.abc import Iterator
from typing import Any

import numpy as np
import published_layouts
import pytest
import timm
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from published_layouts import PUBLISHED, SIDE, layers, other, small_trunk, under
from torch import nn

from hf_sslgen.errors import InputError
from hf_sslgen.zoo.backbone_registry import all_backbones
from hf_sslgen.zoo.conversion.layout_rows import ROWS
from hf_sslgen.zoo.conversion.layouts import LAYOUTS, FoundNetwork, find_network

CASES = sorted(PUBLISHED)
SMALL_CASES = [case for case in CASES if case != "efficientnet"]

VICTIMS = {
    "resnet": "layer2.1.bn2.running_var",
    "vit": "blocks.1.mlp.fc1.bias",
    "efficientnet": "blocks.1.0.bn2.running_var",
}
"""A tensor in the middle of each kind of trunk, which no layout transposes."""


@pytest.fixture(scope="module")
def trunks() -> dict[str, nn.Module]:
    """Networks by kind; I-JEPA's has no class token."""
    return {
        "resnet": small_trunk("resnet"),
        "vit": small_trunk("vit"),
        "ijepa": small_trunk("vit", "ijepa"),
        "efficientnet": small_trunk("efficientnet"),
    }


def published(case: str, trunks: dict[str, nn.Module]) -> tuple[Any, nn.Module]:
    """What a file of a case holds, and the network in it."""
    layout, kind, write = PUBLISHED[case]
    network = trunks["ijepa" if layout == "ijepa" else kind]
    return copy.deepcopy(write(dict(network.state_dict()))), network


def rebuilt(found: FoundNetwork) -> nn.Module:
    network = timm.create_model(
        found.architecture, pretrained=False, num_classes=found.num_classes, **found.model_args
    )
    network.load_state_dict(found.tensors, strict=True)
    return network.eval()


def outputs(network: nn.Module, side: int = SIDE) -> torch.Tensor:
    images = torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return network(images)


def mappings(content: Any) -> Iterator[dict[str, Any]]:
    """Every mapping in a file."""
    if isinstance(content, dict):
        yield content
        for value in content.values():
            yield from mappings(value)


def place_of(content: Any, tensor: torch.Tensor) -> tuple[dict[str, Any], str]:
    """The mapping and the key of a tensor in a file, found by its values."""
    values = tensor.numpy().ravel()
    for mapping in mappings(content):
        for key, value in mapping.items():
            if isinstance(value, torch.Tensor | np.ndarray) and np.array_equal(np.asarray(value).ravel(), values):
                return mapping, key
    raise AssertionError("the tensor is not in the file")


@pytest.mark.parametrize("case", CASES)
def test_a_published_file_converts_back_to_the_bit(case: str, trunks: dict[str, nn.Module]) -> None:
    content, network = published(case, trunks)
    found = find_network(content)
    assert found.layout == PUBLISHED[case][0]
    state = network.state_dict()
    assert list(found.tensors) == list(state)
    for name, tensor in found.tensors.items():
        assert tensor.dtype == state[name].dtype
        if case != "byol" or not name.endswith("num_batches_tracked"):  # Haiku's counters are of another kind
            assert torch.equal(tensor, state[name]), name
    side = 64 if case == "efficientnet" else SIDE
    assert torch.equal(outputs(rebuilt(found), side), outputs(network, side))


def all_paths(content: Any, layout: str) -> set[str]:
    """Every key that has to be accounted for: those of the mappings with the trunk, and what lies beside these."""
    paths = {
        "state_dict": ["state_dict"],
        "model": ["model"],
        "teacher": ["teacher"],
        "network": ["network"],
        "target_encoder": ["target_encoder"],
        "resnet": ["resnet"],
    }
    for wrapper in paths:
        if wrapper in content:
            return set(content[wrapper]) | set(content) - {wrapper}
    return set(content)


@pytest.mark.parametrize("case", [case for case in CASES if case not in ("byol", "vissl")])
def test_every_key_is_used_or_dropped_for_a_reason(case: str, trunks: dict[str, nn.Module]) -> None:
    content, network = published(case, trunks)
    found = find_network(content)
    keys = all_paths(content, found.layout)
    assert set(found.dropped) <= keys
    assert len(keys) - len(found.dropped) == len(network.state_dict())
    assert all(found.dropped.values())


def test_the_keys_beside_nested_wrappers_are_accounted_for(trunks: dict[str, nn.Module]) -> None:
    byol, _ = published("byol", trunks)
    dropped = find_network(byol).dropped
    assert {"step", "rng", "experiment_state.target_params", "experiment_state.opt_state"} <= set(dropped)
    assert dropped["projector/linear/w"] == "head of the pretraining"
    vissl, _ = published("vissl", trunks)
    assert {
        "phase",
        "iteration",
        "iteration_num",
        "loss",
        "classy_state_dict.loss",
        "classy_state_dict.optimizer",
        "classy_state_dict.train_phase_idx",
        "classy_state_dict.base_model.meta",
        "classy_state_dict.base_model.model.heads",
    } == set(find_network(vissl).dropped)


@pytest.mark.parametrize("case", CASES)
def test_a_missing_or_renamed_tensor_is_named(case: str, trunks: dict[str, nn.Module]) -> None:
    victim = VICTIMS[PUBLISHED[case][1]]
    content, network = published(case, trunks)
    mapping, key = place_of(content, network.state_dict()[victim])
    value = mapping.pop(key)
    with pytest.raises(InputError) as missing:
        find_network(content)
    assert f"lacks 1 of {rebuilt_name(network)}'s tensors" in str(missing.value)
    assert repr(victim) in str(missing.value)
    assert f"layout {PUBLISHED[case][0]!r}" in str(missing.value)
    assert "--layout" in str(missing.value)
    mapping[f"{key}_2"] = value
    with pytest.raises(InputError) as renamed:
        find_network(content, PUBLISHED[case][0])
    assert repr(victim) in str(renamed.value)
    if not PUBLISHED[case][0].startswith("lightly") or key.startswith("backbone"):
        assert f"{key}_2" in str(renamed.value)


def rebuilt_name(network: nn.Module) -> str:
    return {"ResNet": "resnet50", "EfficientNet": "tf_efficientnet_lite0"}.get(
        type(network).__name__, "vit_small_patch16_224"
    )


@pytest.mark.parametrize("case", CASES)
def test_a_tensor_of_another_shape_or_without_a_number_is_named(case: str, trunks: dict[str, nn.Module]) -> None:
    content, network = published(case, trunks)
    mapping, key = place_of(content, network.state_dict()[VICTIMS[PUBLISHED[case][1]]])
    value = mapping[key]
    if isinstance(value, torch.Tensor):
        shorter, broken = value[:-1], value.clone()
        broken[0] = float("nan")
    else:
        shorter, broken = value[..., :-1], value.copy()
        broken[..., 0] = np.inf
    file_key = key if case != "byol" else "res_net50/~/block_group_1/~/block_1/~/batchnorm_1/~/var_ema/average"
    for content_of_key, words in ((shorter, "another shape"), (broken, "NaN or infinity"), (1.0, "of type float")):
        mapping[key] = content_of_key
        with pytest.raises(InputError, match=words) as refused:
            find_network(content)
        assert repr(file_key) in str(refused.value)


@pytest.mark.parametrize(
    ("tensor", "words"),
    [
        (torch.zeros(4, dtype=torch.float64), "float64 of shape (4,)"),
        (torch.zeros(4, dtype=torch.int64), "int64 of shape (4,)"),
        (torch.zeros(4).to_sparse(), "sparse or quantised"),
        (torch.zeros(4, device="meta"), "without content"),
        (torch.tensor(0.0), "() , not"),
        (torch.full((4,), -1.0), "negative variances"),
        ("text", "of type str"),
    ],
)
def test_what_is_no_weight_is_named(tensor: Any, words: str, trunks: dict[str, nn.Module]) -> None:
    content, _ = published("plain", trunks)
    content[VICTIMS["resnet"]] = tensor
    with pytest.raises(InputError) as refused:
        find_network(content)
    assert repr(VICTIMS["resnet"]) in str(refused.value)
    assert words.replace("() ,", "(),") in str(refused.value)


def test_many_faulty_tensors_are_counted(trunks: dict[str, nn.Module]) -> None:
    content, _ = published("plain", trunks)
    for key in [key for key in content if key.startswith("layer3.")]:
        content[key] = content[key] * float("nan") if content[key].is_floating_point() else content[key]
    with pytest.raises(InputError, match=r"'layer3\.0\.bn1\.bias', .* and 17 more hold NaN or infinity"):
        find_network(content)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_stored_as_float32_with_the_same_values(
    dtype: torch.dtype, trunks: dict[str, nn.Module]
) -> None:
    content, _ = published("plain vit", trunks)
    halves = {key: tensor.to(dtype) for key, tensor in content.items()}
    found = find_network(halves)
    assert all(tensor.dtype == torch.float32 for tensor in found.tensors.values())
    assert all(torch.equal(found.tensors[key], tensor.float()) for key, tensor in halves.items())
    assert any("half precision" in note for note in found.notes)


def test_counters_that_an_older_file_lacks_are_zero(trunks: dict[str, nn.Module]) -> None:
    content, network = published("plain", trunks)
    older = {key: tensor for key, tensor in content.items() if not key.endswith("num_batches_tracked")}
    found = find_network(older)
    assert found.num_tensors == len(older)
    assert torch.equal(outputs(rebuilt(found)), outputs(network))
    assert found.tensors["bn1.num_batches_tracked"] == 0


def test_the_momentum_encoder_never_overwrites_the_base_encoder(trunks: dict[str, nn.Module]) -> None:
    content, network = published("moco v3", trunks)
    state = content["state_dict"]
    content["state_dict"] = dict(reversed(state.items()))
    found = find_network(content)
    assert torch.equal(found.tensors["conv1.weight"], network.state_dict()["conv1.weight"])
    del content["state_dict"]["module.base_encoder.conv1.weight"]
    with pytest.raises(InputError, match=r"lacks 1 of .*'conv1\.weight'"):
        find_network(content)


def test_the_student_is_taken_only_if_asked_for(trunks: dict[str, nn.Module]) -> None:
    content, network = published("dino vit", trunks)
    teacher, student = find_network(content), find_network(content, "dino_student")
    assert torch.equal(teacher.tensors["pos_embed"], network.state_dict()["pos_embed"])
    assert torch.equal(student.tensors["pos_embed"], network.state_dict()["pos_embed"] + 1)
    assert any("teacher is taken" in note for note in teacher.notes)
    assert any("student is taken" in note for note in student.notes)


def test_a_file_in_two_layouts_is_told(trunks: dict[str, nn.Module]) -> None:
    moco, network = published("moco", trunks)
    pirl, _ = published("pirl", trunks)
    both = {"state_dict": moco["state_dict"], "model": other(pirl["model"])}
    with pytest.raises(InputError) as told:
        find_network(both)
    assert "'moco'" in str(told.value)
    assert "'pycontrast'" in str(told.value)
    assert "--layout" in str(told.value)
    found = find_network(both, "moco")
    assert torch.equal(outputs(rebuilt(found)), outputs(network))
    assert found.dropped["model"] == "network in another layout"


def test_two_networks_under_two_prefixes_are_told(trunks: dict[str, nn.Module]) -> None:
    trunk = dict(trunks["resnet"].state_dict())
    both = {"state_dict": under("module.encoder_q.", trunk) | under("module.encoder.", other(trunk))}
    with pytest.raises(InputError, match="'moco' and 'simsiam'"):
        find_network(both)
    assert torch.equal(find_network(both, "moco").tensors["conv1.weight"], trunk["conv1.weight"])
    twice = {"state_dict": trunk, "model": other(trunk)}
    with pytest.raises(InputError, match="two networks in the layout 'plain'"):
        find_network(twice)


def test_simclr_and_a_classifier_are_told_apart_only_by_what_lies_beside(trunks: dict[str, nn.Module]) -> None:
    trunk = dict(trunks["resnet"].state_dict())
    fc = {"fc.weight": torch.ones(6, 32), "fc.bias": torch.ones(6)}
    with pytest.raises(InputError, match="'supervised' and 'simclr_v1', which make different networks"):
        find_network({"state_dict": trunk | fc})
    assert find_network({"state_dict": trunk | fc, "epoch": 90, "arch": "resnet50"}).layout == "supervised"
    simclr = find_network({"state_dict": trunk | fc}, "simclr_v1")
    assert (simclr.normalization, simclr.num_classes) == ("unit_range", 0)
    assert simclr.dropped == dict.fromkeys(fc, "classifier trained beside the network")


def test_what_layouts_imply_of_the_input(trunks: dict[str, nn.Module]) -> None:
    implied = {}
    for case in ("swav", "deepcluster", "simclr v2", "byol", "moco", "efficientnet"):
        found = find_network(published(case, trunks)[0])
        implied[case] = (found.normalization, found.padding)
    assert implied == {
        "swav": ("swav", "torch"),
        "deepcluster": ("swav", "torch"),
        "simclr v2": ("unit_range", "torch"),
        "byol": (None, "same"),
        "moco": (None, "torch"),
        "efficientnet": ("half", "torch"),  # the architecture has TensorFlow's padding built in
    }


@pytest.mark.parametrize("kind", ["resnet", "vit"])
@pytest.mark.parametrize("wrap", ["", "state_dict", "model"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_supervised_classifier_is_kept(kind: str, wrap: str, prefix: str, trunks: dict[str, nn.Module]) -> None:
    network = copy.deepcopy(trunks[kind])
    network.reset_classifier(5)
    state = under(prefix, dict(network.state_dict()))
    content = {wrap: state, "epoch": 3, "optimizer": published_layouts.OPTIMISER} if wrap else state
    found = find_network(content)
    assert (found.layout, found.num_classes) == ("supervised", 5)
    assert torch.equal(outputs(rebuilt(found)), outputs(network))
    state.pop(f"{prefix}{'fc' if kind == 'resnet' else 'head'}.bias")
    with pytest.raises(InputError, match=r"lacks 1 of .*bias"):
        find_network(content)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({}, "holds no tensors"),
        ({"epoch": 3}, "holds no tensors"),
        ({"weight": torch.ones(3)}, "in no known layout"),
        ({"state_dict": {"a.b": torch.ones(3)}, 3: 4}, "in no known layout"),
    ],
)
def test_what_is_no_network_is_refused(content: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        find_network(content)
    with pytest.raises(InputError):
        find_network(content, "moco")


def test_an_unknown_prefix_is_named(trunks: dict[str, nn.Module]) -> None:
    trunk = dict(trunks["resnet"].state_dict())
    with pytest.raises(InputError, match=r"after 'weights/online\.net\.'"):
        find_network({"weights": under("online.net.", trunk), "epoch": 3})


def test_an_unknown_layout_is_refused() -> None:
    with pytest.raises(InputError, match=r"there is no layout 'moco2'.*did you mean 'moco'"):
        find_network({}, "moco2")
    assert all(LAYOUTS.values())


def test_registered_backbones_name_layouts_and_agree_with_what_these_imply() -> None:
    rows = [backbone for backbone in all_backbones() if backbone.layout is not None]
    layouts = {row.name: row for row in ROWS}
    assert {backbone.layout for backbone in rows} <= LAYOUTS.keys()
    for backbone in rows:
        layout = layouts[backbone.layout or ""]
        assert layout.normalization in (None, backbone.normalization), backbone.id
        assert layout.padding in ("torch", backbone.padding), backbone.id


def test_a_surplus_tensor_is_named(trunks: dict[str, nn.Module]) -> None:
    content, _ = published("swav", trunks)
    content["module.layer1.0.se.fc.weight"] = torch.ones(3)
    with pytest.raises(InputError, match=r"does not know: 'module\.layer1\.0\.se\.fc\.weight'"):
        find_network(content)
    content, _ = published("simsiam", trunks)
    content["teacher"] = layers("encoder.0")
    with pytest.raises(InputError, match="does not know: 'teacher'"):
        find_network(content)


def shuffled(content: Any, chance: random.Random) -> Any:
    if not isinstance(content, dict):
        return content
    keys = list(content)
    chance.shuffle(keys)
    return {key: shuffled(content[key], chance) for key in keys}


@given(case=st.sampled_from(SMALL_CASES), seed=st.integers(0, 2**16))
@settings(max_examples=25)
def test_the_order_of_keys_does_not_matter(case: str, seed: int, trunks: dict[str, nn.Module]) -> None:
    content, _ = published(case, trunks)
    found, again = find_network(content), find_network(shuffled(content, random.Random(seed)))
    assert found.layout == again.layout
    assert found.dropped == again.dropped
    assert all(torch.equal(again.tensors[name], tensor) for name, tensor in found.tensors.items())


@given(
    case=st.sampled_from([case for case in SMALL_CASES if case != "byol"]),
    prefix=st.sampled_from(["module.", "backbone.", "encoder.", "x.", "_feature_blocks.", "momentum_"]),
    share=st.sampled_from([0.002, 0.02, 0.3]),
    seed=st.integers(0, 2**16),
)
@settings(max_examples=50)
def test_prefixes_before_some_keys_never_make_another_network(
    case: str, prefix: str, share: float, seed: int, trunks: dict[str, nn.Module]
) -> None:
    """Whichever tensors get a prefix, the trunk's own are found, or nothing is."""
    content, network = published(case, trunks)
    chance = random.Random(seed)
    for mapping in list(mappings(content)):
        if all(isinstance(value, torch.Tensor) for value in mapping.values()):
            for key in [key for key in mapping if chance.random() < share]:
                mapping[prefix + key] = mapping.pop(key)
    try:
        found = find_network(content)
    except InputError as error:
        assert len(str(error)) < 1500
        return
    weights = {name: each for name, each in network.state_dict().items() if not name.endswith("num_batches_tracked")}
    assert all(torch.equal(found.tensors[name], tensor) for name, tensor in weights.items())


WEIRD = (
    None,
    1,
    "text",
    [],
    {},
    (torch.ones(2), {"a": torch.ones(2)}),
    torch.tensor(1.0),
    torch.zeros(0, 3),
    torch.ones(3),
    torch.ones(2, 3),
    torch.ones(1, 1, 1, 1),
    torch.ones(2, 3, 5, 7),
    torch.ones(2, dtype=torch.complex64),
    np.array(["text"]),
    np.float32(3),
)
"""What a damaged or forged file may hold instead of a tensor."""


@given(case=st.sampled_from(SMALL_CASES), number=st.sampled_from([1, 3, 60]), seed=st.integers(0, 2**16))
@settings(max_examples=40)
def test_whatever_a_file_holds_is_a_network_or_refused_in_a_sentence(
    case: str, number: int, seed: int, trunks: dict[str, nn.Module]
) -> None:
    content, _ = published(case, trunks)
    chance = random.Random(seed)
    for _ in range(number):
        if not (filled := [each for each in mappings(content) if each]):
            break
        mapping = chance.choice(filled)
        key = chance.choice(list(mapping))
        if chance.random() < 0.3:
            del mapping[key]
        else:
            mapping[chance.choice([key, key, 3, "norm.weight", "blocks.9.norm1.weight"])] = chance.choice(WEIRD)
    try:
        find_network(content, chance.choice([None, None, PUBLISHED[case][0]]))
    except InputError as error:
        assert len(str(error)) < 2000


@pytest.mark.slow
@pytest.mark.parametrize("case", SMALL_CASES)
def test_a_network_of_the_true_size_converts_back_to_the_bit(case: str) -> None:
    layout, kind, write = PUBLISHED[case]
    if kind == "resnet":
        network = published_layouts.randomised(timm.create_model("resnet50", pretrained=False, num_classes=0))
    else:
        network = small_trunk("vit", layout, img_size=224, embed_dim=192, depth=12, num_heads=3)
    found = find_network(write(dict(network.state_dict())))
    assert found.architecture == ("resnet50" if kind == "resnet" else "vit_tiny_patch16_224")
    assert found.num_tensors == (265 if kind == "resnet" else len(network.state_dict()))
    assert found.num_features == (2048 if kind == "resnet" else 192)
    if layout != "ijepa":
        assert found.model_args == {}
    assert torch.equal(outputs(rebuilt(found), 224), outputs(network, 224))
