"""Learning rates, weight decay and their schedules, as the optimiser sees them while real networks train."""

import math
from pathlib import Path
from typing import Any, ClassVar

import pytest
import timm
import torch
from prepared_cells import prepared_cell
from timm.optim import param_groups_layer_decay
from transformers import AutoModelForImageClassification, TrainerCallback

from hf_sslgen.geometry import Geometry
from hf_sslgen.study.protocols.finetuned import grid_points, resolved, training_arguments
from hf_sslgen.study.protocols.presets import FineTuningProtocol, get_protocol
from hf_sslgen.training.optimisation import layer_scales, optimiser_of_architecture
from hf_sslgen.training.trainer import FineTuningTrainer
from hf_sslgen.training.trainer_setup import build_trainer

KINDS = ("timm_resnet", "timm_vit", "transformers_resnet", "transformers_vit")


def trainer_of(
    name: str, domain: Any, folder: Path, preset: str, overrides: dict[str, Any], point: int = 0
) -> FineTuningTrainer:
    """The Trainer of one point of a protocol's grid."""
    protocol = get_protocol(preset, overrides)
    assert isinstance(protocol, FineTuningProtocol)
    cell = prepared_cell(name, domain, protocol, geometry=Geometry(32, 1.0, "bilinear"))
    protocol = resolved(cell, protocol)
    _, rate, decay = list(grid_points(protocol))[point]
    return build_trainer(cell.load(), domain, *training_arguments(cell, protocol, rate, decay, folder))


def largest_rate(optimiser: torch.optim.Optimizer) -> float:
    return max(group["lr"] for group in optimiser.param_groups)


def rates(trainer: FineTuningTrainer, num_steps: int) -> list[float]:
    """The largest learning rate of every step, without training."""
    trainer.create_optimizer_and_scheduler(num_steps)
    optimiser, scheduler = trainer.optimizer, trainer.lr_scheduler
    assert optimiser is not None and scheduler is not None
    seen = []
    for _ in range(num_steps):
        seen.append(largest_rate(optimiser))
        optimiser.step()
        scheduler.step()
    return seen


def test_the_trainer_follows_a_schedule_step_by_step(
    small_backbones: dict[str, str], digits_domain: Any, tmp_path: Path
) -> None:
    class Rates(TrainerCallback):
        seen: ClassVar[list[float]] = []

        def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self.seen.append(largest_rate(kwargs["optimizer"]))

    overrides = {"max_steps": 5, "batch_size": 4, "warmup_steps": 2, "step_milestones": [3]}
    trainer = trainer_of(small_backbones["transformers_vit"], digits_domain, tmp_path, "vtab-1k", overrides)
    trainer.add_callback(Rates())
    trainer.train()
    assert Rates.seen == pytest.approx([0, 0.005, 0.01, 0.01, 0.001])


def test_cosine_to_zero_step_by_step(small_backbones: dict[str, str], digits_domain: Any, tmp_path: Path) -> None:
    seen = rates(trainer_of(small_backbones["timm_resnet"], digits_domain, tmp_path, "ssl-transfer", {}), 5000)
    assert seen == pytest.approx([0.1 * (1 + math.cos(math.pi * step / 5000)) / 2 for step in range(5000)])


def test_steps_after_a_linear_warm_up(small_backbones: dict[str, str], digits_domain: Any, tmp_path: Path) -> None:
    seen = rates(trainer_of(small_backbones["timm_resnet"], digits_domain, tmp_path, "vtab-1k", {}), 1000)
    expected = {0: 0, 1: 0.01 / 80, 40: 0.005, 79: 0.01 * 79 / 80, 80: 0.01, 300: 0.01, 301: 1e-3, 600: 1e-3}
    expected |= {601: 1e-4, 900: 1e-4, 901: 1e-5, 999: 1e-5}
    assert {step: seen[step] for step in expected} == pytest.approx(expected)


def test_warm_up_by_a_share_of_the_steps(small_backbones: dict[str, str], digits_domain: Any, tmp_path: Path) -> None:
    seen = rates(trainer_of(small_backbones["timm_vit"], digits_domain, tmp_path, "full", {}), 20)
    factors = [0, 0.5, *((1 + math.cos(math.pi * step / 18)) / 2 for step in range(18))]
    assert seen == pytest.approx([1e-4 * factor for factor in factors])


def test_weight_decay_is_over_the_learning_rate_and_everywhere(
    small_backbones: dict[str, str], digits_domain: Any, tmp_path: Path
) -> None:
    protocol = get_protocol("ssl-transfer")
    assert isinstance(protocol, FineTuningProtocol)
    points = list(grid_points(protocol))
    assert len(points) == 20
    for point, rate, decay in points:
        assert decay * rate == pytest.approx(point["weight_decay_times_learning_rate"])
    trainer = trainer_of(small_backbones["timm_resnet"], digits_domain, tmp_path, "ssl-transfer", {}, point=9)
    optimiser = trainer.create_optimizer()
    (group,) = optimiser.param_groups
    assert isinstance(optimiser, torch.optim.SGD)
    assert (group["lr"], group["momentum"], group["nesterov"]) == (0.01, 0.9, True)
    assert group["weight_decay"] == pytest.approx(1e-3 / 0.01)
    assert len(group["params"]) == len(list(trainer.pretrained_model.parameters()))


@pytest.mark.parametrize("name", ["timm_resnet", "transformers_vit"])
def test_the_default_protocol_trains_as_the_trainer_does(
    name: str, small_backbones: dict[str, str], digits_domain: Any, tmp_path: Path
) -> None:
    overrides = {"max_steps": 2, "batch_size": 4, "weight_decays": [0.1]}
    ours = trainer_of(small_backbones[name], digits_domain, tmp_path / "ours", "finetune", overrides)
    plain = trainer_of(small_backbones[name], digits_domain, tmp_path / "plain", "finetune", overrides)
    plain.optimisation = None
    for trainer in (ours, plain):
        trainer.train()
    theirs = plain.pretrained_model.state_dict()
    for key, value in ours.pretrained_model.state_dict().items():
        assert torch.equal(value, theirs[key]), key


@pytest.mark.parametrize("name", KINDS)
def test_optimiser_and_layer_decay_follow_the_architecture(
    name: str, small_backbones: dict[str, str], digits_domain: Any, tmp_path: Path
) -> None:
    optimiser = trainer_of(small_backbones[name], digits_domain, tmp_path, "full", {}).create_optimizer()
    learning_rates = sorted({group["lr"] for group in optimiser.param_groups}, reverse=True)
    if name.endswith("vit"):
        assert isinstance(optimiser, torch.optim.AdamW)
        assert learning_rates == pytest.approx([1e-4 * 0.75**power for power in range(4)])  # two blocks
        assert {group["weight_decay"] for group in optimiser.param_groups} == {0.0, 0.05}
    else:
        assert isinstance(optimiser, torch.optim.SGD)
        assert learning_rates == pytest.approx([3e-3])
        assert {group["weight_decay"] for group in optimiser.param_groups} == {0.0, 1e-4}


@pytest.mark.parametrize(
    ("architecture", "optimiser"),
    [
        ("resnet18", "sgd"),
        ("regnety_002", "sgd"),
        ("efficientnet_b0", "sgd"),
        ("convnext_atto", "adamw"),
        ("swin_tiny_patch4_window7_224", "adamw"),
        ("vit_tiny_patch16_224", "adamw"),
    ],
)
def test_optimiser_of_published_architectures(architecture: str, optimiser: str) -> None:
    with torch.device("meta"):
        network = timm.create_model(architecture, pretrained=False)
    assert optimiser_of_architecture(network) == optimiser


def test_layer_scales_are_those_of_timm(small_backbones: dict[str, str]) -> None:
    model = AutoModelForImageClassification.from_pretrained(small_backbones["timm_vit"], num_labels=10)
    scales = layer_scales(model, 0.5)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    expected = {}
    for group in param_groups_layer_decay(model.timm_model, layer_decay=0.5):
        expected |= {names[id(parameter)]: group["lr_scale"] for parameter in group["params"]}
    assert set(scales) == set(expected)
    # timm counts the final normalisation with the last block; BEiT and MAE, followed here, with the classifier.
    apart = {name for name in scales if scales[name] != expected[name]}
    assert all(name.startswith("timm_model.norm.") for name in apart), apart
    head, last, first, embedding = (
        scales[f"timm_model.{name}"]
        for name in ("head.weight", "blocks.1.mlp.fc1.weight", "blocks.0.norm1.bias", "cls_token")
    )
    assert (head, last, first, embedding) == (1, 0.5, 0.25, 0.125)
    other = AutoModelForImageClassification.from_pretrained(small_backbones["timm_resnet"], num_labels=10)
    assert layer_scales(other, 0.5) == {}


def test_gradients_are_clipped_only_where_the_protocol_says(
    small_backbones: dict[str, str], digits_domain: Any, tmp_path: Path
) -> None:
    name = small_backbones["timm_resnet"]
    clipped, free = (
        trainer_of(name, digits_domain, tmp_path / preset, preset, {}).args.max_grad_norm
        for preset in ("finetune", "ssl-transfer")
    )
    assert (clipped, free) == (1.0, 0.0)
