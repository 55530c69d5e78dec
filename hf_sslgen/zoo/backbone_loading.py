"""Load a backbone as a classifier: by Hub id, from a folder, from the package, or untrained."""

import logging
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import timm
import torch
from torch import nn
from transformers import AutoModelForImageClassification, PreTrainedModel
from transformers.models.timm_wrapper.configuration_timm_wrapper import TimmWrapperConfig

from hf_sslgen.errors import InputError
from hf_sslgen.geometry import Geometry
from hf_sslgen.names import listed_names
from hf_sslgen.preprocessing import Preprocessing
from hf_sslgen.randomness import derive_seed
from hf_sslgen.zoo.anatomy import find_classifier
from hf_sslgen.zoo.checkpoint_preprocessing import read_preprocessing, timm_pretrained_cfg
from hf_sslgen.zoo.checkpoints import check_channels, load_config, load_weights, open_checkpoint
from hf_sslgen.zoo.class_names import ClassMatch, are_related, differing_classes, wanted_outputs
from hf_sslgen.zoo.classifier_outputs import keep_outputs, name_outputs, new_classifier
from hf_sslgen.zoo.locations import UNTRAINED_PREFIX
from hf_sslgen.zoo.timm_folder import write_timm_folder
from hf_sslgen.zoo.weight_files import content_identity

logger = logging.getLogger(__name__)

RESIZABLE_TIMM_MODULES = ("deit", "eva", "vision_transformer")
"""timm modules whose networks interpolate their position embedding when told that the input size may vary."""


@dataclass(frozen=True, eq=False)
class LoadedBackbone:
    """A backbone with a classifier for the given classes.

    Attributes:
        name: as the user gave it.
        model: float32, in evaluation mode.
        weights: identity of the weights: a Hub commit, a hash of all files in a folder that affect results, or the
            seed of an untrained network and a hash of its configuration.
        pinned: a name that loads the same weights again, with the commit if `name` gives a branch or tag.
        has_trained_head: whether the checkpoint contains a classifier of this size.
    """

    name: str
    model: PreTrainedModel
    preprocessing: Preprocessing
    weights: str
    pinned: str
    has_trained_head: bool

    @property
    def num_parameters(self) -> int:
        """Number of parameters of the trunk, without the classifier."""
        _, classifier = find_classifier(self.model)
        return sum(p.numel() for p in self.model.parameters()) - sum(p.numel() for p in classifier.parameters())


def _describe_input(config: Any, geometry: Geometry, resized: bool) -> None:
    """Record the preprocessing actually used in the configuration that is saved with a timm model.

    Args:
        resized: whether the input size differs from the checkpoint's own.
    """
    if isinstance(config, TimmWrapperConfig):
        config.pretrained_cfg = timm_pretrained_cfg(config.pretrained_cfg or {}, geometry)
        model_args = {key: value for key, value in (config.model_args or {}).items() if key != "num_classes"}
        if resized and timm.models.is_model_in_modules(config.architecture, RESIZABLE_TIMM_MODULES):
            model_args["dynamic_img_size"] = True
        config.model_args = model_args


def _write_untrained_timm_folder(config: Any, folder: Path, seed: int) -> None:
    """Write a network initialised by timm to load from, because transformers would initialise it differently."""
    torch.manual_seed(derive_seed(seed, "untrained"))
    network: Any = timm.create_model(config.architecture, pretrained=False, num_classes=0, **config.model_args)
    write_timm_folder(
        folder,
        network.state_dict(),
        config.architecture,
        network.num_features,
        config.model_args,
        config.pretrained_cfg,
    )


def untrained_model(name: str, config: Any, seed: int) -> tuple[Any, set[str]]:
    """Initialise a model as its own library does; also returns the names of its classifier's parameters.

    The classifier is drawn from torch's global generator.
    """
    if isinstance(config, TimmWrapperConfig):
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary) / "untrained"
            _write_untrained_timm_folder(config, folder, seed)
            return load_weights(name, folder, config)
    model = AutoModelForImageClassification.from_config(config, dtype=torch.float32)
    classifier_name, classifier = find_classifier(model)
    return model, {f"{classifier_name}.{key}" for key, _ in classifier.named_parameters()}


def _check_image_size(name: str, model: PreTrainedModel, image_size: int) -> None:
    """Feed one black image, because many networks accept only their own input size."""
    try:
        with torch.no_grad():
            model(torch.zeros(1, 3, image_size, image_size))
    except (AssertionError, RuntimeError, ValueError) as error:
        raise InputError(f"model_name_or_path {name!r} does not accept images of {image_size} px: {error}") from error


@contextmanager
def seeded_initialisation(seed: int) -> Iterator[None]:
    """Within the block, draw a network's missing weights from this seed without affecting torch's generator."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "classifier"))
        yield


def load_backbone(
    name: str,
    class_names: tuple[str, ...],
    revision: str | None = None,
    seed: int = 0,
    geometry: Geometry | None = None,
    image_size: int | None = None,
    match: ClassMatch | None = None,
) -> LoadedBackbone:
    """Load a backbone with a classifier of one output per class, in float32.

    A classifier that the checkpoint lacks, or has for other classes, is initialised from `seed`. A classifier for the
    same classes in another order is reordered to match `class_names`.

    Args:
        name: a registered name, a Hub id (with a revision: `owner/name@revision`) or a folder, optionally prefixed
            with `untrained:`.
        revision: branch, tag or commit on the Hub, if the name does not state it.
        geometry: image size, crop and interpolation to use instead of the checkpoint's own; normalisation stays.
        image_size: image size to use instead of the checkpoint's own.
        match: how to match the checkpoint's classes to `class_names`; None matches by name and starts a new classifier
            if they differ.

    Raises:
        InputError: the checkpoint's classes do not satisfy `match`; the checkpoint does not exist or is inaccessible,
            has no safetensors weights or needs remote code; trunk weights are missing, superfluous or not finite; its
            preprocessing can't be reproduced; or it does not accept the requested image size.
    """
    untrained = name.startswith(UNTRAINED_PREFIX)
    checkpoint = open_checkpoint(name.removeprefix(UNTRAINED_PREFIX), revision, with_weights=not untrained)
    config = load_config(name, checkpoint.folder)
    check_channels(name, config)
    preprocessing = read_preprocessing(checkpoint.folder, config, name)
    own_size = preprocessing.geometry.image_size
    if geometry is not None:
        preprocessing = replace(preprocessing, geometry=geometry)
    if image_size is not None:
        preprocessing = replace(preprocessing, geometry=replace(preprocessing.geometry, image_size=image_size))
    resized = preprocessing.geometry.image_size != own_size
    _describe_input(config, preprocessing.geometry, resized)
    with seeded_initialisation(seed):
        if untrained:
            name_outputs(config, class_names)
            model, missing = untrained_model(name, config, seed)
            configuration = content_identity(checkpoint.folder, with_weights=False)
            weights, pinned = f"untrained, seed {seed}, of {configuration}", f"{UNTRAINED_PREFIX}{checkpoint.pinned}"
        else:
            model, missing = _with_classes(name, checkpoint.folder, config, class_names, match)
            weights, pinned = checkpoint.weights_identity, checkpoint.pinned
    model.eval()
    if resized:
        _check_image_size(name, model, preprocessing.geometry.image_size)
    return LoadedBackbone(name, model, preprocessing, weights, pinned, has_trained_head=not missing)


def _with_classes(
    name: str, folder: Path, config: Any, class_names: tuple[str, ...], match: ClassMatch | None
) -> tuple[Any, set[str]]:
    """Load the model with one output per class; also returns the names of parameters the checkpoint lacks."""
    outputs = wanted_outputs(name, config, class_names, match)
    keeps_order = outputs is not None and outputs.rows == tuple(range(config.num_labels))
    may_differ = outputs is None and match == "name" and are_related(config, class_names)
    if may_differ or (outputs is not None and not keeps_order):
        model, missing = load_weights(name, folder, config)
        if not missing and outputs is None:
            raise differing_classes(name, config, class_names)
        if not missing and outputs is not None:
            keep_outputs(model, outputs.rows, class_names)
            return model, missing
    name_outputs(config, class_names)
    model, missing = load_weights(name, folder, config)
    if outputs is None and not missing:  # a classifier of the same size, for other classes
        return model, new_classifier(model)
    if outputs is not None and outputs.by_position and not missing:
        logger.warning(
            "%s: its %d outputs have no names; they are matched to the classes in order (%s)",
            name,
            len(class_names),
            listed_names(class_names),
        )
    return model, missing


def set_linear_classifier(model: PreTrainedModel, weight: torch.Tensor, bias: torch.Tensor) -> None:
    """Set the weight (C, D) and bias (C,) of the model's classifier, in place."""
    _, classifier = find_classifier(model)
    with torch.no_grad():
        classifier.weight.copy_(weight)
        if classifier.bias is None:
            classifier.bias = nn.Parameter(torch.zeros_like(weight[:, 0]))
        classifier.bias.copy_(bias)
