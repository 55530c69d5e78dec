"""Prototypes against scikit-learn's nearest centroids, chance and perfect features."""

import warnings

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.neighbors import NearestCentroid

from hf_sslgen.errors import InputError
from hf_sslgen.randomness import derive_seed
from hf_sslgen.training.few_shot import draw_episodes, prototypical_accuracies

FEATURES, LABELS = load_digits(return_X_y=True)
LABELS = LABELS.astype(np.int64)


def test_episodes_are_those_of_a_nearest_centroid_classifier() -> None:
    accuracies = prototypical_accuracies(FEATURES, LABELS, ways=5, shots=3, queries=15, episodes=40, seed=7)
    for episode in range(40):
        generator = np.random.default_rng(derive_seed(7, "episode", episode))
        classes = generator.choice(range(10), 5, replace=False)
        support, query = [], []
        for label in classes:
            drawn = generator.permutation(np.flatnonzero(label == LABELS))[:18]
            support += drawn[:3].tolist()
            query += drawn[3:].tolist()
        assert len({*support, *query}) == 5 * 18
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # support images of a class may agree in a feature
            reference = NearestCentroid().fit(FEATURES[support], LABELS[support])
        assert accuracies[episode] == pytest.approx(reference.score(FEATURES[query], LABELS[query]))
    assert 0.5 < accuracies.mean() < 1


@pytest.mark.parametrize("features", [FEATURES.round(-1), np.ones((len(LABELS), 3)), FEATURES // 16])
def test_equal_distances_and_blocks_change_nothing(features: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> None:
    """One query after the other, with the first of equally near classes."""
    monkeypatch.setattr("hf_sslgen.training.few_shot.MOST_VALUES", 4 * 20 * features.shape[1] * 3)
    accuracies = prototypical_accuracies(features, LABELS, 4, 5, 15, 20, seed=3)
    for accuracy, drawn in zip(accuracies, draw_episodes(LABELS, 4, 5, 15, 20, seed=3), strict=True):
        prototypes = features[drawn[:, :5]].mean(axis=1)
        distances = [[np.square(features[i] - prototypes).sum(axis=1) for i in row] for row in drawn[:, 5:]]
        assert accuracy == (np.argmin(distances, axis=2) == np.arange(4)[:, None]).mean()


def test_random_features_are_at_chance() -> None:
    noise = np.random.default_rng(0).normal(size=(len(LABELS), 16))
    accuracies = prototypical_accuracies(noise, LABELS, ways=5, shots=5, queries=15, episodes=600, seed=0)
    assert abs(accuracies.mean() - 0.2) < 5 * accuracies.std() / np.sqrt(600)
    perfect = np.eye(10)[LABELS]
    assert (prototypical_accuracies(perfect, LABELS, 5, 1, 15, 50, seed=0) == 1).all()


def test_features_do_not_decide_what_is_drawn_and_the_seed_does() -> None:
    def accuracies(features: np.ndarray, seed: int) -> np.ndarray:
        return prototypical_accuracies(features, LABELS, 5, 5, 15, 100, seed)

    first = accuracies(FEATURES, 0)
    np.testing.assert_array_equal(first, accuracies(FEATURES[:, ::-1] * 2, 0))
    assert (first != accuracies(FEATURES, 1)).any()


def test_classes_with_too_few_images_take_no_part() -> None:
    kept = np.concatenate([np.flatnonzero(label == LABELS)[: 20 if label < 5 else 19] for label in range(10)])
    assert len(prototypical_accuracies(FEATURES[kept], LABELS[kept], 5, 5, 15, 3, seed=0)) == 3
    with pytest.raises(
        InputError,
        match=r"6 classes with 20 test images .* only 5 classes have that many; lower ways, shots or queries",
    ):
        prototypical_accuracies(FEATURES[kept], LABELS[kept], 6, 5, 15, 3, seed=0)
