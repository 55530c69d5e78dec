"""Differences of a study drawn from known variance components, judged as real ones are."""

import math
from collections.abc import Sequence

import numpy as np
from scipy import stats

from hf_sslgen.metrics.results import Interval
from hf_sslgen.metrics.variance_components import Design, VarianceComponents
from hf_sslgen.study.inference.judgement import Judgement
from hf_sslgen.study.inference.scopes import run_variances, scoped_intervals
from hf_sslgen.study.inference.seed_averages import TargetDifference

Z = float(stats.norm.ppf(0.975))


def draw_domains(
    components: VarianceComponents, design: Design, difference: float, generator: np.random.Generator
) -> list[np.ndarray]:
    """For each domain what every image contributes to the difference, shape (R, S, N)."""

    def effect(variance: float, *shape: int) -> np.ndarray:
        return generator.normal(size=shape) * math.sqrt(variance)

    images, shape = int(design.images), (design.runs, design.seeds)
    run = effect(components.run, design.runs, 1, 1)
    return [
        difference
        + effect(components.domain, 1, 1, 1)
        + effect(components.image, 1, 1, images)
        + run
        + effect(components.run_on_domain, design.runs, 1, 1)
        + effect(components.training, *shape, 1)
        + effect(components.image_run, design.runs, 1, images)
        + effect(components.image_training, *shape, images)
        for _ in range(design.domains)
    ]


def simulated_targets(drawn: Sequence[np.ndarray], metric: str = "accuracy") -> list[TargetDifference]:
    """The difference on each domain, with a normal interval over images."""
    return [_target(f"domain-{index}", values, metric) for index, values in enumerate(drawn)]


def _target(domain: str, values: np.ndarray, metric: str) -> TargetDifference:
    runs, seeds, images = values.shape
    of_images = values.mean(axis=(0, 1))
    mean, half = float(of_images.mean()), Z * float(of_images.std(ddof=1)) / math.sqrt(images)
    variances = run_variances([list(run) for run in values])
    over_images = Interval(mean - half, mean + half)
    return TargetDifference(
        *(metric, "simclr", "supervised", domain, "different", "finetune", "fine_tuned", "", "", 0),
        *(mean, *over_images, images),
        first_objective="simclr",
        second_objective="supervised",
        pretraining_seed=0,
        variances=variances,
        num_seeds=runs * seeds,
        num_pretraining_seeds=runs,
        run_values=dict(enumerate(map(float, values.mean(axis=(1, 2))))) if runs > 1 else {},
        judgement=Judgement(scoped_intervals(mean, over_images, variances)),
    )
