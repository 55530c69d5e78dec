"""Label budgets: shares of the labels, stratified, seeded and nested."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import ClassLabel
from hypothesis import given
from hypothesis import strategies as st

from hf_sslgen.domains.domain_arguments import DomainArguments, label_budget_words
from hf_sslgen.domains.domain_loading import Domain, load_domain
from hf_sslgen.domains.images import joined
from hf_sslgen.domains.splits import smallest_fraction_to_split, stratified_fraction
from hf_sslgen.errors import InputError

LABELS = st.lists(st.integers(0, 6), min_size=1, max_size=120).map(lambda labels: np.array(labels, dtype=np.int64))
FRACTIONS = st.floats(0.001, 1)


@given(labels=LABELS, fractions=st.tuples(FRACTIONS, FRACTIONS), seed=st.integers(0, 2**31))
def test_a_share_is_stratified_seeded_and_nested(labels, fractions, seed):
    small, large = (stratified_fraction(labels, fraction, seed) for fraction in sorted(fractions))
    assert set(small) <= set(large)
    assert (np.diff(large) > 0).all()
    for label, count in zip(*np.unique(labels, return_counts=True), strict=True):
        taken = int((labels[small] == label).sum())
        assert taken >= 1
        assert taken == 1 or abs(taken - min(fractions) * count) <= 0.5
    np.testing.assert_array_equal(small, stratified_fraction(labels, min(fractions), seed))
    np.testing.assert_array_equal(stratified_fraction(labels, 1.0, seed), np.arange(len(labels)))


def test_the_seed_decides_which_labels():
    labels = np.repeat(np.arange(4), 50)
    assert (stratified_fraction(labels, 0.1, 0) != stratified_fraction(labels, 0.1, 1)).any()


@given(labels=LABELS)
def test_the_smallest_share_that_can_be_split(labels):
    smallest = smallest_fraction_to_split(labels)

    def two_of_each(percent: int) -> bool:
        kept = labels[stratified_fraction(labels, percent / 100, 0)]
        return len(np.unique(kept)) == len(np.unique(labels)) and np.unique(kept, return_counts=True)[1].min() >= 2

    assert smallest == next((percent / 100 for percent in range(1, 101) if two_of_each(percent)), None)


def ids(domain: Domain) -> set[int]:
    return {*domain.train.sample_ids.tolist(), *domain.validation.sample_ids.tolist()}


def test_a_share_is_for_training_and_selection_together():
    whole, tenth, quarter = (load_domain(DomainArguments("digits", label_fraction=f)) for f in (None, 0.1, 0.25))
    total = len(whole.train) + len(whole.validation)
    assert len(tenth.train) + len(tenth.validation) == len(ids(tenth)) == pytest.approx(0.1 * total, abs=5)
    assert ids(tenth) < ids(quarter) < ids(whole)
    assert len(np.unique(tenth.train.labels)) == len(np.unique(tenth.validation.labels)) == 10
    assert tenth.test.fingerprint() == whole.test.fingerprint()
    assert any(
        "labels: 10% of 'train'" in note and f"{len(ids(tenth))} of {total} images" in note for note in tenth.notes
    )
    other = load_domain(DomainArguments("digits", label_fraction=0.1, split_seed=1))
    assert ids(other) != ids(tenth)
    everything = load_domain(DomainArguments("digits", label_fraction=1.0))
    assert everything.train.fingerprint() == whole.train.fingerprint()
    assert everything.notes == whole.notes


def test_a_published_validation_split_is_reduced_alike(hub_folder: Callable[..., Path]):
    labels = {"train": [0, 1] * 10, "validation": [0, 1] * 6, "test": [0, 1] * 4}
    folder = str(hub_folder(labels, ClassLabel(names=["a", "b"])))
    domain = load_domain(DomainArguments(folder, label_fraction=0.5))
    assert [len(split) for split in (domain.train, domain.validation, domain.test)] == [10, 6, 8]
    both = joined(domain.train, domain.validation)
    assert len(both) == 16
    encoded = {domain.train.encoded(i)["bytes"] for i in range(10)}
    encoded |= {domain.validation.encoded(i)["bytes"] for i in range(6)}
    assert {both.encoded(i)["bytes"] for i in range(16)} == encoded
    assert both.labels.tolist() == domain.train.labels.tolist() + domain.validation.labels.tolist()
    assert len(set(both.sample_ids.tolist())) == 16


def test_a_test_split_that_is_carved_stays_whole(hub_folder: Callable[..., Path]):
    folder = str(hub_folder({"train": [0, 1] * 25}, ClassLabel(names=["a", "b"])))
    whole, half = (load_domain(DomainArguments(folder, label_fraction=f)) for f in (None, 0.5))
    assert half.test.fingerprint() == whole.test.fingerprint()
    assert len(half.train) + len(half.validation) == 20


def test_parts_of_one_split_are_joined_to_it():
    domain = load_domain(DomainArguments("digits", max_eval_samples=50))
    both = joined(domain.train, domain.validation)
    assert both.dataset is domain.train.dataset
    assert sorted(both.sample_ids.tolist()) == sorted(ids(domain))


def test_too_small_a_share_says_what_would_work():
    with pytest.raises(InputError, match="one image per class, which leaves none to select on") as error:
        load_domain(DomainArguments("digits", label_fraction=0.001))
    smallest = float(str(error.value).split("label_fraction ")[2].split(" ")[0])
    domain = load_domain(DomainArguments("digits", label_fraction=smallest))
    assert len(np.unique(domain.validation.labels)) == 10
    with pytest.raises(InputError):
        load_domain(DomainArguments("digits", label_fraction=smallest / 2))


def test_one_percent_of_real_data(shared_data: Path):
    xrays, pictures = (
        load_domain(DomainArguments(str(shared_data / name), label_fraction=0.01))
        for name in ("chest-xray", "cifar10-small")
    )
    assert len(pictures.train) + len(pictures.validation) == 50
    assert len(np.unique(pictures.train.labels)) == len(np.unique(pictures.validation.labels)) == 10
    # 86, 350 and 350 images a class: the first has a single label left, which serves training.
    assert np.bincount(xrays.train.labels).tolist() == [1, 3, 3]
    assert np.bincount(xrays.validation.labels, minlength=3).tolist() == [0, 1, 1]


@pytest.mark.parametrize("fraction", [0, -0.1, 1.5, float("nan")])
def test_shares_outside_their_range_are_refused(fraction: float):
    with pytest.raises(InputError, match="label_fraction is"):
        DomainArguments("digits", label_fraction=fraction)


def test_two_budgets_are_refused():
    with pytest.raises(InputError, match="both label budgets"):
        DomainArguments("digits", label_fraction=0.1, samples_per_class=5)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({}, "100%"),
        ({"label_fraction": 1.0}, "100%"),
        ({"label_fraction": 0.1}, "10%"),
        ({"label_fraction": 0.01}, "1%"),
        ({"label_fraction": 0.07}, "7%"),
        ({"samples_per_class": 5}, "5-shot"),
        ({"label_fraction": 0.1, "max_train_samples": 30}, "10%, at most 30 images"),
    ],
)
def test_budgets_have_names(arguments: dict[str, Any], words: str):
    assert label_budget_words(DomainArguments("digits", **arguments)) == words
