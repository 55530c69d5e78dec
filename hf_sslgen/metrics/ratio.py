"""Numbers of the form 1 - mean(own) / mean(chance), where chance is a mean over pairs of samples."""

import numpy as np

from hf_sslgen.metrics.defined import interval_of_defined, mean_of_defined
from hf_sslgen.metrics.inputs import FloatArray, IntArray
from hf_sslgen.metrics.results import Interval


def ratio_influence(own: FloatArray, as_query: FloatArray, as_candidate: FloatArray, group: IntArray) -> FloatArray:
    """Compute each sample's first-order influence on 1 - mean(own) / mean(chance); shape (M,), with mean 0.

    Sample i contributes to the error of chance both as query and as candidate within its group (Hajek projection).
    With a = mean(own), b = mean(chance) and b_g the mean chance within the group of i,

        influence_i = -(own_i - a) / b + a / b^2 (query_i + candidate_i - b_g - b)

    A sample without chance pairs affects only the first term.

    Args:
        own: distance of each sample to its own counterpart; NaN where undefined.
        as_query, as_candidate: mean distance to others' counterparts, and of others to its own; NaN if there are no
            others.
        group: group labels, from 0, within which these others were taken.
    """
    a, b = mean_of_defined(own), mean_of_defined(as_query)
    paired = ~np.isnan(as_query)
    sizes = np.bincount(group, weights=paired)
    within = np.bincount(group, weights=np.where(paired, as_query, 0.0)) / np.maximum(sizes, 1.0)
    of_chance = np.where(paired, as_query + as_candidate - within[group] - b, 0.0)
    paired_share = paired.sum() / np.sum(~np.isnan(own))
    influence: FloatArray = -(own - a) / b + a / b**2 * of_chance / paired_share
    return influence


def ratio_values(own: FloatArray, as_query: FloatArray, as_candidate: FloatArray, group: IntArray) -> FloatArray:
    """Compute values (M,) whose mean is, and to first order varies like, 1 - mean(own) / mean(chance)."""
    value = 1.0 - mean_of_defined(own) / mean_of_defined(as_query)
    return value + ratio_influence(own, as_query, as_candidate, group)


def ratio_interval(own: FloatArray, as_query: FloatArray, as_candidate: FloatArray, group: IntArray) -> Interval:
    """Compute the delta-method interval of 1 - mean(own) / mean(chance); none with fewer than 100 samples."""
    return interval_of_defined(ratio_values(own, as_query, as_candidate, group))
