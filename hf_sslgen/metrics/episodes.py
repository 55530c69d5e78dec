"""The mean accuracy of few-shot episodes, with an interval over test images and draws."""

import math

import numpy as np
import scipy

from hf_sslgen.metrics.comparison import Estimate
from hf_sslgen.metrics.defined import ROUNDING
from hf_sslgen.metrics.inputs import FloatArray
from hf_sslgen.metrics.intervals import LEVEL, MIN_SAMPLES

NO_EFFECTS = "earlier versions did not record what each test image contributes to the episodes"


def episode_estimate(accuracies: FloatArray, effects: FloatArray | None) -> Estimate:
    """Estimate the accuracy of an episode of other test images, or a difference between two such accuracies.

    Episodes share their images: more of them narrow only the variance of the draws, s^2 / E, and not that of the test
    images, sum of the squared effects / M^2. The interval is Student's t with Satterthwaite's degrees of freedom for
    the sum of both. An interval over episodes alone would cover 0 to 60% instead of 95% at 600 episodes.

    Args:
        accuracies: of each episode, (E,).
        effects: of each image that can take part, (M,), as in `hf_sslgen.training.few_shot_effects`; None if unknown.

    Returns:
        The mean, with `n` the number of episodes. There is no interval, and a `reason`, without effects, with fewer
        than 100 images, with one episode, or if nothing varies.
    """
    mean, num_episodes = float(accuracies.mean()), len(accuracies)
    reason = ""
    if effects is None:
        reason = NO_EFFECTS
    elif len(effects) < MIN_SAMPLES:
        reason = f"only {len(effects)} test images take part in episodes; an interval needs {MIN_SAMPLES}"
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
