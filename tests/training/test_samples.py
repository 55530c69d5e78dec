"""Order and augmentation depend on seed, epoch and sample alone."""

import pytest
import torch
from PIL import Image
from torch.utils.data import DataLoader

from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.domains.domain_loading import load_domain
from hf_sslgen.geometry import Geometry
from hf_sslgen.preprocessing import evaluation_pixels
from hf_sslgen.training.random_crop import Augmentation
from hf_sslgen.training.samples import EpochOrder, EvaluationSamples, TrainingSamples, collate

GEOMETRY = Geometry(32, 1.0, "bilinear")


@pytest.fixture(scope="module")
def split():
    return load_domain(DomainArguments("photo-patches", samples_per_class=3)).train


def test_every_epoch_is_another_permutation_and_a_seed_repeats_it():
    order = EpochOrder(50, seed=1)
    first = list(order)
    order.set_epoch(1)
    second = list(order)
    assert {epoch for epoch, _ in first} == {0}
    assert {epoch for epoch, _ in second} == {1}
    assert sorted(position for _, position in first) == sorted(position for _, position in second) == list(range(50))
    assert [position for _, position in first] != [position for _, position in second]
    again = EpochOrder(50, seed=1)
    assert list(again) == first
    assert list(EpochOrder(50, seed=2)) != first


def test_augmentation_does_not_depend_on_workers_or_on_random_state(split):
    samples = TrainingSamples(split, GEOMETRY, Augmentation(0.3, True), seed=4)

    def epoch_of_pixels(workers, state):
        torch.manual_seed(state)
        order = EpochOrder(len(split), seed=0)
        order.set_epoch(2)
        loader = DataLoader(samples, batch_size=4, sampler=order, num_workers=workers, collate_fn=collate)
        return torch.cat([batch["pixel_values"] for batch in loader])

    torch.testing.assert_close(epoch_of_pixels(0, 0), epoch_of_pixels(2, 99), rtol=0, atol=0)


def test_augmentation_changes_with_the_epoch_the_sample_and_the_seed(split):
    samples = TrainingSamples(split, GEOMETRY, Augmentation(0.3, True), seed=4)
    assert not torch.equal(samples[0, 0]["pixels"], samples[1, 0]["pixels"])
    other_seed = TrainingSamples(split, GEOMETRY, Augmentation(0.3, True), seed=5)
    assert not torch.equal(samples[0, 0]["pixels"], other_seed[0, 0]["pixels"])


def test_augmentation_leaves_the_global_random_state_alone(split):
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    first = torch.rand(1)
    _ = TrainingSamples(split, GEOMETRY, Augmentation(0.3, True), seed=4)[0, 0]
    assert torch.equal(torch.cat([first, torch.rand(1)]), expected)


def test_without_crop_and_flip_training_pixels_are_evaluation_pixels(split):
    plain = TrainingSamples(split, GEOMETRY, Augmentation(1.0, False), seed=4)
    evaluation = EvaluationSamples(split, GEOMETRY)
    for position in range(len(split)):
        assert torch.equal(plain[7, position]["pixels"], evaluation[position]["pixels"])


def test_half_of_the_images_are_mirrored_and_none_without_the_flip():
    picture = Image.new("RGB", (32, 32))
    picture.putpixel((0, 0), (255, 255, 255))
    upright = evaluation_pixels(picture, GEOMETRY)
    flip = Augmentation(1.0, True)
    mirrored = sum(not torch.equal(flip(picture, GEOMETRY, seed), upright) for seed in range(200))
    assert 70 < mirrored < 130
    still = Augmentation(1.0, False)
    assert all(torch.equal(still(picture, GEOMETRY, seed), upright) for seed in range(20))
