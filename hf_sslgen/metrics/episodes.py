"""The mean accuracy of few-shot episodes, with an interval over test images and draws."""

import math
from collections.abc import Sequence

import numpy as np
import scipy

from hf_sslgen.metrics.comparison import Estimate
from hf_sslgen.metrics.defined import ROUNDING
from hf_sslgen.metrics.inputs import FloatArray
from hf_sslgen.metrics.intervals import LEVEL, MIN_SAMPLES
from hf_sslgen.metrics.two_groups import MIN_OUTCOMES

NO_EFFECTS = "the cell does not record what each test image contributes to its episodes"
"""Of cells of earlier versions, and of test images that come in groups."""


def episode_estimate(
    accuracies: FloatArray, effects: FloatArray | None, shares: Sequence[float] | None = None
) -> Estimate:
    """Estimate the accuracy of an episode of other test images, or a difference between two such accuracies.

    Episodes share their images: more of them narrow only the variance of the draws, s^2 / E, and not that of the test
    images, sum of the squared effects / M^2. The interval is Student's t with Satterthwaite's degrees of freedom for
    the sum of both. An interval over episodes alone would cover 0 to 60% instead of 95% at 600 episodes.

    Args:
        accuracies: of each episode, (E,).
        effects: of each image that can take part, (M,), as in `hf_sslgen.training.few_shot_effects`; None if unknown.
        shares: for a difference, the accuracy of every backbone.

    Returns:
        The mean, with `n` the number of episodes. There is no interval, and a `reason`, without effects, with fewer
        than 100 images, if the accuracies correspond to fewer than ten images right or wrong, with one episode, or if
        nothing varies.
    """
    mean, num_episodes = float(accuracies.mean()), len(accuracies)
    shares = [mean] if shares is None else shares
    num_images = 0 if effects is None else len(effects)
    outcomes = {"right": num_images * max(shares), "wrong": num_images * (1 - min(shares))}
    rarer = min(outcomes, key=lambda outcome: outcomes[outcome])
    reason = ""
    if effects is None:
        reason = NO_EFFECTS
    elif num_images < MIN_SAMPLES:
        reason = f"only {num_images} test images take part in episodes; an interval needs {MIN_SAMPLES}"
    elif outcomes[rarer] < MIN_OUTCOMES:
        reason = f"as few as {outcomes[rarer]:.1f} test images are {rarer}; an interval needs {MIN_OUTCOMES}"
    elif num_episodes < 2:
        reason = "one episode does not show how much draws vary"
    elif np.ptp(accuracies) <= ROUNDING and np.abs(effects).max() <= ROUNDING:
        reason = "all episodes have the same accuracy"
    if effects is None or reason:
        return Estimate(mean, math.nan, math.nan, num_episodes, reason)
    of_images = float(np.square(effects).sum()) / len(effects) ** 2
    of_draws = float(accuracies.var(ddof=1)) / num_episodes
    variance = of_images + of_draws
    degrees = variance**2 / (of_images**2 / (len(effects) - 1) + of_draws**2 / (num_episodes - 1))
    half_width = float(scipy.special.stdtrit(degrees, (1 + LEVEL) / 2)) * math.sqrt(variance)
    return Estimate(mean, mean - half_width, mean + half_width, num_episodes)
