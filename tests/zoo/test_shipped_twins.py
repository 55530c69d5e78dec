"""Every twin that comes with the package has learned its source: better k-NN than its architecture untrained."""

import numpy as np
import pytest
from whole_splits import features_of

from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.domains.pretraining_source import load_pretraining_source
from hf_sslgen.domains.splits import stratified_subset
from hf_sslgen.metrics import bootstrap_interval, difference_statistic, mean_statistic
from hf_sslgen.training.probes import knn_predictions
from hf_sslgen.zoo.backbone_loading import load_backbone
from hf_sslgen.zoo.backbone_registry import all_backbones
from hf_sslgen.zoo.locations import UNTRAINED_PREFIX

BANK_SIZE, QUERIES = 1000, 600
"""Training images to look for neighbours among, and validation images: enough to tell a trained network, and quick."""

SHIPPED = [backbone for backbone in all_backbones() if backbone.package_folder is not None]


@pytest.fixture(scope="module")
def source(shared_data):
    """Tiny ImageNet: 30,000 training images, 2,500 to validate on, 100 classes."""
    folder = shared_data / "tiny-imagenet-100"
    if not folder.is_dir():
        pytest.skip(f"no Tiny ImageNet at {folder}")
    return load_pretraining_source(DomainArguments(str(folder)))


def held_out(source):
    return source.held_out.select(stratified_subset(source.held_out.labels, QUERIES, seed=0))


@pytest.fixture(scope="module")
def correct(source):
    """A function from a backbone's name to which validation images k-NN gets right; each is measured once."""
    bank = source.train.select(stratified_subset(source.train.labels, BANK_SIZE, seed=0))
    asked = held_out(source)
    found = {}

    def measure(name: str, identity: tuple):
        if identity not in found:
            backbone = load_backbone(name, source.class_names)
            features, queries = (features_of(backbone, split, 256) for split in (bank, asked))
            predictions = knn_predictions(features, bank.labels, queries, len(source.class_names))
            found[identity] = predictions == asked.labels
        return found[identity]

    return measure


def test_twins_are_shipped_in_pairs():
    sets = {backbone.twin_set for backbone in SHIPPED}
    assert sets
    for name in sets:
        objectives = [backbone.objective for backbone in SHIPPED if backbone.twin_set == name]
        assert "supervised" in objectives
        assert len(objectives) == len(set(objectives)) >= 2


@pytest.mark.parametrize("backbone", SHIPPED, ids=lambda backbone: backbone.id)
def test_a_shipped_twin_beats_its_architecture_untrained(backbone, correct, source):
    """By a margin whose paired bootstrap interval over the validation images excludes zero."""
    trained = correct(backbone.id, (backbone.id,))
    untrained = correct(f"{UNTRAINED_PREFIX}{backbone.id}", (UNTRAINED_PREFIX, backbone.architecture))
    margin = bootstrap_interval(
        difference_statistic(mean_statistic(trained.astype(float)), mean_statistic(untrained.astype(float))),
        QUERIES,
    )
    print(f"{backbone.id}: k-NN {trained.mean():.3f}, untrained {untrained.mean():.3f}, margin {margin}")
    assert margin.n == len(trained) == QUERIES
    assert margin.low > 0


def test_an_untrained_network_does_not_pass(correct, source):
    """The same comparison tells two untrained networks apart from a trained one: chance is 1 in 100."""
    name = f"{UNTRAINED_PREFIX}{SHIPPED[0].id}"
    untrained = correct(name, (UNTRAINED_PREFIX, SHIPPED[0].architecture))
    assert 0.02 < untrained.mean() < 0.12
    shuffled = np.random.default_rng(0).permutation(untrained).astype(float)
    margin = bootstrap_interval(
        difference_statistic(mean_statistic(shuffled), mean_statistic(untrained.astype(float))), len(untrained)
    )
    assert margin.low < 0 < margin.high
