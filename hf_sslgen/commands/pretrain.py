"""The pretraining command, as `recipes/pretrain.py` runs it under Accelerate."""

import dataclasses
import json
import logging
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list

from hf_sslgen.analysis.forward import place, run_split
from hf_sslgen.domains.arguments import DomainArguments
from hf_sslgen.domains.pretraining_source import PretrainingSource, load_pretraining_source
from hf_sslgen.files import write_json
from hf_sslgen.metrics import Estimate, bootstrap_interval, mean_statistic
from hf_sslgen.preprocessing import Geometry, Preprocessing
from hf_sslgen.reporting.cards import write_card
from hf_sslgen.reporting.figure_style import figure_png
from hf_sslgen.reporting.pretraining_curves import pretraining_curves
from hf_sslgen.training.augmentation import IMAGENET_MEAN, IMAGENET_STD
from hf_sslgen.training.configuration import parse_arguments
from hf_sslgen.training.pretraining import PretrainingSettings, epochs_for_budget, pretrain
from hf_sslgen.training.probes import knn_predictions
from hf_sslgen.training.samples import SourceImages
from hf_sslgen.training.source_knn import knn_monitor
from hf_sslgen.zoo.loading import UNTRAINED, load_backbone
from hf_sslgen.zoo.timm_folder import write_timm_folder

logger = logging.getLogger(__name__)

CURVES_DPI = 110


@dataclass(frozen=True)
class PretrainArguments:
    """One twin; its siblings are trained with the same options but another objective."""

    objective: Literal["supervised", "simclr", "barlow-twins", "byol"] = field(
        metadata={"help": "What the network is trained for."}
    )
    output_dir: str = field(metadata={"help": "Receives checkpoint.pt, log.json and the finished twin/ folder."})
    architecture: str = field(default="resnet18", metadata={"help": "A timm architecture."})
    architecture_arguments: dict[str, Any] | str = field(
        default_factory=dict, metadata={"help": "Keyword arguments of timm.create_model, as JSON."}
    )
    image_size: int = field(default=64, metadata={"help": "Side of the input in pixels."})
    view_size: int | None = field(
        default=None, metadata={"help": "Side of the random views it is trained on (default: image_size)."}
    )
    num_train_epochs: int = field(default=10, metadata={"help": "Epochs."})
    target_minutes: float | None = field(
        default=None,
        metadata={
            "help": "Instead of num_train_epochs: time a few steps and train for as many epochs as fit. The number is "
            "kept in plan.json; give it to the twins as num_train_epochs."
        },
    )
    per_device_train_batch_size: int = field(default=256, metadata={"help": "Images per process and step."})
    learning_rate: float = field(default=0.2, metadata={"help": "Largest learning rate of SGD."})
    weight_decay: float = field(default=5e-4, metadata={"help": "Weight decay."})
    warmup_epochs: float = field(default=1.0, metadata={"help": "Epochs of linear warm-up."})
    temperature: float = field(default=0.2, metadata={"help": "Temperature of SimCLR's loss."})
    teacher_momentum: float = field(default=0.99, metadata={"help": "Momentum of BYOL's teacher at the beginning."})
    mixed_precision: Literal["no", "bf16", "fp16"] = field(default="no", metadata={"help": "Autocast precision."})
    seed: int = field(default=0, metadata={"help": "Initial weights, order and views."})
    dataloader_num_workers: int = field(default=0, metadata={"help": "Processes that read images."})
    knn_epochs: int = field(
        default=5, metadata={"help": "Every so many epochs, k-NN accuracy on held-out images of the source; 0: never."}
    )
    save_minutes: float = field(default=5.0, metadata={"help": "Save within an epoch after so many minutes."})


def source_knn(folder: str, source: PretrainingSource, seed: int) -> Estimate:
    """k-NN accuracy on the source's held-out split, with a bootstrap interval over its images."""
    backbone = load_backbone(folder, source.class_names, seed=seed)
    place(backbone)
    train, held_out = (run_split(backbone, split, 256).features for split in (source.train, source.held_out))
    predictions = knn_predictions(train, source.train.labels, held_out, len(source.class_names))
    correct = (predictions == source.held_out.labels).astype(float)
    return bootstrap_interval(mean_statistic(correct), len(correct))


def export_twin(
    trunk: Any, settings: PretrainingSettings, source: PretrainingSource, output_dir: Path, command: str
) -> Path:
    """Write the trunk as a timm folder with its card; returns the folder."""
    folder = output_dir / "twin"
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
    knn = source_knn(str(folder), source, settings.seed)
    untrained = source_knn(f"{UNTRAINED}{folder}", source, settings.seed)
    log = json.loads((output_dir / "log.json").read_text(encoding="utf-8"))
    results = {"knn_accuracy": knn.to_dict(), "untrained_knn_accuracy": untrained.to_dict()}
    write_json(
        folder / "training.json",
        {
            "settings": dataclasses.asdict(settings),
            "command": command,
            "torch": torch.__version__,
            "log": log,
            **results,
        },
    )
    curves = pretraining_curves(log, settings.objective, untrained.value)
    (folder / "curves.png").write_bytes(figure_png(curves, CURVES_DPI))
    values = {
        "name": f"{settings.architecture} {settings.objective}",
        "settings": settings,
        "parameters": sum(parameter.numel() for parameter in trunk.parameters()),
        "source": source.name,
        "num_images": len(source.train),
        "num_classes": len(source.class_names),
        "num_validation": len(source.held_out),
        "log": log,
        "knn": knn,
        "untrained": untrained,
        "command": command,
    }
    write_card("twin.md", values, folder / "README.md")
    print(f"source k-NN accuracy: {knn.value:.3f} [{knn.low:.3f}, {knn.high:.3f}], untrained {untrained.value:.3f}")
    return folder


def planned_epochs(
    images: SourceImages, num_classes: int, settings: PretrainingSettings, minutes: float, output_dir: Path
) -> int:
    """The epochs that fit into the time; those of `output_dir/plan.json` where training was planned before."""
    path = output_dir / "plan.json"
    state = PartialState()
    planned: list[Any] = [None]
    if state.is_main_process and path.exists():
        planned[0] = json.loads(path.read_text(encoding="utf-8"))["num_train_epochs"]
    if broadcast_object_list(planned)[0] is None:
        epochs, seconds = epochs_for_budget(images, len(images), num_classes, settings, minutes)
        planned[0] = epochs
        if state.is_main_process:
            plan = {"target_minutes": minutes, "seconds_per_step": round(seconds, 4), "num_train_epochs": epochs}
            write_json(path, plan)
            logger.info("%d epochs fit into %g minutes (%.3f s a step)", epochs, minutes, seconds)
    return int(broadcast_object_list(planned)[0])


def main(command_line: Sequence[str] | None = None) -> None:
    """Parse, train, export."""
    arguments, domain_arguments = parse_arguments(
        (PretrainArguments, DomainArguments), "Pretrain one twin on a source of images.", command_line
    )
    names = {item.name for item in dataclasses.fields(PretrainingSettings)}
    settings = PretrainingSettings(**{k: v for k, v in vars(arguments).items() if k in names})
    source = load_pretraining_source(domain_arguments)
    output_dir = Path(arguments.output_dir)
    preprocessing = Preprocessing(Geometry(settings.image_size, 1.0, "bilinear"), IMAGENET_MEAN, IMAGENET_STD)
    images, num_classes = SourceImages(source.train, preprocessing.geometry), len(source.class_names)
    if arguments.target_minutes is not None:
        epochs = planned_epochs(images, num_classes, settings, arguments.target_minutes, output_dir)
        settings = dataclasses.replace(settings, num_train_epochs=epochs)
    trunk = pretrain(
        images,
        len(images),
        num_classes,
        settings,
        output_dir,
        arguments.dataloader_num_workers,
        knn_monitor(images, source.held_out, num_classes, preprocessing),
        arguments.knn_epochs,
        arguments.save_minutes,
    )
    if PartialState().is_main_process:
        options = sys.argv[1:] if command_line is None else command_line
        command = f"accelerate launch recipes/pretrain.py {shlex.join(_without_folder(options))}"
        export_twin(trunk, settings, source, output_dir, command)


def _without_folder(options: Sequence[str]) -> list[str]:
    """The options with the source's own folder name only, so that a card tells nothing of somebody's disk."""
    return [Path(option).name if Path(option).is_dir() else option for option in options]
