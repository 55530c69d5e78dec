"""The linear probe and the nearest neighbours against scikit-learn and brute force."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import log_softmax, softmax
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from hf_sslgen.errors import InputError
from hf_sslgen.training.probe_defaults import INVERSE_REGULARISATION_GRID
from hf_sslgen.training.probes import LinearProbe, fit_linear_probe, knn_predictions, knn_probabilities

Split = tuple[NDArray[np.float64], NDArray[np.int64]]


@pytest.fixture(scope="module")
def splits() -> tuple[Split, Split, Split]:
    """Digits as features: 8 x 8 gray values (some of them constant), 150 to train, 100 to validate, 200 to test."""
    features, labels = load_digits(return_X_y=True)
    cuts = slice(0, 150), slice(150, 250), slice(250, 450)
    train, validation, test = ((features[cut], labels[cut].astype(np.int64)) for cut in cuts)
    return train, validation, test


def of_classes(split: Split, num_classes: int) -> Split:
    kept = split[1] < num_classes
    return split[0][kept], split[1][kept]


def reference(train: Split, inverse_regularisation: float) -> Pipeline:
    regression = LogisticRegression(C=inverse_regularisation, max_iter=1000, tol=1e-7)
    return make_pipeline(StandardScaler(), regression).fit(*train)


def probabilities(probe: LinearProbe, features: NDArray[np.float64]) -> NDArray[np.float64]:
    result: NDArray[np.float64] = softmax(features @ probe.weight.T + probe.bias, axis=1)
    return result


@pytest.mark.parametrize("num_classes", [10, 3, 2])
def test_a_folded_probe_is_the_pipeline(splits: tuple[Split, Split, Split], num_classes: int) -> None:
    train, validation, test = (of_classes(split, num_classes) for split in splits)
    probe = fit_linear_probe(*train, *validation, num_classes, grid=(0.1,))
    assert probe.weight.shape == (num_classes, 64)
    expected = reference(train, 0.1).predict_proba(test[0])
    np.testing.assert_allclose(probabilities(probe, test[0]), expected, atol=1e-4)
    assert probe.not_converged == 0


def test_constant_dimensions_have_no_weight(splits: tuple[Split, Split, Split]) -> None:
    train, validation, test = splits
    constant = train[0].std(0) == 0
    assert 0 < constant.sum() < 64
    probe = fit_linear_probe(*train, *validation, 10, grid=(0.1,))
    assert (probe.weight[:, constant] == 0).all()
    assert np.abs(probe.weight[:, ~constant]).max() > 0
    surprising = test[0] + 1e6 * constant
    np.testing.assert_allclose(probabilities(probe, surprising), probabilities(probe, test[0]))


def test_rounding_of_a_dead_unit_is_not_blown_up(splits: tuple[Split, Split, Split]) -> None:
    train, validation, _ = splits
    dead = np.float32(3) + np.float32(2e-7) * np.random.default_rng(0).integers(0, 2, (150, 1))
    padded = np.concatenate([train[0], dead], axis=1)
    probe = fit_linear_probe(padded, train[1], np.pad(validation[0], ((0, 0), (0, 1))), validation[1], 10, grid=(0.1,))
    assert (probe.weight[:, -1] == 0).all()


def test_a_class_without_training_images_is_never_predicted(splits: tuple[Split, Split, Split]) -> None:
    train, validation, test = splits
    present = train[1] != 4
    seen = train[0][present], train[1][present]
    probe = fit_linear_probe(*seen, *validation, 10, grid=(0.1,))
    ours = probabilities(probe, test[0])
    assert ours[:, 4].max() == 0
    np.testing.assert_allclose(np.delete(ours, 4, axis=1), reference(seen, 0.1).predict_proba(test[0]), atol=1e-4)


def test_regularisation_is_selected_by_validation_likelihood(splits: tuple[Split, Split, Split]) -> None:
    train, validation, _ = splits
    probe = fit_linear_probe(*train, *validation, 10)
    likelihoods = {}
    accuracies = {}
    for value in INVERSE_REGULARISATION_GRID:
        predicted = reference(train, value).predict_log_proba(validation[0])
        likelihoods[value] = -predicted[np.arange(len(validation[1])), validation[1]].mean()
        accuracies[value] = float((predicted.argmax(1) == validation[1]).mean())
    assert probe.candidates == pytest.approx(likelihoods, rel=2e-3)
    best = min(likelihoods, key=lambda value: likelihoods[value])
    assert probe.inverse_regularisation == best
    assert best not in (INVERSE_REGULARISATION_GRID[0], INVERSE_REGULARISATION_GRID[-1])
    assert min(accuracies.values()) < accuracies[best]
    logits = validation[0] @ probe.weight.T + probe.bias
    chosen = -log_softmax(logits, axis=1)[np.arange(len(validation[1])), validation[1]].mean()
    assert chosen == pytest.approx(probe.candidates[best])


def test_fits_that_stop_early_are_counted(splits: tuple[Split, Split, Split]) -> None:
    train, validation, _ = splits
    probe = fit_linear_probe(*train, *validation, 10, grid=(1e-8, 1.0, 10.0), max_iterations=3)
    assert probe.not_converged == 2 and not probe.converged
    strong = fit_linear_probe(*train, *validation, 10, grid=(1e-8,), max_iterations=3)
    assert strong.not_converged == 0 and strong.converged


def test_features_that_are_not_finite_are_refused(splits: tuple[Split, Split, Split]) -> None:
    train, validation, _ = splits
    damaged = train[0].copy()
    damaged[3, 5] = np.inf
    with pytest.raises(InputError, match="not finite"):
        fit_linear_probe(damaged, train[1], *validation, 10)


def test_features_as_they_are(splits: tuple[Split, Split, Split]) -> None:
    train, validation, test = splits
    probe = fit_linear_probe(*train, *validation, 10, grid=(1e-3,), standardise=False)
    expected = LogisticRegression(C=1e-3, max_iter=2000, tol=1e-7).fit(*train).predict_proba(test[0])
    np.testing.assert_allclose(probabilities(probe, test[0]), expected, atol=1e-4)
    assert np.abs(expected - reference(train, 1e-3).predict_proba(test[0])).max() > 0.1


def test_the_selected_regularisation_is_fitted_again(splits: tuple[Split, Split, Split]) -> None:
    train, validation, test = splits
    once = fit_linear_probe(*train, *validation, 10, grid=(1e-3, 0.1))
    again = fit_linear_probe(*train, *validation, 10, grid=(1e-3, 0.1), retrain_on_validation=True)
    assert again.candidates == once.candidates  # scored by fits that had not seen validation
    assert again.inverse_regularisation == once.inverse_regularisation
    both = np.concatenate([train[0], validation[0]]), np.concatenate([train[1], validation[1]])
    expected = reference(both, again.inverse_regularisation).predict_proba(test[0])
    np.testing.assert_allclose(probabilities(again, test[0]), expected, atol=1e-4)
    assert np.abs(expected - probabilities(once, test[0])).max() > 0.01


@pytest.mark.parametrize("block_size", [7, 1024])
def test_votes_become_probabilities(splits: tuple[Split, Split, Split], block_size: int) -> None:
    train, _, test = splits
    found = knn_probabilities(*train, test[0], 11, (3, 9, 150), 0.07, 2.0, block_size=block_size)
    for k, probabilities_of_k in found.items():
        for query, row in zip(test[0], probabilities_of_k, strict=True):
            similarity = train[0] @ query / np.linalg.norm(train[0], axis=1) / np.linalg.norm(query)
            votes = np.zeros(11)
            for index in np.argsort(-similarity)[:k]:
                votes[train[1][index]] += np.exp(similarity[index] / 0.07)
            np.testing.assert_allclose(row, (k * votes / votes.sum() + 2 / 11) / (k + 2), atol=1e-5)
    np.testing.assert_allclose(sum(found[9].T), 1)
    assert found[9][:, 10].min() > 0  # nobody votes for a class without images
    np.testing.assert_array_equal(found[9].argmax(1), knn_predictions(*train, test[0], 11, k=9))
    cold = knn_probabilities(*train, test[0], 10, (9,), temperature=1e-4)[9]
    assert np.isfinite(cold).all()
    with pytest.raises(InputError, match="k = 151, more than the 150"):
        knn_probabilities(*train, test[0], 10, (9, 151))


@pytest.mark.parametrize("block_size", [7, 1024])
def test_neighbours_vote_by_similarity(splits: tuple[Split, Split, Split], block_size: int) -> None:
    train, _, test = splits
    predictions = knn_predictions(*train, test[0], 10, k=9, temperature=0.05, block_size=block_size)
    brute = []
    for query in test[0]:
        similarity = train[0] @ query / np.linalg.norm(train[0], axis=1) / np.linalg.norm(query)
        votes = np.zeros(10)
        for index in np.argsort(-similarity)[:9]:
            votes[train[1][index]] += np.exp(similarity[index] / 0.05)
        brute.append(votes.argmax())
    np.testing.assert_array_equal(predictions, brute)
    neighbours = KNeighborsClassifier(9, weights=lambda distance: np.exp((1 - distance) / 0.05), metric="cosine")
    np.testing.assert_array_equal(predictions, neighbours.fit(*train).predict(test[0]))
    unweighted = KNeighborsClassifier(9, metric="cosine").fit(*train).predict(test[0])
    assert (predictions != unweighted).any()


def test_of_equally_similar_images_the_first_are_nearer() -> None:
    """Copies of a few rows, whose similarities tie at every k; a stable sort in float64 says which are taken."""
    generator = np.random.default_rng(0)
    rows = np.eye(6)[generator.integers(0, 6, 90)]
    labels, queries = generator.integers(0, 4, 90), np.eye(6) + 0.5
    found = knn_probabilities(rows, labels, queries, 4, (40, 1, 7, 90), temperature=0.5, block_size=4)
    similarity = queries @ rows.T / np.linalg.norm(queries, axis=1)[:, None]
    order = np.argsort(-similarity, axis=1, kind="stable")
    for k, probabilities_of_k in found.items():
        for query, row in enumerate(probabilities_of_k):
            nearest = order[query, :k]
            votes = np.bincount(labels[nearest], np.exp(similarity[query, nearest] / 0.5), minlength=4)
            np.testing.assert_allclose(row, (k * votes / votes.sum() + 1 / 4) / (k + 1), rtol=1e-5)


def test_few_similarities_at_a_time_give_the_same(
    splits: tuple[Split, Split, Split], monkeypatch: pytest.MonkeyPatch
) -> None:
    train, _, test = splits
    whole = knn_probabilities(*train, test[0], 10, (5, 20))
    monkeypatch.setattr("hf_sslgen.training.nearest_neighbours.MOST_SIMILARITIES", 150)
    one_by_one = knn_probabilities(*train, test[0], 10, (5, 20))
    for k, values in whole.items():
        np.testing.assert_allclose(one_by_one[k], values, atol=1e-6)


def test_neighbours_are_at_most_all(splits: tuple[Split, Split, Split]) -> None:
    train, _, test = splits
    few = train[0][:5], train[1][:5]
    np.testing.assert_array_equal(knn_predictions(*few, test[0], 10), knn_predictions(*few, test[0], 10, k=5))
