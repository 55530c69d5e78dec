"""Effects of images on episodes, against effects from many episodes and against redrawn test sets."""

import math

import numpy as np
import pytest

from hf_sslgen.errors import InputError
from hf_sslgen.metrics.episodes import NO_EFFECTS, episode_estimate
from hf_sslgen.training.few_shot import prototypical_accuracies
from hf_sslgen.training.few_shot_effects import image_effects

WAYS, SHOTS, QUERIES = 3, 2, 6
NUM_CLASSES, SIZE, WIDTH = 5, 24, 6
LABELS = np.repeat(np.arange(NUM_CLASSES), SIZE)
MEANS = 0.7 * np.random.default_rng(3).normal(size=(NUM_CLASSES, WIDTH))


def features_of(generator: np.random.Generator) -> np.ndarray:
    return MEANS[LABELS] + generator.normal(size=(len(LABELS), WIDTH))


def accuracies_of(features: np.ndarray, episodes: int, seed: int) -> np.ndarray:
    return prototypical_accuracies(features, LABELS, WAYS, SHOTS, QUERIES, episodes, seed)


def variance_of(effects: np.ndarray) -> float:
    return float(np.square(effects).sum()) / len(effects) ** 2


def test_effects_are_those_seen_in_episodes() -> None:
    """In many episodes, the mean accuracy with an image as support, and the image's own share as a query."""
    generator = np.random.default_rng(1)
    num_episodes, size = 40_000, 60
    labels = np.repeat(np.arange(NUM_CLASSES), size)
    features = MEANS[labels] + generator.normal(size=(len(labels), WIDTH))
    chosen = generator.random((num_episodes, NUM_CLASSES)).argsort(axis=1)[:, :WAYS]
    drawn = (
        generator.random((num_episodes, WAYS, size)).argsort(axis=2)[:, :, : SHOTS + QUERIES]
        + size * chosen[..., None]
    )
    support, query = drawn[:, :, :SHOTS], drawn[:, :, SHOTS:]
    prototypes = features[support].mean(axis=2)
    distances = np.square(features[query][:, :, :, None] - prototypes[:, None, None]).sum(axis=4)
    right = distances.argmin(axis=3) == np.arange(WAYS)[:, None]  # (episodes, ways, queries)
    count, num_right = np.bincount(query.ravel()), np.bincount(query.ravel(), weights=right.ravel())
    of_episode = np.broadcast_to(right.mean(axis=(1, 2))[:, None, None], support.shape)
    as_support = np.bincount(support.ravel(), weights=of_episode.ravel()) / np.bincount(support.ravel())
    expected = np.empty(len(labels))
    for label in range(NUM_CLASSES):
        own = label == labels
        correct, supporting = (num_right / count)[own], as_support[own]
        effect = (correct - correct.mean()) / NUM_CLASSES
        effect += WAYS * SHOTS / NUM_CLASSES * (supporting - supporting.mean())
        expected[own] = effect * len(labels) / size * math.sqrt(size / (size - 1))
    found = image_effects(features, labels, WAYS, SHOTS, QUERIES, seed=0)
    assert (found.positions == np.arange(len(labels))).all()
    assert np.corrcoef(found.effects, expected)[0, 1] > 0.97
    assert variance_of(found.effects) == pytest.approx(variance_of(expected), rel=0.1)


def test_what_is_drawn_depends_on_labels_and_seed_alone() -> None:
    features = features_of(np.random.default_rng(0))
    first = image_effects(features, LABELS, WAYS, SHOTS, QUERIES, seed=0).effects
    np.testing.assert_allclose(
        image_effects(5 * features[:, ::-1] + 2, LABELS, WAYS, SHOTS, QUERIES, seed=0).effects, first, atol=1e-9
    )
    assert (image_effects(features, LABELS, WAYS, SHOTS, QUERIES, seed=1).effects != first).any()
    for label in range(NUM_CLASSES):
        assert first[label == LABELS].mean() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(("ways", "num_classes"), [(2, 2), (2, 3), (3, 3), (5, 5)])
def test_few_classes(ways: int, num_classes: int) -> None:
    """Also where an episode takes all classes; with perfect features no image matters."""
    labels = np.repeat(np.arange(num_classes), 12)
    perfect = image_effects(np.eye(num_classes)[labels], labels, ways, 2, 6, seed=0)
    assert perfect.effects == pytest.approx(0, abs=1e-12)
    noise = np.random.default_rng(0).normal(size=(len(labels), 4))
    for shots, queries in ((2, 6), (9, 2), (1, 11)):  # nine supports of twelve images leave no second set of nine
        effects = image_effects(noise, labels, ways, shots, queries, seed=0).effects
        assert np.isfinite(effects).all() and np.ptp(effects) > 0


def test_images_of_small_classes_take_no_part() -> None:
    labels = np.append(LABELS, [5] * 7)
    features = np.random.default_rng(0).normal(size=(len(labels), 4))
    assert len(image_effects(features, labels, WAYS, SHOTS, QUERIES, seed=0).positions) == len(LABELS)
    with pytest.raises(InputError, match="only 5 classes have that many"):
        image_effects(features, labels, 6, SHOTS, QUERIES, seed=0)


def test_few_queries_at_a_time_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    features = features_of(np.random.default_rng(0))
    whole = image_effects(features, LABELS, WAYS, SHOTS, QUERIES, seed=0).effects
    monkeypatch.setattr("hf_sslgen.training.few_shot_effects.MOST_QUERIES", 60)
    in_parts = image_effects(features, LABELS, WAYS, SHOTS, QUERIES, seed=0).effects
    assert np.corrcoef(whole, in_parts)[0, 1] > 0.95
    assert variance_of(in_parts) == pytest.approx(variance_of(whole), rel=0.15)


def test_products_of_all_pairs_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    features = features_of(np.random.default_rng(0))
    direct = image_effects(features, LABELS, WAYS, SHOTS, QUERIES, seed=0).effects
    monkeypatch.setattr("hf_sslgen.training.few_shot_effects.FEW_DIMENSIONS", 0)
    by_pairs = image_effects(features, LABELS, WAYS, SHOTS, QUERIES, seed=0).effects
    np.testing.assert_allclose(by_pairs, direct, atol=1e-9)


def test_more_episodes_do_not_make_an_interval_vanish() -> None:
    features = features_of(np.random.default_rng(0))
    effects = image_effects(features, LABELS, WAYS, SHOTS, QUERIES, seed=0).effects
    widths = []
    for episodes in (100, 1600):
        estimate = episode_estimate(accuracies_of(features, episodes, 0), effects)
        widths.append(estimate.high - estimate.low)
        assert estimate.n == episodes and estimate.low < estimate.value < estimate.high
    of_images = 2 * 1.98 * math.sqrt(variance_of(effects))
    assert widths[0] > widths[1] > of_images and widths[1] == pytest.approx(of_images, rel=0.05)


def test_variances_of_images_and_draws_are_added() -> None:
    accuracies, effects = np.tile([0.4, 0.6], 50), np.tile([-0.5, 0.5], 100)
    estimate = episode_estimate(accuracies, effects)
    variance = 0.25 / 200 + accuracies.var(ddof=1) / 100
    assert (estimate.low + estimate.high) / 2 == pytest.approx(0.5) == estimate.value
    assert (estimate.high - 0.5) / math.sqrt(variance) == pytest.approx(1.97, abs=0.01)


@pytest.mark.parametrize(
    ("accuracies", "effects", "reason"),
    [
        ([0.4, 0.6], None, NO_EFFECTS),
        ([0.4, 0.6], np.ones(99), "only 99 test images take part in episodes; an interval needs 100"),
        ([0.4], np.ones(100), "one episode does not show how much draws vary"),
        ([0.4, 0.4], np.full(100, 1e-16), "all episodes have the same accuracy"),
    ],
)
def test_no_interval_is_given_where_none_covers(accuracies, effects, reason: str) -> None:
    estimate = episode_estimate(np.array(accuracies), effects)
    assert math.isnan(estimate.low) and math.isnan(estimate.high) and estimate.reason == reason
    assert estimate.value == pytest.approx(np.mean(accuracies))


@pytest.mark.slow
@pytest.mark.parametrize("episodes", [100, 600])
def test_intervals_cover_over_redrawn_test_sets(episodes: int) -> None:
    """Of one backbone, and of a difference between two on the same episodes; those over episodes alone do not."""
    generator = np.random.default_rng(5)
    other = np.eye(WIDTH) + 0.3 * generator.normal(size=(WIDTH, WIDTH))
    fresh = [features_of(generator) for _ in range(600)]  # many test sets give the expected accuracies
    pairs = np.array(
        [[accuracies_of(x @ map_, 40, s).mean() for map_ in (np.eye(WIDTH), other)] for s, x in enumerate(fresh)]
    )
    truths = pairs[:, 0].mean(), (pairs[:, 0] - pairs[:, 1]).mean()
    covered, alone = np.zeros(2), 0.0
    for seed in range(200):
        features = features_of(generator)
        sides = [features, features @ other]
        accuracies = [accuracies_of(side, episodes, seed) for side in sides]
        effects = [image_effects(side, LABELS, WAYS, SHOTS, QUERIES, seed).effects for side in sides]
        estimates = (
            episode_estimate(accuracies[0], effects[0]),
            episode_estimate(
                accuracies[0] - accuracies[1], effects[0] - effects[1], [of_side.mean() for of_side in accuracies]
            ),
        )
        covered += [e.low <= truth <= e.high for e, truth in zip(estimates, truths, strict=True)]
        alone += abs(accuracies[0].mean() - truths[0]) <= 1.96 * accuracies[0].std() / math.sqrt(episodes)
    assert (covered / 200 >= 0.90).all() and alone / 200 < 0.8
