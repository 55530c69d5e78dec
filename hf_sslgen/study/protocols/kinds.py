"""The kinds of protocols, which adapt a backbone to a domain, with every setting that decides the outcome."""

from dataclasses import dataclass
from typing import Literal

from hf_sslgen.errors import InputError
from hf_sslgen.settings import check_fields, ranged
from hf_sslgen.training.probe_defaults import INVERSE_REGULARISATION_GRID, TOLERANCE

Resize = Literal["as_given", "shorter_side", "squash"]
"""How a picture is resized: as the study's geometry specifies; by the shorter side, then cropped at the centre; or by
both sides, regardless of the aspect ratio."""

MAX_CANDIDATES = 1000
"""Largest number of candidates in one fine-tuning grid."""


@dataclass(frozen=True)
class LinearProtocol:
    """Multinomial logistic regression on frozen features (`training/logistic_regression.py`).

    Attributes:
        inverse_regularisations: candidates of C (scikit-learn's: it multiplies the summed loss).
        standardise: whether to scale features to mean 0 and standard deviation 1 over the training images.
        tolerance: a fit has converged if its largest gradient is below this, and its loss is the least but for 1e-6.
        max_iterations: passes over the features after which a fit stops in any case; the number of such fits is
            recorded.
        retrain_on_validation: refit with the selected C on training and validation images together.
    """

    inverse_regularisations: tuple[float, ...] = ranged(INVERSE_REGULARISATION_GRID, above=0)
    standardise: bool = True
    tolerance: float = ranged(TOLERANCE, above=0)
    max_iterations: int = ranged(1000, at_least=1)
    retrain_on_validation: bool = False
    resize: Resize = "as_given"

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True)
class FineTuningProtocol:
    """Training of the whole network on the domain, once per candidate of a grid.

    Attributes:
        optimiser: `by_architecture` uses AdamW for networks with layer normalisation (vision transformers, Swin,
            ConvNeXt) and SGD for the others (ResNet, RegNet, EfficientNet), as these were published.
        learning_rates, weight_decays: the grid is their product.
        sgd_learning_rates, sgd_weight_decays: the grid if `by_architecture` selects SGD.
        weight_decay_over_learning_rate: the values of the grid are wd', and the weight decay is wd' / learning rate,
            which makes their product, by which SGD shrinks weights at each step, independent of the learning rate.
        decay_all_parameters: apply weight decay to biases and normalisation layers too, as plain PyTorch and
            TensorFlow optimisers do; otherwise only to weights.
        layer_decay: in vision transformers a layer's learning rate is this power of its distance from the classifier
            (Clark et al. 2020; BEiT, Bao et al. 2022); other networks are not affected. None: one rate for all.
        num_train_epochs: passes over the training images, unless `max_steps` is given.
        schedule: `cosine` falls to 0 over all steps; `steps` multiplies by `step_factor` after each of
            `step_milestones`.
        warmup_steps: steps of linear warm-up from 0; below 1, a share of all steps.
        max_grad_norm: gradients are scaled to at most this norm; 0 leaves them unchanged.
        minimum_crop_area: smallest share of a picture that a random crop keeps; 1 turns cropping off.
        zero_initialised_classifier: start from a classifier of zeros instead of random weights.
        train_images, validation_images: use at most this many images, a stratified subset drawn by the seed.
        early_stopping_patience: stop after this many epochs without a better validation likelihood, and keep the best.
        retrain_on_validation: retrain the selected candidate on training and validation images together.
        bf16: train in bfloat16 mixed precision, which changes the weights; on a CPU without instructions for it, that
            takes many times longer than float32.
    """

    optimiser: Literal["adamw", "sgd", "by_architecture"] = "adamw"
    learning_rates: tuple[float, ...] = ranged((1e-4, 3e-4, 1e-3), above=0)
    weight_decays: tuple[float, ...] = ranged((1e-4,), at_least=0)
    sgd_learning_rates: tuple[float, ...] = ranged((), above=0)
    sgd_weight_decays: tuple[float, ...] = ranged((), at_least=0)
    weight_decay_over_learning_rate: bool = False
    decay_all_parameters: bool = False
    momentum: float = ranged(0.9, at_least=0, at_most=1)
    nesterov: bool = False
    layer_decay: float | None = ranged(None, above=0, at_most=1)
    num_train_epochs: float = ranged(10.0, above=0)
    max_steps: int | None = ranged(None, at_least=1)
    batch_size: int = ranged(64, at_least=1)
    schedule: Literal["cosine", "steps"] = "cosine"
    step_milestones: tuple[int, ...] = ranged((), at_least=1)
    step_factor: float = ranged(0.1, above=0, at_most=1)
    warmup_steps: float = ranged(0.0, at_least=0)
    max_grad_norm: float = ranged(1.0, at_least=0)
    minimum_crop_area: float = ranged(0.35, above=0, at_most=1)
    horizontal_flip: bool = True
    zero_initialised_classifier: bool = False
    train_images: int | None = ranged(None, at_least=2)
    validation_images: int | None = ranged(None, at_least=1)
    early_stopping_patience: int | None = ranged(None, at_least=1)
    retrain_on_validation: bool = False
    resize: Resize = "as_given"
    bf16: bool = False

    def __post_init__(self) -> None:
        check_fields(self)
        for rates, decays in (
            (self.learning_rates, self.weight_decays),
            (self.sgd_learning_rates, self.sgd_weight_decays),
        ):
            if len(rates) * len(decays) > MAX_CANDIDATES:
                raise InputError(
                    f"learning_rates x weight_decays makes {len(rates) * len(decays)} networks for each cell, more "
                    f"than {MAX_CANDIDATES}; make the grid smaller"
                )
        if self.early_stopping_patience is not None and self.retrain_on_validation:
            raise InputError(
                "retrain_on_validation leaves no validation images for early stopping; set early_stopping_patience to "
                "none"
            )
        if self.optimiser == "by_architecture" and not (self.sgd_learning_rates and self.sgd_weight_decays):
            raise InputError("optimiser 'by_architecture' needs sgd_learning_rates and sgd_weight_decays")
        if self.optimiser != "by_architecture" and (self.sgd_learning_rates or self.sgd_weight_decays):
            raise InputError(
                "sgd_learning_rates and sgd_weight_decays are for optimiser 'by_architecture'; set them to [] and "
                "give learning_rates and weight_decays"
            )
        if self.schedule == "cosine" and self.step_milestones:
            raise InputError("step_milestones are for schedule 'steps'; set them to []")
        if self.nesterov and self.momentum == 0:
            raise InputError("nesterov needs a momentum above 0")


@dataclass(frozen=True)
class KNNProtocol:
    """Weighted k-nearest neighbours by cosine similarity (Wu et al. 2018; Caron et al. 2021, DINO).

    Each neighbour votes exp(similarity / temperature) for its class. Only the prediction is published; for confidence
    and likelihood the votes are turned into probabilities, (k v_c + a / C) / (k + a), with v_c the share of class c in
    the votes and a = `pseudo_neighbours` spread evenly over the C classes, so that a class without a vote keeps a
    probability above 0. The prediction does not depend on a.

    Attributes:
        neighbours: candidates of k; those above the number of training images are left out.
    """

    neighbours: tuple[int, ...] = ranged((10, 20, 100, 200), at_least=1)
    temperature: float = ranged(0.07, above=0)
    pseudo_neighbours: float = ranged(1.0, above=0)
    resize: Resize = "as_given"

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True)
class FewShotProtocol:
    """Few-shot episodes with prototypes (Snell et al. 2017): a query is assigned to the nearest class mean of the
    support images, by Euclidean distance between unscaled features.

    Support and query images are drawn from the test split, the same for every backbone; nothing is trained or
    selected. The 95% interval is over test images and draws. Published ones are over episodes alone; these share
    images, so an interval over them shrinks to nothing with their number.

    Attributes:
        ways: number of classes in an episode.
        shots: number of support images per class.
        queries: number of query images per class.
    """

    ways: int = ranged(5, at_least=2)
    shots: int = ranged(5, at_least=1)
    queries: int = ranged(15, at_least=1)
    episodes: int = ranged(600, at_least=2)
    resize: Resize = "as_given"

    def __post_init__(self) -> None:
        check_fields(self)


Protocol = LinearProtocol | FineTuningProtocol | KNNProtocol | FewShotProtocol
