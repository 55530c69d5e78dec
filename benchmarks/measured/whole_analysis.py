"""The forward passes that an analysis needs at least, and this package's analysis."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from datasets import Dataset
from numpy.typing import NDArray
from torch import Tensor

from hf_sslgen.analysis.analysis_settings import AnalysisSettings, Precision
from hf_sslgen.analysis.batch_pass import Wanted, measure_batch
from hf_sslgen.analysis.network import measuring
from hf_sslgen.analysis.transforms import preset_variants
from hf_sslgen.domains.images import ImageSplit
from hf_sslgen.metrics import (
    AccuracyResult,
    CalibrationResult,
    ConcentrationResult,
    accuracy,
    attribution_concentration,
    expected_calibration_error,
    top_label,
)
from hf_sslgen.preprocessing import Preprocessing, normalise
from hf_sslgen.zoo.anatomy import find_attribution_layer
from measured.workloads import DTYPES, NUM_CLASSES, Workload, loaded, pictures, timm_network

PRESET: Final = "quick"
VARIANTS = preset_variants(PRESET, gray=False)


@dataclass(frozen=True)
class Setting:
    """The settings that all contenders share.

    Attributes:
        num_images: number of images in the one batch of a call.
    """

    workload: Workload
    precision: Precision
    device: torch.device
    num_images: int

    @property
    def pixels(self) -> Tensor:
        """(N, 3, S, S) bytes."""
        return pictures(self.num_images, self.workload.side)

    @property
    def labels(self) -> NDArray[np.int64]:
        """(N,) at random."""
        return np.random.default_rng(1).integers(NUM_CLASSES, size=self.num_images)

    @property
    def layout(self) -> torch.memory_format:
        return torch.channels_last if self.workload.channels_last else torch.contiguous_format


def plain_passes(setting: Setting) -> Callable[[], list[Tensor]]:
    """Return a call that makes 1 + T forward passes of timm's network over prepared inputs."""
    inputs = normalise(setting.pixels, loaded(setting.workload).preprocessing)
    inputs = inputs.to(setting.device, DTYPES[setting.precision]).contiguous(memory_format=setting.layout)
    network = timm_network(setting.workload, setting.precision, setting.device, setting.layout)

    @torch.inference_mode()
    def call() -> list[Tensor]:
        return [network(inputs).float().cpu() for _ in range(1 + len(VARIANTS))]

    return call


class OnePass:
    """This package's analysis: from bytes to logits, features, maps, and features of the T transformed versions."""

    def __init__(self, setting: Setting, stack: ExitStack) -> None:
        """Prepare the network for measuring inside `stack`."""
        backbone = loaded(setting.workload)
        layer = find_attribution_layer(backbone.model)
        channels_last = setting.workload.channels_last
        self._settings = AnalysisSettings(PRESET, precision=setting.precision, channels_last=channels_last)
        sample_ids = np.arange(setting.num_images)
        split = ImageSplit("test", Dataset.from_dict({"image": []}), sample_ids, setting.labels)
        self._wanted = Wanted(split, setting.pixels, variants=VARIANTS, layer=layer)
        self._network = stack.enter_context(measuring(backbone, self._settings.compute, layer))
        self._found: dict[str, Tensor] = {}

    @property
    def preprocessing(self) -> Preprocessing:
        return self._network.preprocessing

    def __call__(self) -> dict[str, Tensor]:
        """Return the columns of `measure_batch`."""
        everything = slice(0, len(self._wanted.pixels))
        self._found = measure_batch(self._network, self._wanted, self._settings, everything)
        return self._found

    def metrics(self) -> tuple[AccuracyResult, CalibrationResult, ConcentrationResult]:
        """Compute accuracy, calibration and concentration from the last call's results."""
        labels = self._wanted.subset.labels
        top = top_label(self._found["logits"], labels, from_logits=True)
        return (
            accuracy(top.per_sample_prediction, labels),
            expected_calibration_error(top.per_sample_confidence, top.per_sample_correct),
            attribution_concentration(self._found["maps"]),
        )
