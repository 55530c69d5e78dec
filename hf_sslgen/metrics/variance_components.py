"""What a difference between two backbones varies with, and the variance that a planned design would leave.

On domain d, image i contributes to the difference of pretraining run r and training seed s

    value = mean + domain[d] + image[d, i] + run[r] + run_on_domain[d, r] + training[d, r, s]
            + image_run[d, i, r] + image_training[d, i, r, s]

and all terms but the mean are random. The variances of the terms are the components. From them follow the variances
that `hf_sslgen.metrics.run_variance` would estimate in a study of another size, so that what is planned agrees with
what the study reports afterwards.
"""

import math
from dataclasses import dataclass

from hf_sslgen.metrics.run_variance import RunVariance


@dataclass(frozen=True)
class VarianceComponents:
    """Variances of the terms, in squared units of the number; NaN where unknown.

    Attributes:
        image: between images, of one domain.
        image_training, image_run: between images, of one training or one pretraining run on its own.
        training: between trainings of the same pretrained backbones on one domain.
        run_on_domain: between pretraining runs, on each domain on its own.
        run: between pretraining runs, alike on all domains.
        domain: between domains.
    """

    image: float
    image_training: float
    image_run: float
    training: float
    run_on_domain: float
    run: float
    domain: float


@dataclass(frozen=True)
class Design:
    """The size of a study of one contrast.

    Attributes:
        images: test images per domain; over several domains their harmonic mean.
        seeds: training seeds per pretraining run.
        runs: pretraining runs.
        domains: domains of one group.
    """

    images: float
    seeds: int
    runs: int
    domains: int


def image_error(components: VarianceComponents, design: Design) -> float:
    """Compute the standard error, over images, of a difference on one domain averaged over runs and trainings."""
    shared = components.image_run / design.runs + components.image_training / (design.runs * design.seeds)
    return math.sqrt((components.image + shared) / design.images)


def training_variance(components: VarianceComponents, design: Design) -> RunVariance:
    """Compute what `nested_variance` is expected to estimate over the trainings of one domain."""
    trainings, noise = design.runs * design.seeds, components.image_training / design.images
    return _run_variance(
        (components.training + noise) / trainings,
        design.runs * (design.seeds - 1),
        noise / trainings,
        image_error(components, design) ** 2,
    )


def pretraining_variance(components: VarianceComponents, design: Design) -> RunVariance:
    """Compute what `crossed_variance` is expected to estimate over the pretraining runs of one domain."""
    noise = (components.image_run + components.image_training / design.seeds) / design.images
    between = components.run + components.run_on_domain + components.training / design.seeds + noise
    return _run_variance(
        between / design.runs, design.runs - 1, noise / design.runs, image_error(components, design) ** 2
    )


def domain_error(components: VarianceComponents, design: Design) -> float:
    """Compute the standard error, over domains, of a difference averaged over runs and trainings."""
    within = components.image / design.images + _noise_of_run(components, design) / design.runs
    return math.sqrt((components.domain + within) / design.domains)


def pretraining_variance_over_domains(components: VarianceComponents, design: Design) -> RunVariance:
    """Compute what `crossed_variance` is expected to estimate over pretraining runs that all domains share."""
    noise = _noise_of_run(components, design) / design.domains
    return _run_variance(
        (components.run + noise) / design.runs,
        design.runs - 1,
        noise / design.runs,
        domain_error(components, design) ** 2,
    )


def _noise_of_run(components: VarianceComponents, design: Design) -> float:
    """Compute the variance of one pretraining run on one domain about its mean over domains."""
    of_images = (components.image_run + components.image_training / design.seeds) / design.images
    return components.run_on_domain + components.training / design.seeds + of_images


def _run_variance(column: float, degrees_of_freedom: int, interaction: float, row: float) -> RunVariance:
    if degrees_of_freedom == 0:
        return RunVariance(math.nan, 0, math.nan, row)
    return RunVariance(column, degrees_of_freedom, interaction, row)
