"""How a backbone is measured."""

from dataclasses import dataclass
from typing import Literal

from hf_sslgen.errors import InputError
from hf_sslgen.settings import check_fields, ranged

Precision = Literal["fp32", "bf16", "fp16"]

AttributionMethod = Literal["grad_cam", "integrated_gradients", "gradient_x_activation", "occlusion"]
"""Names of `attribution.ATTRIBUTION_METHODS`, for options and study files."""

TransformPreset = Literal["quick", "standard", "full"]
"""Names of `transforms.PRESETS`."""

Target = Literal["centred", "logit"]
"""`centred` is a class's logit minus the mean logit, because logits are defined only up to a common shift; `logit` is
the raw logit, as in captum."""


@dataclass(frozen=True)
class Compute:
    """How forward passes are computed; this changes results only by rounding.

    Attributes:
        precision: precision of weights and activations before the classifier; features and logits are float32.
        channels_last: whether to use the channels-last memory layout, which suits many CNNs.
        compile: whether to compile the network with torch.compile first, which takes minutes.
    """

    precision: Precision = "fp32"
    channels_last: bool = False
    compile: bool = False


@dataclass(frozen=True)
class AnalysisSettings:
    """How a backbone is measured.

    Attributes:
        transforms: preset of transforms.
        max_subset: images (a fixed, stratified part of the test split) for attribution and invariance.
        attribution_method: how attribution is computed; by `occlusion`, which asks no classifier, in the pretrained
            stage too.
        reinitialised_control: whether the same network with fresh weights is attributed beside it.
        randomisation_cascade: whether maps are also compared with those of networks of which only a part, from the
            head on, has fresh weights; with `reinitialised_control` only.
        target: which score of a class is attributed.
        attributed_class: the class that the network predicts, or the true one.
        attribution_layer: module to attribute instead of the one the rule finds.
        num_examples: images whose maps are kept to be shown.
        precision, channels_last, compile: as in `Compute`.
    """

    transforms: TransformPreset = "quick"
    max_subset: int = ranged(1000, at_least=1)
    seed: int = ranged(0, at_least=0, at_most=2**32 - 1)
    attribution_method: AttributionMethod = "grad_cam"
    reinitialised_control: bool = False
    randomisation_cascade: bool = False
    target: Target = "centred"
    attributed_class: Literal["predicted", "true"] = "predicted"
    attribution_layer: str | None = None
    num_examples: int = ranged(8, at_least=1)
    batch_size: int = ranged(64, at_least=1)
    precision: Precision = "fp32"
    channels_last: bool = False
    compile: bool = False

    def __post_init__(self) -> None:
        check_fields(self)
        if self.randomisation_cascade and not self.reinitialised_control:
            raise InputError(
                "randomisation_cascade is true and reinitialised_control is false, but the cascade ends with that "
                "control; set reinitialised_control to true, or drop randomisation_cascade"
            )

    @property
    def compute(self) -> Compute:
        """How forward passes are computed."""
        return Compute(self.precision, self.channels_last, self.compile)
