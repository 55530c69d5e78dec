"""The single pass: 1 + T forward passes an image for its logits, features, attribution map and T transformed versions.

The clean image's logits, features and activations come from one forward pass, the map from the part of the network
behind the activations alone, and the transformed versions are made on the device, batch by batch.
"""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import PreTrainedModel

from hf_sslgen.analysis.attribution import attribution_maps
from hf_sslgen.analysis.batches import Batches
from hf_sslgen.analysis.grad_cam import grad_cam
from hf_sslgen.analysis.network import Network, PassOutputs, measuring
from hf_sslgen.analysis.shards import Processes, compute_shards, parts, read_shards, shard_folder
from hf_sslgen.analysis.subset import AnalysisSettings, evaluation_batch
from hf_sslgen.analysis.transforms import Variant
from hf_sslgen.domains.images import ImageSplit
from hf_sslgen.zoo.anatomy import AttributionLayer
from hf_sslgen.zoo.loading import LoadedBackbone

UNCHANGED_TOLERANCE = 1 / 255 + 1e-6
"""One level of an 8-bit image; the rest is float32 rounding of differences between values in [0, 1]."""

STRIDE_OF_ROWS = 8

GRAD_CAM = "grad_cam"
"""The method that needs no more than the one pass."""

DEFAULT_PROCESSES = Processes()


@dataclass(frozen=True, eq=False)
class Wanted:
    """What a pass is to yield, and of which images.

    Attributes:
        subset: images whose features are wanted, with maps and transformed versions as the rest says.
        pixels: (n, 3, S, S) bytes of the subset.
        others: images of which the logits alone are wanted.
        layer: where to attribute, by the method of the settings; None for no maps.
        classes: (n,) class to attribute for each image of the subset; None for the predicted one.
    """

    subset: ImageSplit
    pixels: Tensor
    others: ImageSplit | None = None
    variants: Sequence[Variant] = ()
    layer: AttributionLayer | None = None
    classes: NDArray[np.int64] | None = None


@dataclass(frozen=True, eq=False)
class Moved:
    """What a backbone makes of transformed images.

    Attributes:
        features: (n, D).
        predictions: (n,) classes.
        unchanged: (n,), True where the transform left the image as it was.
    """

    features: NDArray[np.float32]
    predictions: NDArray[np.int64]
    unchanged: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class PassResults:
    """What a pass yielded, read from its shards when asked for."""

    subset: Sequence[Path]
    others: Sequence[Path]

    @property
    def logits(self) -> NDArray[np.float32]:
        """(n, C) of the subset."""
        return read_shards(self.subset, "logits")

    @property
    def other_logits(self) -> NDArray[np.float32]:
        """(N, C) of the other images."""
        return read_shards(self.others, "logits")

    @property
    def features(self) -> NDArray[np.float32]:
        """(n, D), what enters the classifier."""
        return read_shards(self.subset, "features")

    @property
    def maps(self) -> NDArray[np.float32]:
        """(n, h, w) with their sign."""
        return read_shards(self.subset, "maps")

    def moved(self, variant: Variant) -> Moved:
        """Of the subset's images after a transform."""
        columns = ("features", "predictions", "unchanged")
        return Moved(*(read_shards(self.subset, _name(variant, column)) for column in columns))


def _name(variant: Variant, column: str) -> str:
    return f"{variant.transform} {variant.severity} {column}"


def _half(num_images: int) -> int:
    """Images at a time for what needs twice the memory of a forward pass: a transform's float32 images, and the graph
    of a transformer's head."""
    return -(-num_images // 2)


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
    for start in range(0, len(pixels), _half(len(pixels))):
        part = slice(start, start + _half(len(pixels)))
        clean = pixels[part].float().div_(255)
        moved = variant(clean, sample_ids[part], seed)
        unchanged.append(is_unchanged(clean, moved))
        inputs.append(network.inputs(moved))
    ready = torch.cat(inputs)
    del clean, moved, inputs  # a forward pass shall have its input alone beside it
    outputs = network.run(ready)
    return {
        _name(variant, "features"): outputs.features,
        _name(variant, "predictions"): outputs.logits.argmax(dim=1),
        _name(variant, "unchanged"): torch.cat(unchanged),
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
    # The graph of a transformer's head takes as much memory as a forward pass: half a batch of both fits the rest.
    size = len(pixels) if wanted.layer is None else -(-len(pixels) // 2)
    halves = [
        _measure_clean(
            network, half, None if classes is None else classes[start : start + size], wanted.layer, settings
        )
        for start, half in zip(range(0, len(pixels), size), pixels.split(size), strict=True)
    ]
    found = {name: torch.cat([half[name] for half in halves]) for name in halves[0]}
    sample_ids = wanted.subset.sample_ids[positions].tolist()
    with torch.inference_mode():
        for variant in wanted.variants:
            found |= transformed(network, pixels, sample_ids, variant, settings.seed)
    return {name: column.cpu() for name, column in found.items()}


def _measure_shard(
    network: Network, batches: Batches, wanted: Wanted, settings: AnalysisSettings, part: slice
) -> dict[str, Tensor]:
    def run(batch: slice) -> dict[str, Tensor]:
        return measure_batch(network, wanted, settings, slice(part.start + batch.start, part.start + batch.stop))

    rows = batches.map(part.stop - part.start, run)
    return {name: torch.cat([row[name] for row in rows]) for name in rows[0]}


@torch.inference_mode()
def _logits_shard(network: Network, batches: Batches, split: ImageSplit, part: slice) -> dict[str, Tensor]:
    pixels = evaluation_batch(split, range(part.start, part.stop), network.preprocessing.geometry)
    return {"logits": torch.cat(batches.map(len(pixels), lambda batch: network(pixels[batch]).logits.cpu()))}


def _digest(model: PreTrainedModel, wanted: Wanted, settings: AnalysisSettings) -> str:
    """Thirty-two hexadecimal digits of everything that a pass's results depend on."""
    digest = hashlib.blake2b(digest_size=16)
    others = np.empty(0, dtype=np.int64) if wanted.others is None else wanted.others.sample_ids
    facts = {
        "settings": dataclasses.asdict(settings),
        "variants": [(variant.transform, variant.severity) for variant in wanted.variants],
        "layer": None if wanted.layer is None else dataclasses.asdict(wanted.layer),
        "classes": None if wanted.classes is None else wanted.classes.tolist(),
        "subset": wanted.subset.sample_ids.tolist(),
        "others": others.tolist(),
    }
    digest.update(json.dumps(facts, sort_keys=True).encode())
    digest.update(wanted.pixels.numpy().data)
    for name, tensor in model.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


@contextmanager
def one_pass(
    backbone: LoadedBackbone,
    wanted: Wanted,
    settings: AnalysisSettings,
    shards: Path | None = None,
    processes: Processes = DEFAULT_PROCESSES,
) -> Iterator[PassResults]:
    """Run a backbone over images, shard by shard.

    Args:
        shards: folder that keeps what is finished, for a pass that is interrupted and run again: shards of the same
            weights, images and settings found there are not computed again. None: a temporary folder.
        processes: those that run this same pass over one folder of shards.

    Raises:
        InputError: an image can't be decoded, the layer holds no map, or one image does not fit into memory.
    """
    batches = Batches(settings.batch_size)
    taps = settings.attribution_method == GRAD_CAM
    with shard_folder(shards) as parent, measuring(backbone, settings.compute, wanted.layer, taps) as network:
        folder = parent / _digest(backbone.model, wanted, settings)
        work: dict[Path, tuple[int, Callable[[], dict[str, Tensor]]]] = {}
        of_subset, of_others = [], []
        for part in parts(len(wanted.subset), settings.batch_size, processes):
            path = folder / f"subset-{part.start:06}-{part.stop:06}.safetensors"
            of_subset.append(path)
            num_passes = (part.stop - part.start) * (1 + len(wanted.variants))
            work[path] = num_passes, partial(_measure_shard, network, batches, wanted, settings, part)
        if wanted.others is not None:
            for part in parts(len(wanted.others), settings.batch_size, processes):
                path = folder / f"others-{part.start:06}-{part.stop:06}.safetensors"
                of_others.append(path)
                logits = partial(_logits_shard, network, batches, wanted.others, part)
                work[path] = part.stop - part.start, logits
        compute_shards(work, processes, f"{backbone.name}: {wanted.subset.name}")
        yield PassResults(of_subset, of_others)
