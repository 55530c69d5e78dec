"""Write a finished twin as a folder that loads like any backbone: weights, training settings, curves and card."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from hf_sslgen.analysis.analysis_settings import AnalysisSettings
from hf_sslgen.analysis.network import default_device, place
from hf_sslgen.analysis.one_pass import split_features
from hf_sslgen.domains.pretraining_source import PretrainingSource
from hf_sslgen.files import replace_files, write_json
from hf_sslgen.metrics import Estimate, accuracy
from hf_sslgen.metrics.comparison import estimate_of
from hf_sslgen.reporting.cards import write_card
from hf_sslgen.reporting.figures.figure_style import figure_png
from hf_sslgen.reporting.figures.pretraining_curves import pretraining_curves
from hf_sslgen.training.augmentation import IMAGENET_MEAN, IMAGENET_STD
from hf_sslgen.training.pretraining.pretraining_checkpoint import LOG_FILE
from hf_sslgen.training.pretraining.pretraining_state import Monitor, PretrainingSettings, build_trunk
from hf_sslgen.training.pretraining.source_knn import BANK_SIZE
from hf_sslgen.training.probes import knn_predictions
from hf_sslgen.zoo.backbone_loading import load_backbone
from hf_sslgen.zoo.locations import UNTRAINED_PREFIX
from hf_sslgen.zoo.timm_folder import write_timm_folder

TWIN_FOLDER = "twin"
TRAINING_FILE = "training.json"
CURVES_FILE = "curves.png"
CARD_FILE = "README.md"


@dataclass(frozen=True)
class Launch:
    """How training was started: the command, the number of processes, and the planned time."""

    command: str
    num_processes: int
    target_minutes: float | None


def source_knn(name: str, source: PretrainingSource, seed: int) -> Estimate:
    """Return k-NN accuracy on the source's held-out split, with its exact interval over these images."""
    backbone = load_backbone(name, source.class_names, seed=seed, match="none")
    place(backbone)
    settings = AnalysisSettings(batch_size=256)
    train, held_out = (split_features(backbone, split, settings) for split in (source.train, source.held_out))
    predictions = knn_predictions(train, source.train.labels, held_out, len(source.class_names))
    return estimate_of(accuracy(predictions, source.held_out.labels), "accuracy")


def _write_weights(folder: Path, trunk: Any, settings: PretrainingSettings) -> None:
    pretrained_cfg = {
        "input_size": [3, settings.image_size, settings.image_size],
        "mean": list(IMAGENET_MEAN),
        "std": list(IMAGENET_STD),
        "interpolation": "bilinear",
        "crop_pct": 1.0,
        "crop_mode": "center",
        "num_classes": 0,
    }
    write_timm_folder(
        folder,
        trunk.state_dict(),
        settings.architecture,
        trunk.num_features,
        settings.architecture_arguments,
        pretrained_cfg,
        dtype=torch.float16,
    )


def export_twin(
    trunk: Any,
    settings: PretrainingSettings,
    source: PretrainingSource,
    output_dir: Path,
    launch: Launch,
    monitor: Monitor | None,
) -> Path:
    """Write `output_dir/twin`, completely or not at all, and measure it and the untrained network; returns the folder.

    Args:
        trunk: the trained network, on the CPU.
        monitor: measures k-NN accuracy during training, and here that of the initial weights; None skips this.
    """
    folder = output_dir / TWIN_FOLDER
    with replace_files(folder) as unfinished:
        _write_twin(trunk, settings, source, output_dir / LOG_FILE, unfinished, launch, monitor)
    return folder


def _write_twin(
    trunk: Any,
    settings: PretrainingSettings,
    source: PretrainingSource,
    log_file: Path,
    folder: Path,
    launch: Launch,
    monitor: Monitor | None,
) -> None:
    _write_weights(folder, trunk, settings)
    knn = source_knn(str(folder), source, settings.seed)
    untrained = source_knn(f"{UNTRAINED_PREFIX}{folder}", source, settings.seed)
    log = json.loads(log_file.read_text(encoding="utf-8"))
    initial = monitor(build_trunk(settings).to(default_device()).eval()) if monitor is not None else None
    curves = pretraining_curves(log, settings.objective, initial)
    (folder / CURVES_FILE).write_bytes(figure_png(curves))
    values = {
        "name": f"{settings.architecture} {settings.objective}",
        "settings": settings,
        "launch": launch,
        "parameters": sum(parameter.numel() for parameter in trunk.parameters()),
        "num_features": trunk.num_features,
        "source": source.name,
        "num_images": len(source.train),
        "num_classes": len(source.class_names),
        "num_validation": len(source.held_out),
        "bank_size": min(BANK_SIZE, len(source.train)),
        "log": log,
        "initial": initial,
        "knn": knn,
        "untrained": untrained,
        "torch_version": torch.__version__,
        "curves": CURVES_FILE,
    }
    write_card("twin.md", values, folder / CARD_FILE)
    training = {
        "settings": dataclasses.asdict(settings),
        **dataclasses.asdict(launch),
        "torch": torch.__version__,
        "taken": source.taken.as_json(),
        "log": log,
        "initial_knn_accuracy": initial,
        "knn_accuracy": knn.to_dict(),
        "untrained_knn_accuracy": untrained.to_dict(),
    }
    write_json(folder / TRAINING_FILE, training)
    print(f"source k-NN accuracy: {knn.value:.3f} [{knn.low:.3f}, {knn.high:.3f}], untrained {untrained.value:.3f}")
