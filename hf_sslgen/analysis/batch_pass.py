"""The work on a batch of images: 1 + T forward passes for its logits, features, maps and T transformed versions.

The clean images' logits, features and activations come from one forward pass, the maps from the part of the network
behind the activations alone, and the transformed versions are made on the device.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hf_sslgen.analysis.analysis_settings import AnalysisSettings
from hf_sslgen.analysis.attribution import attribution_maps
from hf_sslgen.analysis.grad_cam import grad_cam
from hf_sslgen.analysis.network import Network, PassOutputs
from hf_sslgen.analysis.transforms import Variant
from hf_sslgen.domains.images import ImageSplit
from hf_sslgen.zoo.anatomy import AttributionLayer

UNCHANGED_TOLERANCE = 1 / 255 + 1e-6
"""One level of an 8-bit image; the rest is float32 rounding of differences between values in [0, 1]."""

STRIDE_OF_ROWS = 8
"""Of the rows that are looked at first for a change."""

GRAD_CAM = "grad_cam"
"""The method that needs no more than the one pass."""


PlainColumn = Literal["logits", "features"]
"""What a pass can yield of images that are not in the subset."""


@dataclass(frozen=True, eq=False)
class Wanted:
    """What a pass is to yield, and of which images.

    Attributes:
        subset: images whose features are wanted, with maps and transformed versions as the rest says.
        pixels: (n, 3, S, S) bytes of the subset.
        others: images of which one column alone is wanted.
        variants: transforms of the subset.
        layer: where to attribute, by the method of the settings; None for no maps.
        classes: (n,) class to attribute for each image of the subset; None for the predicted one.
        column: what is wanted of the others.
    """

    subset: ImageSplit
    pixels: Tensor
    others: ImageSplit | None = None
    variants: Sequence[Variant] = ()
    layer: AttributionLayer | None = None
    classes: NDArray[np.int64] | None = None
    column: PlainColumn = "logits"

    @classmethod
    def one_column(cls, split: ImageSplit, column: PlainColumn) -> "Wanted":
        """The smallest request: one column of a whole split, and no subset."""
        nothing = split.select(np.empty(0, dtype=np.int64))
        return cls(nothing, torch.empty(0, dtype=torch.uint8), others=split, column=column)


def column_name(variant: Variant, column: str) -> str:
    """How a column of a transform is called among those of a batch."""
    return f"{variant.transform} {variant.severity} {column}"


def _halves(num_images: int) -> tuple[slice, ...]:
    """Two parts of a batch (one of a single image), because float32 images of all of it take too much memory."""
    half = -(-num_images // 2)
    return tuple(slice(start, start + half) for start in range(0, num_images, half))


def is_unchanged(clean: Tensor, moved: Tensor) -> Tensor:
    """(B,) whether each image, (B, 3, S, S), is what it was, to one level."""

    def nowhere_further(step: int) -> Tensor:
        difference = torch.sub(moved[:, :, ::step], clean[:, :, ::step]).abs_()
        return difference.flatten(1).amax(1) <= UNCHANGED_TOLERANCE

    few_rows = nowhere_further(STRIDE_OF_ROWS)  # which is proof enough for nearly every image that changed
    return nowhere_further(1) if few_rows.any() else few_rows


def transformed(
    network: Network, pixels: Tensor, sample_ids: Sequence[int], variant: Variant, seed: int
) -> dict[str, Tensor]:
    """What a network makes of images, (B, 3, S, S) bytes on its device, after a transform."""
    inputs, unchanged = [], []
    for part in _halves(len(pixels)):
        clean = pixels[part].float().div_(255)
        moved = variant(clean, sample_ids[part], seed)
        unchanged.append(is_unchanged(clean, moved))
        inputs.append(network.inputs(moved))
    ready = torch.cat(inputs)
    del clean, moved, inputs  # a forward pass shall have its input alone beside it
    outputs = network.run(ready)
    return {
        column_name(variant, "features"): outputs.features,
        column_name(variant, "predictions"): outputs.logits.argmax(dim=1),
        column_name(variant, "unchanged"): torch.cat(unchanged),
    }


def _maps(
    network: Network,
    pixels: Tensor,
    outputs: PassOutputs,
    layer: AttributionLayer,
    classes: Tensor,
    settings: AnalysisSettings,
) -> Tensor:
    """(B, h, w) maps: from the pass that was made where one is enough, else from more passes of the method."""
    if outputs.activations is not None:
        weight = network.classifier_weight
        return grad_cam(outputs.activations, outputs.features, outputs.logits, weight, classes, settings.target)
    method, target = settings.attribution_method, settings.target
    return attribution_maps(network.model, network.inputs(pixels), classes, layer, method, target)


def _measure_clean(
    network: Network,
    pixels: Tensor,
    classes: Tensor | None,
    layer: AttributionLayer | None,
    settings: AnalysisSettings,
) -> dict[str, Tensor]:
    """Logits, features and maps of images as they are, (B, 3, S, S) bytes on the network's device.

    Args:
        classes: (B,) to attribute; None for the predicted ones.
    """
    taps = layer is not None and settings.attribution_method == GRAD_CAM
    with torch.enable_grad() if taps else torch.inference_mode():
        outputs = network(pixels)
    found = {"logits": outputs.logits.detach(), "features": outputs.features.detach()}
    if layer is not None:
        attributed = found["logits"].argmax(dim=1) if classes is None else classes
        found["maps"] = _maps(network, pixels, outputs, layer, attributed, settings)
    return found


def measure_batch(network: Network, wanted: Wanted, settings: AnalysisSettings, positions: slice) -> dict[str, Tensor]:
    """The columns of a few images of the subset."""
    pixels = wanted.pixels[positions].to(network.device)
    classes = None if wanted.classes is None else torch.from_numpy(wanted.classes[positions]).to(network.device)
    found = _measure_clean(network, pixels, classes, wanted.layer, settings)
    sample_ids = wanted.subset.sample_ids[positions].tolist()
    with torch.inference_mode():
        for variant in wanted.variants:
            found |= transformed(network, pixels, sample_ids, variant, settings.seed)
    return {name: column.cpu() for name, column in found.items()}
