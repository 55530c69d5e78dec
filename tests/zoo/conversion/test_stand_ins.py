"""Small random networks in true layouts: recognised, finite, different between images, and the same for a seed."""

from pathlib import Path

import numpy as np
import pytest
import torch

from hf_sslgen.errors import InputError
from hf_sslgen.zoo.conversion import stand_ins
from hf_sslgen.zoo.conversion.checkpoint_file import read_checkpoint_file
from hf_sslgen.zoo.conversion.layouts import LAYOUTS, find_network
from hf_sslgen.zoo.conversion.stand_in_contents import CONTENTS, VIT_ALONE, VIT_TOO
from hf_sslgen.zoo.conversion.stand_ins import SIDE, Trunk, natural_noise, write_stand_in

KINDS: list[tuple[str, Trunk]] = [(layout, "resnet") for layout in CONTENTS if layout not in VIT_ALONE]
KINDS += [(layout, "vit") for layout in CONTENTS if layout in VIT_ALONE | VIT_TOO]

NOT_RECOGNISED = ("simclr_v1", "dino_student")
"""Layouts that a file fits beside another one, or that are never taken unless asked for."""


@pytest.fixture(scope="module")
def small_resnet50() -> torch.nn.Module:
    return stand_ins.small_resnet50()


@pytest.mark.parametrize(("layout", "trunk"), KINDS)
def test_a_stand_in_is_small_and_recognised(
    layout: str, trunk: Trunk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, small_resnet50: torch.nn.Module
) -> None:
    monkeypatch.setattr(stand_ins, "small_resnet50", lambda: small_resnet50)  # made once for all layouts
    path = tmp_path / "stand_in"
    network = write_stand_in(layout, path, seed=1, trunk=trunk)
    assert path.stat().st_size < 1_000_000
    found = find_network(read_checkpoint_file(path).content, layout if layout in NOT_RECOGNISED else None)
    assert found.layout == layout
    assert found.dropped or layout in ("plain", "supervised", "transformers")
    state = network.state_dict()
    weights = [name for name in state if not name.endswith("num_batches_tracked")]
    assert all(torch.equal(found.tensors[name], state[name]) for name in weights)
    if trunk == "resnet":
        assert len(weights) == 265
    with torch.no_grad():
        features = network(natural_noise(8))
    assert bool(torch.isfinite(features).all())
    correlations = np.corrcoef(features.numpy() - features.mean(0).numpy())
    assert np.abs(correlations[np.triu_indices(8, 1)]).mean() < 0.9
    assert (features.std(0) > 1e-3 * features.abs().max()).float().mean() > 0.5


def test_running_statistics_are_those_of_the_activations(tmp_path: Path) -> None:
    network = write_stand_in("moco", tmp_path / "stand_in")
    seen: dict[str, tuple[float, float]] = {}

    def compare(name: str, module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        deviation = module.running_var.sqrt()
        seen[name] = (
            float(((inputs[0].mean((0, 2, 3)) - module.running_mean) / deviation).abs().mean()),
            float((inputs[0].std((0, 2, 3)) / deviation).log().abs().mean()),
        )

    for name, module in network.named_modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.register_forward_pre_hook(lambda module, inputs, name=name: compare(name, module, inputs))
    with torch.no_grad():
        network(natural_noise(32))
    assert len(seen) == 53
    assert max(mean for mean, _ in seen.values()) < 0.7
    assert max(deviation for _, deviation in seen.values()) < 0.7


@pytest.mark.parametrize("layout", ["moco", "byol", "ijepa"])
def test_equal_seeds_give_equal_files(layout: str, tmp_path: Path) -> None:
    for name, seed in (("a", 3), ("b.pth", 3), ("c", 4)):
        write_stand_in(layout, tmp_path / name, seed)
    contents = [(tmp_path / name).read_bytes() for name in ("a", "b.pth", "c")]
    assert contents[0] == contents[1] != contents[2]


def test_what_has_no_stand_in_is_refused(tmp_path: Path) -> None:
    assert set(LAYOUTS) - set(CONTENTS) == {"efficientnet_pytorch"}
    with pytest.raises(InputError, match=r"no stand-in in a layout 'moco_v2'.*did you mean 'moco"):
        write_stand_in("moco_v2", tmp_path / "a")
    with pytest.raises(InputError, match="trunk 'vit' is not published in the layout 'byol'"):
        write_stand_in("byol", tmp_path / "a", trunk="vit")
    with pytest.raises(InputError, match="trunk 'resnet' is not published in the layout 'mae'"):
        write_stand_in("mae", tmp_path / "a", trunk="resnet")
    assert list(tmp_path.iterdir()) == []
    assert SIDE <= 64
