"""The numbers of `hf-sslgen analyze` for a network in memory, such as one that is being trained."""

import random
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from datasets import Dataset
from PIL.Image import Image as Picture
from torch import nn

from hf_sslgen.analysis.analysis_settings import AnalysisSettings
from hf_sslgen.analysis.backbone_analysis import adapted_analysis
from hf_sslgen.analysis.overall_numbers import overall_numbers
from hf_sslgen.domains.measured_images import MeasuredDomain, MeasuredImages, of_dataset, of_pictures
from hf_sslgen.errors import InputError
from hf_sslgen.metrics.stages import FINE_TUNED_STAGE
from hf_sslgen.names import canonical
from hf_sslgen.zoo.anatomy import find_classifier
from hf_sslgen.zoo.backbone_loading import LoadedBackbone
from hf_sslgen.zoo.class_names import output_names
from hf_sslgen.zoo.wrapped_network import Processor, as_backbone

DEFAULT_SETTINGS = AnalysisSettings()

Images: TypeAlias = MeasuredDomain | Dataset | Sequence[Picture]
"""Images to measure on: a domain (its test split), a dataset with columns `image` and `label`, or pictures."""


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Restore every global random generator after the block, and leave autocasting and inference mode within it."""
    device = torch.accelerator.current_accelerator(check_available=True)
    of_python, of_numpy = random.getstate(), np.random.get_state()
    with ExitStack() as stack:
        stack.enter_context(torch.random.fork_rng(devices=[]))
        stack.enter_context(torch.autocast("cpu", enabled=False))
        if device is not None:
            here = [torch.accelerator.current_device_index()]
            stack.enter_context(torch.random.fork_rng(here, device_type=device.type))
            stack.enter_context(torch.autocast(device.type, enabled=False))
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        try:
            yield
        finally:
            random.setstate(of_python)
            np.random.set_state(of_numpy)


def _images(images: Images, labels: npt.ArrayLike | None) -> MeasuredDomain:
    if isinstance(images, Dataset):
        return of_dataset(images)
    if isinstance(images, Sequence):
        return of_pictures(images, [] if labels is None else labels)
    return images


def _with_classes(images: MeasuredDomain, backbone: LoadedBackbone) -> MeasuredImages:
    """Name the classes by the network's outputs.

    Raises:
        InputError: a label has no output, or the names of the two are in another order.
    """
    names, num_outputs = output_names(backbone.model.config), find_classifier(backbone.model)[1].out_features
    of_images = tuple(map(canonical, images.class_names))
    if names is not None and of_images != names and sorted(of_images) == sorted(names):
        raise InputError(
            f"the images' classes are {', '.join(of_images)}, and the network's outputs {', '.join(names)}; give "
            "labels in the order of the outputs"
        )
    least, largest = int(images.test.labels.min()), int(images.test.labels.max())
    if least < 0 or largest >= num_outputs:
        raise InputError(f"labels lie between {least} and {largest}, but the network has {num_outputs} outputs")
    known = images.class_names if len(images.class_names) == num_outputs else map(str, range(num_outputs))
    return MeasuredImages(images.test, tuple(known), images.not_label_preserving)


def validation_numbers(
    model: nn.Module,
    images: Images,
    labels: npt.ArrayLike | None = None,
    *,
    processor: Processor | None = None,
    settings: AnalysisSettings = DEFAULT_SETTINGS,
) -> dict[str, float]:
    """Measure a classifier in memory: accuracy, calibration, attribution, invariance and effective rank.

    The numbers are those of `hf-sslgen analyze` on the same weights, images and settings. A copy of the network is
    measured, in float32 and on the accelerator if there is one; the network itself, its mode, gradients and hooks, and
    all random generators are left as they are.

    Args:
        model: a classifier of transformers or timm, or any module that maps (B, 3, H, W) inputs to logits (B, C), or
            to a mapping with `logits`, by one last linear layer.
        images: pictures; a dataset with columns `image` and `label`; or a domain, whose test split is measured.
        labels: (N,) class indices, for pictures.
        processor: how pictures become inputs: an image processor of transformers or a data configuration of timm
            (`timm.data.resolve_model_data_config(model)`). A timm network's own by default.
        settings: transforms, number of images for attribution and invariance, batch size, and so on.

    Returns:
        Each number by name, NaN if it is undefined; invariance also as the mean of a family (`invariance_mean`).

    Raises:
        InputError: images, labels, network or processor can't be used; says what would work.
    """
    if labels is not None and not isinstance(images, Sequence):
        raise InputError("labels are only for a list of pictures; a dataset or a domain has its own")
    taken = _images(images, labels)
    with _undisturbed():
        backbone = as_backbone(model, processor)
        measured = _with_classes(taken, backbone)
        analysis = adapted_analysis(backbone, measured, FINE_TUNED_STAGE, settings, validation=None)
    return overall_numbers(number for number in analysis.numbers if number.metric != "temperature")
