"""Variance components to plan with if no earlier study provides them.

They are of the difference in accuracy between two backbones whose networks vary independently. Other numbers have no
published ones.
"""

from dataclasses import dataclass

from hf_sslgen.metrics.catalogue.rows import HEADLINE_ACCURACY
from hf_sslgen.metrics.variance_components import VarianceComponents
from hf_sslgen.study.inference.design.measured_components import NOTHING_KNOWN

SMALL_SIDE = 128
"""Below this side of their input, in pixels, networks are taken to vary as the small ones do."""


@dataclass(frozen=True)
class Assumption:
    """Components of a difference in accuracy, with what they were taken from."""

    name: str
    source: str
    accuracy: VarianceComponents

    def of(self, metric: str) -> VarianceComponents:
        """Return the components of a number; NaN where none are assumed."""
        return self.accuracy if metric == HEADLINE_ACCURACY else NOTHING_KNOWN


def _of_points(
    disagreement: float, seed: float, run_on_domain: float, run: float, domain: float
) -> VarianceComponents:
    """Return the components of the difference of two networks.

    Args:
        disagreement: share of images that only one of the two classifies correctly.
        seed, run_on_domain, run: standard deviations of one network's accuracy, in points.
        domain: standard deviation of the difference over domains, in points.
    """
    return VarianceComponents(
        image=disagreement,
        image_training=0.0,
        image_run=0.0,
        training=2.0 * (seed / 100.0) ** 2,
        run_on_domain=2.0 * (run_on_domain / 100.0) ** 2,
        run=2.0 * (run / 100.0) ** 2,
        domain=(domain / 100.0) ** 2,
    )


IMAGENET_SIZE = Assumption(
    "ImageNet-size networks",
    "a training seed moves a network's accuracy by 0.25 points and a pretraining run by 0.4 (seeds of vision networks "
    "spread over tenths of a point: Picard 2021, arXiv 2109.08203); self-supervised minus supervised varies by 2 "
    "points between domains (eight ResNet-50 fine-tuned on 11 targets, published with SFDA, arXiv 2207.03036: median "
    "2.0); twins disagree on 10% of the images",
    _of_points(disagreement=0.10, seed=0.25, run_on_domain=0.25, run=0.3, domain=2.0),
)
SMALL = Assumption(
    "small networks",
    "a training seed moves a network's accuracy by 2 points and a pretraining run by 2.2, self-supervised minus "
    "supervised varies by 5 points between domains, and twins disagree on 20% of the images (the linear probes with "
    "10% of the labels in docs/results.md)",
    _of_points(disagreement=0.20, seed=2.0, run_on_domain=2.0, run=1.0, domain=5.0),
)


def assumption_for(image_size: int | None) -> Assumption:
    """Return what is assumed of networks with this input side; None means each backbone's own."""
    return SMALL if image_size is not None and image_size < SMALL_SIDE else IMAGENET_SIZE
