"""What a forward pass of a backbone costs, without downloading it.

A backbone whose files are on this machine is loaded and timed. Of one that is not, the network is built with random
weights from its registered architecture, whose passes take as long; each architecture is timed once.
"""

import functools
import time
from dataclasses import dataclass
from typing import Any, Literal

import timm
import torch

from hf_sslgen.analysis.forward_cost import count_flops
from hf_sslgen.analysis.network import default_device, place
from hf_sslgen.geometry import Geometry
from hf_sslgen.zoo.backbone_loading import RESIZABLE_TIMM_MODULES, load_backbone
from hf_sslgen.zoo.backbone_registry import Backbone, get_twin_set
from hf_sslgen.zoo.checkpoints import checkpoint_at_hand
from hf_sslgen.zoo.locations import UNTRAINED_PREFIX, registered

Basis = Literal["loaded", "random weights", "parameters", "unknown"]

MOST_TIMED_SECONDS = 2.0
"""A pass of a batch that would take longer is timed with fewer images."""

LARGEST_BUILT = 400_000_000
"""Parameters above which a network is only counted, without weights, and timed in proportion to `YARDSTICK`."""

YARDSTICK = "resnet50"

PATCH_SIDE = 16
DEFAULT_SIDE = 224


@dataclass(frozen=True)
class NetworkCost:
    """The cost of one image's forward pass.

    Attributes:
        seconds: on this machine; None if nothing is known of the network.
        flops: floating-point operations, a multiplication and an addition counting as two; None likewise.
        parameters: of the network, 0 if unknown.
        image_size: side of its input in pixels.
        basis: what the cost was taken from: the network itself, its architecture with random weights, or a rule of
            thumb on its number of parameters.
    """

    seconds: float | None
    flops: float | None
    parameters: int
    image_size: int
    basis: Basis


def network_cost(location: str, seed: int, geometry: Geometry | None, batch_size: int) -> NetworkCost:
    """Return the cost of a backbone's forward pass; nothing is downloaded.

    Args:
        location, seed, geometry: as in a study's cell.
        batch_size: images in a pass, as the study has them.
    """
    untrained, base = location.startswith(UNTRAINED_PREFIX), location.removeprefix(UNTRAINED_PREFIX)
    row = registered(base)
    folder = checkpoint_at_hand(base, with_weights=not untrained)
    if folder is not None:
        key = f"architecture of {row.architecture}" if row is not None else location
        return _of_files(key, f"{UNTRAINED_PREFIX if untrained else ''}{folder}", seed, geometry, batch_size)
    side = geometry.image_size if geometry is not None else _own_side(row)
    architecture = row.architecture if row is not None else _timm_architecture(base)
    if architecture is not None and timm.is_model(architecture):
        return _of_architecture(architecture, side, batch_size)
    return _of_parameters(row.parameters if row is not None else None, side, batch_size)


def _own_side(row: Backbone | None) -> int | None:
    return get_twin_set(row.twin_set).image_size if row is not None and row.twin_set is not None else None


def _timm_architecture(name: str) -> str | None:
    """Return the architecture that a Hub id of timm's names, such as `timm/resnet50.a1_in1k`."""
    owner, _, model = name.partition("@")[0].rpartition("/")
    return model.partition(".")[0] if owner.rpartition(":")[2] == "timm" else None


_timed: dict[tuple[str, Geometry | None, int], NetworkCost] = {}


def _of_files(key: str, location: str, seed: int, geometry: Geometry | None, batch_size: int) -> NetworkCost:
    """Load a backbone from its folder and time it, once for all with the same `key`."""
    if (key, geometry, batch_size) not in _timed:
        backbone = load_backbone(location, ("first", "second"), seed=seed, geometry=geometry, match="none")
        place(backbone)
        side = backbone.preprocessing.geometry.image_size
        _timed[key, geometry, batch_size] = _measured(
            backbone.model, backbone.num_parameters, side, batch_size, "loaded"
        )
    return _timed[key, geometry, batch_size]


@functools.lru_cache(maxsize=256)
def _of_architecture(architecture: str, side: int | None, batch_size: int) -> NetworkCost:
    with torch.device("meta"):
        counted: Any = _built(architecture, side)
    side = side or counted.default_cfg["input_size"][-1]
    parameters = sum(parameter.numel() for parameter in counted.parameters())
    if parameters > LARGEST_BUILT:
        flops = count_flops(counted, torch.zeros(1, 3, side, side, device="meta"))
        yardstick = _of_architecture(YARDSTICK, DEFAULT_SIDE, batch_size)
        assert yardstick.seconds is not None and yardstick.flops is not None
        return NetworkCost(yardstick.seconds * flops / yardstick.flops, flops, parameters, side, "random weights")
    model = _built(architecture, side).to(default_device()).eval()
    return _measured(model, parameters, side, batch_size, "random weights")


def _built(architecture: str, side: int | None) -> Any:
    resizable = timm.models.is_model_in_modules(architecture, RESIZABLE_TIMM_MODULES)
    options: dict[str, Any] = {"dynamic_img_size": True} if resizable and side is not None else {}
    return timm.create_model(architecture, pretrained=False, num_classes=0, **options)


def _of_parameters(parameters: int | None, side: int | None, batch_size: int) -> NetworkCost:
    """Estimate from the number of parameters: each is used once per patch of 16 x 16 pixels.

    That holds for vision transformers, and within a third for ResNet-50.
    """
    side = side or DEFAULT_SIDE
    if parameters is None:
        return NetworkCost(None, None, 0, side, "unknown")
    flops = 2.0 * parameters * (side / PATCH_SIDE) ** 2
    yardstick = _of_architecture(YARDSTICK, DEFAULT_SIDE, batch_size)
    assert yardstick.seconds is not None and yardstick.flops is not None
    return NetworkCost(yardstick.seconds * flops / yardstick.flops, flops, parameters, side, "parameters")


def _measured(model: Any, parameters: int, side: int, batch_size: int, basis: Basis) -> NetworkCost:
    """Count the operations of one image's pass, which also prepares kernels, then time a batch."""
    device = next(model.parameters()).device
    pixels = torch.zeros(batch_size, 3, side, side, device=device)
    flops = count_flops(model, pixels[:1])
    with torch.inference_mode():
        one = _seconds(model, pixels[:1])
        pixels = pixels[: max(1, min(batch_size, int(MOST_TIMED_SECONDS / one)))]
        if device.type == "cuda":
            model(pixels)  # kernels for a batch of this size
        seconds = _seconds(model, pixels) / len(pixels)
    return NetworkCost(seconds, flops, parameters, side, basis)


def _seconds(model: Any, pixels: torch.Tensor) -> float:
    started = time.perf_counter()
    found = model(pixels)
    outputs = found if isinstance(found, torch.Tensor) else found.logits
    outputs.cpu()
    return time.perf_counter() - started
