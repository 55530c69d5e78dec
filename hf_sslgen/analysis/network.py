"""Prepare a backbone for measuring, so that one forward pass yields logits, features and activations to attribute."""

import copy
import platform
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import PreTrainedModel

from hf_sslgen.analysis.analysis_settings import Compute
from hf_sslgen.analysis.class_token import class_token_alone
from hf_sslgen.analysis.folding import fold_batch_norm
from hf_sslgen.analysis.taps import frozen, runs_as, tapped
from hf_sslgen.analysis.trunk_passes import count_passes
from hf_sslgen.errors import InputError
from hf_sslgen.preprocessing import Preprocessing, normalise
from hf_sslgen.zoo.anatomy import AttributionLayer, find_classifier
from hf_sslgen.zoo.backbone_loading import LoadedBackbone

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True, eq=False)
class PassOutputs:
    """A network's outputs for a batch.

    Attributes:
        logits: (B, C) float32.
        features: (B, D) float32, the input of the classifier.
        activations: (B, K, h, w), the attributed tensor, from which the other two were computed; None without a tapped
            layer, or if no gradients are recorded.
    """

    logits: Tensor
    features: Tensor
    activations: Tensor | None


@dataclass(eq=False)
class _Seen:
    """Tensors captured during the current forward pass."""

    features: Tensor | None = None
    activations: Tensor | None = None


class Network:
    """A frozen network that is called with pixels; create one with `measuring`.

    Attributes:
        model: the network as a module, for attribution methods that need one.
        classifier_weight: (C, D) float32.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        classifier: nn.Linear,
        preprocessing: Preprocessing,
        compute: Compute,
        run: Callable[..., Any],
        seen: _Seen,
    ) -> None:
        self.model = model
        self._classifier = classifier
        self.classifier_weight = classifier.weight.detach()
        self.preprocessing = preprocessing
        self._dtype = DTYPES[compute.precision]
        self._layout = torch.channels_last if compute.channels_last else torch.contiguous_format
        self._run, self._seen = run, seen

    @property
    def device(self) -> torch.device:
        return self.classifier_weight.device

    def inputs(self, pixels: Tensor) -> Tensor:
        """Normalise pixels for the network.

        Args:
            pixels: (B, 3, S, S) bytes, or floats in [0, 1].
        """
        normalised = normalise(pixels.to(self.device), self.preprocessing)
        # Convert the type first: that halves the data to rearrange, and torch is slow at doing both at once.
        return normalised.to(self._dtype).contiguous(memory_format=self._layout)

    @torch.inference_mode()
    def classified(self, features: Tensor) -> Tensor:
        """Return the logits (B, C) for features (B, D) from an earlier pass."""
        return F.linear(features.to(self.device), self._classifier.weight, self._classifier.bias)

    def __call__(self, pixels: Tensor) -> PassOutputs:
        """Run one forward pass on (B, 3, S, S) bytes, or floats in [0, 1]."""
        return self.run(self.inputs(pixels))

    def run(self, inputs: Tensor, counted: bool = True) -> PassOutputs:
        """Run one forward pass on the output of `inputs`, so that the caller can free the pixels first.

        Args:
            counted: whether it counts as a pass through the trunk (`trunk_passes`).
        """
        if counted:
            count_passes(len(inputs))
        logits = self._run(pixel_values=inputs).logits
        features, activations = self._seen.features, self._seen.activations
        self._seen.features = self._seen.activations = None
        assert features is not None
        if (
            features.untyped_storage().nbytes() > features.nbytes
        ):  # a view of the class token would keep all tokens in memory
            features = features.clone()
        return PassOutputs(logits, features, activations)


def default_device() -> torch.device:
    """Return the accelerator if there is one, else the CPU."""
    return torch.accelerator.current_accelerator(check_available=True) or torch.device("cpu")


def device_name() -> str:
    """Return the name of that device, as cells and measured costs state it."""
    device = default_device()
    return torch.cuda.get_device_name() if device.type == "cuda" else f"{device.type} ({platform.machine()})"


def place(backbone: LoadedBackbone) -> None:
    """Move a backbone to the measuring device."""
    nn.Module.to(backbone.model, default_device())


def _prepared(backbone: LoadedBackbone, compute: Compute, layer: AttributionLayer | None) -> PreTrainedModel:
    """Return the model, or a faster equivalent copy.

    In half precision the classifier stays float32, because logits are small differences, and batch normalisation is
    folded before anything is rounded.
    """
    model = backbone.model
    if compute.precision == "fp16" and model.device.type == "cpu":
        raise InputError("precision is fp16, which needs a GPU; on a CPU give bf16 or fp32")
    side = backbone.preprocessing.geometry.image_size
    prepared = fold_batch_norm(model, side, layer.module_name if layer is not None else None)
    if compute.precision != "fp32":
        prepared = copy.deepcopy(model) if prepared is model else prepared
        nn.Module.to(prepared, DTYPES[compute.precision])
        find_classifier(prepared)[1].float().load_state_dict(find_classifier(model)[1].state_dict())
    if compute.channels_last:
        nn.Module.to(prepared, memory_format=torch.channels_last)
    return prepared


@contextmanager
def measuring(
    backbone: LoadedBackbone, compute: Compute | None = None, layer: AttributionLayer | None = None, taps: bool = True
) -> Iterator[Network]:
    """Prepare a backbone on the measuring device within the block; afterwards its modules are restored.

    Forward passes tap `layer` if one is given, except in inference mode. In either case parameters are frozen and the
    trunk keeps no graph.

    Args:
        layer: module whose tensor is attributed and which must not be optimised away.
        taps: whether forward passes tap it; methods that insert their own taps into `Network.model` need none.

    Raises:
        InputError: the device does not support the precision or, in the forward pass, the layer does not hold a map.
    """
    compute = compute or Compute()
    place(backbone)
    model = _prepared(backbone, compute, layer)
    classifier = find_classifier(model)[1]
    classify, seen = classifier.forward, _Seen()

    def classify_and_keep(values: Tensor) -> Tensor:
        seen.features = values.float()
        return classify(seen.features)

    def keep_activations(_: nn.Module, __: Any, activations: Tensor) -> None:
        seen.activations = activations

    with ExitStack() as stack:
        stack.enter_context(frozen(model))
        stack.enter_context(runs_as(classifier, classify_and_keep))
        side = backbone.preprocessing.geometry.image_size
        stack.enter_context(class_token_alone(model, layer, side))
        if layer is not None and taps:
            grid = stack.enter_context(tapped(model, layer, side, side))
            grid.register_forward_hook(keep_activations)
        run = torch.compile(model) if compute.compile else model
        yield Network(model, classifier, backbone.preprocessing, compute, run, seen)
