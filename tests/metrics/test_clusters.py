"""Intervals over groups: closed forms for equal sizes, brute force for unequal ones, and how often they cover."""

import numpy as np
import pytest
from scipy import stats

from hf_sslgen.metrics.clusters import (
    cluster_contributions,
    few_groups_of_a_class,
    grouped_class_share_interval,
    grouped_difference_interval,
    grouped_few_interval,
    grouped_mean_interval,
    grouped_share_interval,
    too_few_groups,
)
from hf_sslgen.metrics.intervals import mean_interval
from hf_sslgen.metrics.shares import per_class_values, share_interval


def drawn(generator, sizes, correlation):
    """Values of images in groups, with this correlation within a group, and their groups."""
    groups = np.repeat(np.arange(len(sizes)), sizes)
    own = generator.normal(size=len(groups)) * np.sqrt(1 - correlation)
    return own + generator.normal(size=len(sizes))[groups] * np.sqrt(correlation), groups


def test_groups_of_equal_size_give_the_t_interval_of_their_means():
    values, groups = drawn(np.random.default_rng(0), [7] * 12, 0.4)
    means = values.reshape(12, 7).mean(axis=1)
    assert cluster_contributions(values, groups) == pytest.approx(means)
    found = grouped_difference_interval(values, groups).interval
    assert tuple(found) == pytest.approx(stats.ttest_1samp(means, 0).confidence_interval())
    order = np.random.default_rng(1).permutation(len(values))
    assert tuple(grouped_difference_interval(values[order], groups[order] * 3 + 5).interval) == pytest.approx(found)


def test_an_image_that_is_a_group_is_a_unit():
    values = np.random.default_rng(0).normal(size=40)
    assert tuple(grouped_difference_interval(values, np.arange(40)).interval) == pytest.approx(mean_interval(values))
    credits = (values > 0.3).astype(float)
    found = grouped_share_interval(credits, np.arange(40)).interval
    assert tuple(found) == pytest.approx(share_interval(int(credits.sum()), 40), abs=0.01)


@pytest.mark.parametrize("sizes", [[1, 5, 9, 2, 2, 30, 4, 4, 8, 3], [50] + [1] * 20, list(range(1, 40))])
def test_the_correction_for_unequal_sizes_is_that_of_bell_and_mccaffrey(sizes):
    values, groups = drawn(np.random.default_rng(2), sizes, 0.9)
    k, h = len(sizes), np.array(sizes) / sum(sizes)
    deviations = np.eye(k) - np.outer(h, np.ones(k))  # of sums over groups from what the mean makes of them
    covariance = deviations @ np.diag(h**2) @ deviations.T
    degrees = np.trace(covariance) ** 2 / np.trace(covariance @ covariance)
    sums = np.bincount(groups, values - values.mean()) / len(values)
    standard_error = np.sqrt((sums**2).sum() * (h**2).sum() / np.trace(covariance))
    contributions = cluster_contributions(values, groups)
    assert contributions.mean() == pytest.approx(values.mean())
    low, high = mean_interval(contributions)
    assert (high - low) / 2 == pytest.approx(stats.t.ppf(0.975, degrees) * standard_error)


def test_contributions_are_linear_in_the_values():
    generator = np.random.default_rng(3)
    first, groups = drawn(generator, [3, 8, 1, 6, 2, 9], 0.5)
    second = generator.normal(size=len(first))
    both = (cluster_contributions(first, groups) + cluster_contributions(second, groups)) / 2
    assert cluster_contributions((first + second) / 2, groups) == pytest.approx(both)


def test_values_of_a_mean_over_classes():
    generator = np.random.default_rng(4)
    references = generator.integers(0, 4, 60)
    values = generator.random(60)
    spread = per_class_values(values, references)
    of_classes = [values[references == label].mean() for label in range(4)]
    assert spread.mean() == pytest.approx(np.mean(of_classes))
    variances = [values[references == label].var() / (references == label).sum() for label in range(4)]
    assert spread.var() / 60 == pytest.approx(np.mean(variances) / 4)


def test_there_is_no_interval_where_groups_say_too_little():
    credits, groups = np.tile([0.0, 1.0], 45), np.repeat(np.arange(9), 10)
    few = "only 9 groups of images; an interval needs 10"
    assert too_few_groups(groups) == few
    of_few = grouped_few_interval(credits, credits == 0.0, groups, "are wrong")
    assert of_few.reason == "only 9 groups of images; an interval needs 20" and np.isnan(of_few.interval).all()
    for found in (
        grouped_mean_interval(credits, groups),
        grouped_share_interval(credits, groups),
        grouped_class_share_interval(credits, (credits > 0).astype(int), groups),
        grouped_difference_interval(credits, groups),
    ):
        assert found.reason == few and np.isnan(found.interval).all()
    unequal = np.repeat(np.arange(12), [500] + [1] * 11)
    assert "so unequal that they count as 1.0 of equal size" in too_few_groups(unequal)
    groups = np.repeat(np.arange(20), 5)
    rare = np.isin(np.arange(100), [3, 20, 21]).astype(float)
    assert grouped_share_interval(rare, groups).reason == "only 2 groups have successes; an interval needs 5"
    assert grouped_share_interval(1 - rare, groups).reason == "only 2 groups have failures; an interval needs 5"
    assert "only 2 groups have images on which the two differ" in grouped_difference_interval(rare, groups).reason
    assert "only 2 groups have images that are odd" in grouped_few_interval(rare, rare > 0, groups, "are odd").reason
    assert (
        few_groups_of_a_class(groups % 3 // 2, groups) == "a class has images of only 6 groups; an interval needs 10"
    )


def test_undefined_values_are_left_out():
    values, groups = drawn(np.random.default_rng(5), [5] * 30, 0.3)
    holey = np.where(np.arange(150) % 7 == 0, np.nan, values)
    kept = ~np.isnan(holey)
    assert grouped_mean_interval(holey, groups) == grouped_mean_interval(values[kept], groups[kept])


@pytest.mark.parametrize("correlation", [0.1, 0.5, 0.9])
def test_intervals_over_groups_cover_where_those_over_images_do_not(correlation):
    generator = np.random.default_rng(8)
    covered = {"mean": 0, "share": 0, "over images": 0}
    samples = 300
    for _ in range(samples):
        sizes = generator.integers(5, 36, 20)
        values, groups = drawn(generator, sizes, correlation)
        low, high = grouped_mean_interval(values, groups).interval
        covered["mean"] += low <= 0.0 <= high
        low, high = grouped_share_interval((values > 0).astype(float), groups).interval
        covered["share"] += low <= 0.5 <= high
        low, high = mean_interval(values)
        covered["over images"] += low <= 0.0 <= high
    assert samples * 0.92 <= covered["mean"] <= samples * 0.98, covered
    assert covered["share"] >= samples * 0.92, covered
    assert covered["over images"] <= samples * 0.8, covered
