"""Process a batch of images in 1 + T forward passes for logits, features, maps and T transformed versions.

The clean images' logits, features and activations come from one forward pass and the maps from only the part of the
network behind the activations; the transformed versions are computed on the device.
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
"""One level of an 8-bit image, plus float32 rounding of differences between values in [0, 1]."""

STRIDE_OF_ROWS = 8
"""Stride of the rows that are checked first for a change."""

GRAD_CAM = "grad_cam"
"""The method that needs only the one pass."""


PlainColumn = Literal["logits", "features"]
"""Columns that a pass can compute for images outside the subset."""


@dataclass(frozen=True, eq=False)
class Wanted:
    """The outputs requested from a pass, and the images they are requested for.

    Attributes:
        subset: images for which features, and possibly maps and transformed versions, are computed.
        pixels: (n, 3, S, S) bytes of the subset.
        others: images for which only one column is computed.
        variants: transforms applied to the subset.
        layer: layer to attribute by the method in the settings; None for no maps.
        classes: (n,) class to attribute for each image of the subset; None for the predicted one.
        column: the column computed for the other images.
        features: (n, D) of the subset if they are known; they are then not computed, which leaves out maps.
    """

    subset: ImageSplit
    pixels: Tensor
    others: ImageSplit | None = None
    variants: Sequence[Variant] = ()
    layer: AttributionLayer | None = None
    classes: NDArray[np.int64] | None = None
    column: PlainColumn = "logits"
    features: NDArray[np.float32] | None = None

    @classmethod
    def one_column(cls, split: ImageSplit, column: PlainColumn) -> "Wanted":
        """Make the smallest request: one column of a whole split, without a subset."""
        nothing = split.select(np.empty(0, dtype=np.int64))
        return cls(nothing, torch.empty(0, dtype=torch.uint8), others=split, column=column)


def column_name(variant: Variant, column: str) -> str:
    """Name a transform's column among the columns of a batch."""
    return f"{variant.transform} {variant.severity} {column}"


def _halves(num_images: int) -> tuple[slice, ...]:
    """Split a batch in two (a single image stays whole), because all of it in float32 needs too much memory."""
    half = -(-num_images // 2)
    return tuple(slice(start, start + half) for start in range(0, num_images, half))


def is_unchanged(clean: Tensor, moved: Tensor) -> Tensor:
    """Return (B,) whether each image, (B, 3, S, S), is unchanged to within one level."""

    def nowhere_further(step: int) -> Tensor:
        difference = torch.sub(moved[:, :, ::step], clean[:, :, ::step]).abs_()
        return difference.flatten(1).amax(1) <= UNCHANGED_TOLERANCE

    few_rows = nowhere_further(STRIDE_OF_ROWS)  # settles it for nearly every changed image
    return nowhere_further(1) if few_rows.any() else few_rows


def transformed(
    network: Network, pixels: Tensor, sample_ids: Sequence[int], variant: Variant, seed: int
) -> dict[str, Tensor]:
    """Run a network on transformed images, given as (B, 3, S, S) bytes on its device."""
    inputs, unchanged = [], []
    for part in _halves(len(pixels)):
        clean = pixels[part].float().div_(255)
        moved = variant(clean, sample_ids[part], seed)
        unchanged.append(is_unchanged(clean, moved))
        inputs.append(network.inputs(moved))
    ready = torch.cat(inputs)
    del clean, moved, inputs  # keep only the input in memory during the forward pass
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
    """Return (B, h, w) maps, from the existing pass if the method needs no other, else from further passes."""
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
    """Compute logits, features and maps of untransformed images, (B, 3, S, S) bytes on the network's device.

    Args:
        classes: (B,) classes to attribute; None for the predicted ones.
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
    """Compute all columns for some images of the subset."""
    pixels = wanted.pixels[positions].to(network.device)
    classes = None if wanted.classes is None else torch.from_numpy(wanted.classes[positions]).to(network.device)
    if wanted.features is None:
        found = _measure_clean(network, pixels, classes, wanted.layer, settings)
    else:
        known = torch.from_numpy(wanted.features[positions])
        found = {"logits": network.classified(known), "features": known}
    sample_ids = wanted.subset.sample_ids[positions].tolist()
    with torch.inference_mode():
        for variant in wanted.variants:
            found |= transformed(network, pixels, sample_ids, variant, settings.seed)
    return {name: column.cpu() for name, column in found.items()}
