"""Loading a backbone as a classifier: by Hub id, from a folder, shipped with the package, or untrained."""

import hashlib
import logging
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import timm
import torch
from timm.data import resolve_data_config
from torch import nn
from transformers import AutoConfig, AutoImageProcessor, AutoModelForImageClassification, PreTrainedModel
from transformers.models.timm_wrapper.configuration_timm_wrapper import TimmWrapperConfig

from hf_sslgen.errors import InputError, nearest_names
from hf_sslgen.preprocessing import Geometry, Preprocessing
from hf_sslgen.randomness import derive_seed
from hf_sslgen.zoo.anatomy import find_classifier
from hf_sslgen.zoo.registry import Backbone, excluded_reason, find_backbone, known_backbone_ids
from hf_sslgen.zoo.timm_folder import write_timm_folder

logger = logging.getLogger(__name__)

UNTRAINED = "untrained:"
"""Prefix of a backbone's name that asks for the same architecture with freshly initialised weights."""

TWINS = Path(__file__).parent / "twins"
IMAGENET_PREPROCESSING = Preprocessing(Geometry(224, 0.875, "bicubic"), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
PIL_INTERPOLATION_NAMES = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}


@dataclass(frozen=True, eq=False)
class LoadedBackbone:
    """A backbone with a classifier for the classes at hand.

    Attributes:
        name: as the user gave it.
        model: float32, in evaluation mode.
        weights: what identifies the weights: a Hub commit, a hash of the file, or the seed of an untrained network.
        has_trained_head: whether the checkpoint brought a classifier of this size.
    """

    name: str
    model: PreTrainedModel
    preprocessing: Preprocessing
    weights: str
    has_trained_head: bool

    @property
    def num_parameters(self) -> int:
        """Parameters of the trunk, without the classifier."""
        _, classifier = find_classifier(self.model)
        return sum(p.numel() for p in self.model.parameters()) - sum(p.numel() for p in classifier.parameters())


def resolve_location(name: str) -> str:
    """Where a backbone's files are: a folder, or the Hub id itself.

    Raises:
        InputError: neither a folder, nor registered, nor of the form `owner/name`; names the nearest known ones.
    """
    row = find_backbone(name)
    if row is not None and row.package_folder is not None:
        return str(TWINS / row.package_folder)
    excluded = excluded_reason(name)
    if excluded is not None:
        logger.warning("%s: %s", name, excluded)
    if row is not None and row.library == "conversion":
        raise InputError(f"model_name_or_path {name!r} is published in another format and must be converted first")
    if Path(name).is_dir():
        return name
    if "/" not in name or name.startswith((".", "/", "~")):
        hint = nearest_names(name, known_backbone_ids())
        raise InputError(
            f"model_name_or_path {name!r} is no folder, no known backbone and no Hub id (owner/name). {hint}".rstrip()
        )
    return name.removeprefix("hf-hub:").removeprefix("hf_hub:")


def _load_config(name: str, location: str, revision: str | None) -> Any:
    try:
        return AutoConfig.from_pretrained(location, revision=revision, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise _load_error(name, error) from error


def _load_error(name: str, error: Exception) -> InputError:
    lines = [line.strip() for line in str(error).strip().splitlines() if line.strip()]
    reason = lines[0] if lines else type(error).__name__
    if "trust_remote_code" in str(error):
        reason = (
            "it needs code from its repository, which is never run here; convert it to a timm or transformers model"
        )
    elif "model.safetensors" in str(error) or "safetensors" in reason:
        reason += " (only safetensors weights are loaded; convert a .bin checkpoint first)"
    hint = nearest_names(name, known_backbone_ids())
    return InputError(f"model_name_or_path {name!r} could not be loaded: {reason} {hint}".rstrip())


def _weights_identity(location: str, config: Any) -> str:
    path = Path(location) / "model.safetensors"
    if path.is_file():
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()[:16]
    if Path(location).is_dir():
        digest = hashlib.sha256()
        for shard in sorted(Path(location).glob("*.safetensors")):
            digest.update(shard.read_bytes())
        return digest.hexdigest()[:16]
    return str(config._commit_hash)


def read_preprocessing(location: str, config: Any, revision: str | None = None) -> Preprocessing:
    """What a checkpoint says about its input; ImageNet's usual preprocessing, with a warning, if it says nothing."""
    if isinstance(config, TimmWrapperConfig):
        data = resolve_data_config(pretrained_cfg=dict(config.pretrained_cfg or {}), verbose=False)
        geometry = Geometry(int(data["input_size"][-1]), float(data["crop_pct"]), data["interpolation"])
        return Preprocessing(geometry, tuple(data["mean"]), tuple(data["std"]))
    try:
        processor = AutoImageProcessor.from_pretrained(location, revision=revision, trust_remote_code=False).to_dict()
    except (OSError, ValueError):
        logger.warning(
            "%s says nothing about its preprocessing; using 224 px and ImageNet mean and deviation", location
        )
        return IMAGENET_PREPROCESSING
    return Preprocessing(_processor_geometry(processor), tuple(processor["image_mean"]), tuple(processor["image_std"]))


def _processor_geometry(processor: dict[str, Any]) -> Geometry:
    """Geometry of a transformers image processor: a squared resize, or a shorter side and a centre crop."""
    size = processor["size"]
    interpolation = PIL_INTERPOLATION_NAMES[int(processor.get("resample") or 2)]
    resized = size.get("shortest_edge") or size["height"]
    if processor.get("do_center_crop") and processor.get("crop_size"):
        side = processor["crop_size"]["height"]
        return Geometry(side, side / resized, interpolation)
    if "shortest_edge" in size:
        return Geometry(resized, processor.get("crop_pct") or 1.0, interpolation)
    return Geometry(resized, None, interpolation)


def _timm_model_args(config: Any) -> dict[str, Any]:
    return {key: value for key, value in (config.model_args or {}).items() if key != "num_classes"}


def _write_untrained_timm_folder(config: Any, folder: Path, seed: int) -> None:
    """transformers would initialise a timm network otherwise than timm does, so timm writes one to load from."""
    torch.manual_seed(derive_seed(seed, "untrained"))
    network: Any = timm.create_model(config.architecture, pretrained=False, num_classes=0, **_timm_model_args(config))
    write_timm_folder(
        folder,
        network.state_dict(),
        config.architecture,
        network.num_features,
        _timm_model_args(config),
        dict(config.pretrained_cfg or {}),
    )


def _from_pretrained(name: str, location: str, labels: dict[str, Any], revision: str | None) -> tuple[Any, set[str]]:
    """The model and the names of parameters that the checkpoint did not bring."""
    try:
        model, info = AutoModelForImageClassification.from_pretrained(
            location,
            revision=revision,
            dtype=torch.float32,
            ignore_mismatched_sizes=True,
            use_safetensors=True,
            trust_remote_code=False,
            output_loading_info=True,
            **labels,
        )
    except (OSError, ValueError, ImportError, RuntimeError) as error:
        raise _load_error(name, error) from error
    mismatched = {key if isinstance(key, str) else key[0] for key in info["mismatched_keys"]}
    return model, set(info["missing_keys"]) | mismatched


def load_backbone(
    name: str,
    class_names: tuple[str, ...],
    revision: str | None = None,
    seed: int = 0,
    geometry: Geometry | None = None,
    image_size: int | None = None,
) -> LoadedBackbone:
    """Load a backbone with a classifier of one output per class, in float32.

    A classifier the checkpoint does not bring, or brings for another number of classes, is initialised from `seed`.

    Args:
        name: a registered name, a Hub id, a folder, or one of these behind `untrained:`.
        geometry: image size, crop and interpolation to use instead of the checkpoint's own (normalisation stays).
        image_size: only the image size to use instead.

    Raises:
        InputError: nothing of that name, no safetensors weights, remote code needed, or trunk weights missing.
    """
    untrained = name.startswith(UNTRAINED)
    location = resolve_location(name.removeprefix(UNTRAINED))
    config = _load_config(name, location, revision)
    preprocessing = read_preprocessing(location, config, revision)
    if geometry is not None:
        preprocessing = replace(preprocessing, geometry=geometry)
    if image_size is not None:
        preprocessing = replace(preprocessing, geometry=replace(preprocessing.geometry, image_size=image_size))
    labels: dict[str, Any] = {
        "num_labels": len(class_names),
        "id2label": dict(enumerate(class_names)),
        "label2id": {label: index for index, label in enumerate(class_names)},
    }
    if isinstance(config, TimmWrapperConfig):
        labels.update(_geometry_arguments(config, preprocessing.geometry))
    torch.manual_seed(derive_seed(seed, "classifier"))
    if not untrained:
        model, missing = _from_pretrained(name, location, labels, revision)
        weights = _weights_identity(location, config)
    elif isinstance(config, TimmWrapperConfig):
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary) / "untrained"
            _write_untrained_timm_folder(config, folder, seed)
            model, missing = _from_pretrained(name, str(folder), labels, None)
        weights = f"untrained, seed {seed}"
    else:
        config.num_labels, config.id2label = len(class_names), labels["id2label"]
        config.label2id = labels["label2id"]
        model, missing = AutoModelForImageClassification.from_config(config, dtype=torch.float32), set()
        missing.update(key for key, _ in model.named_parameters() if key.startswith(find_classifier(model)[0]))
        weights = f"untrained, seed {seed}"
    classifier_name, _ = find_classifier(model)
    trunk_missing = sorted(key for key in missing if not _belongs_to(key, classifier_name))
    if trunk_missing:
        raise InputError(
            f"model_name_or_path {name!r} lacks {len(trunk_missing)} tensors of {type(model).__name__}, such as "
            f"{trunk_missing[0]!r}; it is not a checkpoint of this architecture"
        )
    return LoadedBackbone(name, model.eval(), preprocessing, weights, has_trained_head=not missing)


def _belongs_to(key: str, module_name: str) -> bool:
    return f"timm_model.{key}".startswith(f"{module_name}.") or key.startswith(f"{module_name}.")


def _geometry_arguments(config: Any, geometry: Geometry) -> dict[str, Any]:
    """Keep the preprocessing actually used in the configuration that is saved with the model."""
    return {
        "pretrained_cfg": {
            **(config.pretrained_cfg or {}),
            "input_size": [3, geometry.image_size, geometry.image_size],
            "crop_pct": geometry.crop_pct,
            "interpolation": geometry.interpolation,
        }
    }


def registered(name: str) -> Backbone | None:
    """The registry's row of a backbone, also of an untrained one (whose objective is then `untrained`)."""
    row = find_backbone(name.removeprefix(UNTRAINED))
    if row is not None and name.startswith(UNTRAINED):
        return replace(row, id=name, objective="untrained", family="untrained")
    return row


def set_linear_classifier(model: PreTrainedModel, weight: torch.Tensor, bias: torch.Tensor) -> None:
    """Put a (C, D) weight and (C,) bias into the model's classifier, in place."""
    _, classifier = find_classifier(model)
    with torch.no_grad():
        classifier.weight.copy_(weight)
        if classifier.bias is None:
            classifier.bias = nn.Parameter(torch.zeros_like(weight[:, 0]))
        classifier.bias.copy_(bias)
