"""The folder of a finished twin: weights that load, what it was trained with, curves and card."""

import json
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from hf_sslgen.commands.run_pretrain import _command_to_repeat
from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.domains.domain_loading import load_domain
from hf_sslgen.domains.pretraining_source import PretrainingSource
from hf_sslgen.reporting.figures.figure_style import figure_png
from hf_sslgen.reporting.figures.pretraining_curves import pretraining_curves
from hf_sslgen.reporting.twin_folder import Launch, export_twin
from hf_sslgen.training.pretraining.objectives import OBJECTIVES
from hf_sslgen.training.pretraining.pretraining_state import PretrainingSettings, build_trunk
from hf_sslgen.zoo.backbone_loading import load_backbone

LOG = [
    {"epoch": 1, "loss": 2.5, "seconds": 1.0},
    {"epoch": 2, "loss": 1.25, "seconds": 1.0, "knn_accuracy": 0.375},
]
SAYS = {
    "supervised": "cross-entropy of a linear classifier; one view of each image",
    "simclr": "NT-Xent at temperature 0.2",
    "barlow-twins": "off-diagonal weight 0.005",
    "byol": "momentum rises from 0.99 to 1",
}


@pytest.fixture(scope="module")
def source():
    domain = load_domain(DomainArguments("photo-patches", samples_per_class=6, max_test_samples=60))
    return PretrainingSource("my_pictures", domain.class_names, domain.train, domain.test, domain.taken)


def settings_for(objective: str) -> PretrainingSettings:
    arguments = {"channels": [8, 8, 8, 16]}
    return PretrainingSettings(objective, "resnet18", arguments, image_size=32, view_size=24, num_train_epochs=2)


@pytest.fixture
def exported(source, tmp_path):
    """A twin that was never trained, in its folder."""

    def export(objective, launch=None, log=None, watched=True, variance=1.0):
        settings = settings_for(objective)
        (tmp_path / "log.json").write_text(json.dumps(log or LOG))
        launch = launch or Launch("python recipes/pretrain.py --objective x", 1, None)
        trunk = build_trunk(settings)
        trunk.bn1.running_var.fill_(variance)
        folder = export_twin(trunk, settings, source, tmp_path, launch, (lambda _: 0.125) if watched else None)
        return folder, trunk, (folder / "README.md").read_text(encoding="utf-8")

    return export


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_the_card_of_every_objective_says_how_it_was_trained(objective, exported):
    _, _, card = exported(objective)
    assert SAYS[objective] in card
    assert not any(SAYS[other] in card for other in OBJECTIVES if other != objective)
    assert ("self-supervised-learning" in card) == (objective != "supervised")
    assert "\n    python recipes/pretrain.py --objective x\n" in card
    assert "| Views | 24 px:" in card
    assert "| Batch | 256 images, one process |" in card
    assert f"| PyTorch | {torch.__version__} |" in card
    assert "![Loss and k-NN accuracy by epoch](curves.png)" in card
    assert "initial weights\n12.5%, epoch 2 37.5%." in card
    assert "image-net.org" not in card  # the terms of another source are not those of ImageNet
    assert "None" not in card
    assert "\n\n\n" not in card


def test_the_card_tells_of_several_processes_and_of_a_plan(exported):
    _, _, card = exported("byol", Launch("torchrun --nproc_per_node 2 recipes/pretrain.py", 2, 30.0))
    assert "256 images in each of 2 processes, batch normalisation per process" in card
    assert "give `--num_train_epochs 2` instead" in card


def test_without_a_monitor_the_card_tells_the_loss_alone(exported):
    _, _, card = exported("simclr", log=[{"epoch": 1, "loss": 2.5, "seconds": 1.0}], watched=False)
    assert "![Loss by epoch](curves.png)" in card
    assert "initial weights" not in card.split("PyTorch")[1].replace("the initial weights of the trunk", "")


def test_the_twin_loads_and_gives_the_trunks_features(exported, source):
    folder, trunk, _ = exported("simclr")
    backbone = load_backbone(str(folder), source.class_names)
    assert backbone.preprocessing.geometry.image_size == 32
    pixels = torch.randn(4, 3, 32, 32)
    with torch.no_grad():
        found = backbone.model(pixels, output_hidden_states=True).hidden_states[-1].mean((2, 3))
        torch.testing.assert_close(found, trunk.eval()(pixels), rtol=2e-2, atol=2e-2)  # half precision on disk
    training = json.loads((folder / "training.json").read_text())
    assert training["settings"]["objective"] == "simclr"
    assert training["log"] == LOG
    assert training["initial_knn_accuracy"] == 0.125
    for name in ("knn_accuracy", "untrained_knn_accuracy"):
        assert training[name]["n"] == 60
        assert training[name]["low"] <= training[name]["value"] <= training[name]["high"]


def test_curves_are_drawn_with_and_without_k_nn():
    def columns_with_ink(figure):
        pixels = np.asarray(Image.open(BytesIO(figure_png(figure))).convert("L"))
        return np.flatnonzero((pixels < 128).any(0))

    both = pretraining_curves(LOG, "byol", 0.125)
    assert [axes.get_title("left") for axes in both.axes] == [
        "Training loss, byol",
        "k-NN accuracy on held-out source images (%)",
    ]
    line = both.axes[1].lines[-1]
    assert list(line.get_xdata()) == [0, 2]
    assert list(line.get_ydata()) == [12.5, 37.5]
    assert len(pretraining_curves(LOG[:1], "byol", None).axes) == 1
    assert len(columns_with_ink(both)) > 0


def test_the_command_to_repeat_names_the_launcher_and_no_folder_of_this_disk(tmp_path):
    options = ["--dataset_name", str(tmp_path), f"--output_dir={tmp_path}/runs/one", "--seed", "3"]
    expected = f"recipes/pretrain.py --dataset_name {tmp_path.name} --output_dir=one --seed 3"
    assert _command_to_repeat(options, 1, "cpu") == f"python {expected}"
    assert _command_to_repeat(options, 2, "cpu") == f"ACCELERATE_USE_CPU=1 torchrun --nproc_per_node 2 {expected}"
    assert _command_to_repeat(options, 4, "cuda") == f"torchrun --nproc_per_node 4 {expected}"


def test_values_beyond_half_precision_are_kept(exported):
    folder, trunk, _ = exported("simclr", watched=False, variance=70_000.0)
    stored = load_file(folder / "model.safetensors")
    assert torch.equal(stored["bn1.running_var"], trunk.bn1.running_var)
    assert stored["conv1.weight"].dtype == torch.float16
