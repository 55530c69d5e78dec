"""Decoded pictures are kept where they fit and made again where not, with the same pixels."""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.domains.domain_loading import load_domain
from hf_sslgen.domains.images import ImageSplit
from hf_sslgen.geometry import Geometry
from hf_sslgen.training import picture_cache
from hf_sslgen.training.picture_cache import NO_SPACE, CachedPictures, DecodedPictures, PictureSpace, PictureStorage
from hf_sslgen.training.random_crop import Augmentation
from hf_sslgen.training.samples import EpochOrder, EvaluationSamples, TrainingSamples, collate

GEOMETRY = Geometry(32, 1.0, "bilinear")
ENOUGH = 10**8


@pytest.fixture(scope="module")
def split() -> ImageSplit:
    return load_domain(DomainArguments("photo-patches", samples_per_class=3)).train


def epoch(samples: TrainingSamples, number: int, workers: int = 0) -> torch.Tensor:
    order = EpochOrder(len(samples), seed=0)
    order.set_epoch(number)
    loader = DataLoader(samples, batch_size=4, sampler=order, num_workers=workers, collate_fn=collate)
    return torch.cat([batch["pixel_values"] for batch in loader])


def test_pixels_are_the_same_from_memory_from_the_file_from_both_from_workers_and_without_a_cache(split, tmp_path):
    augmentation = Augmentation(0.3, True)
    anew = TrainingSamples(split, GEOMETRY, augmentation, 4)
    expected = [epoch(anew, number) for number in range(2)]
    one = np.asarray(split.image(0)).nbytes
    for memory, disk, workers in (
        (ENOUGH, 0, 0),
        (0, ENOUGH, 0),
        (5 * one, ENOUGH, 2),
        (5 * one, 3 * one, 0),
        (0, 0, 0),
    ):
        pictures = DecodedPictures(PictureSpace(memory, disk), tmp_path)
        samples = TrainingSamples(split, GEOMETRY, augmentation, 4, pictures.of(split))
        for number in range(2):
            assert torch.equal(epoch(samples, number, workers), expected[number])
        kept = int(np.count_nonzero(pictures.of(split)._places))
        assert kept == min(len(split), memory // one + disk // one)  # workers filled what this process sees
    assert list(tmp_path.iterdir()) == []


def test_a_picture_that_fits_is_made_once(split, monkeypatch, tmp_path):
    made = []
    decode = ImageSplit.image
    monkeypatch.setattr(ImageSplit, "image", lambda self, position: made.append(position) or decode(self, position))
    pictures = DecodedPictures(PictureSpace(ENOUGH, 0), tmp_path)
    samples = TrainingSamples(split, GEOMETRY, Augmentation(0.3, True), 4, pictures.of(split))
    evaluated = EvaluationSamples(split, GEOMETRY, pictures.of(split, GEOMETRY))
    plain = EvaluationSamples(split, GEOMETRY)
    for number in range(3):
        epoch(samples, number)
    assert sorted(made) == list(range(len(split)))
    for position in (0, 5, 0, 5):
        assert torch.equal(evaluated[position]["pixels"], plain[position]["pixels"])
    assert len(made) == len(split) + 2 + 4
    again = TrainingSamples(split, GEOMETRY, Augmentation(0.9, False), 5, pictures.of(split))
    made.clear()
    epoch(again, 0)  # another run on the same split
    assert made == []
    pictures.close()
    epoch(again, 0)
    assert len(made) == len(split)


def pictures_of(storage: PictureStorage, number: int) -> tuple[CachedPictures, list[int]]:
    """A cache of small pictures, and the positions that were made."""
    return CachedPictures(storage, number), []


def get(cache: CachedPictures, position: int, made: list[int]) -> np.ndarray:
    def make(position: int) -> np.ndarray:
        made.append(position)
        return np.full((4, 5, 3), position, np.uint8)

    return cache.get(position, make)


def test_changed_and_missing_bytes_in_the_file_are_noticed(tmp_path):
    storage = PictureStorage(PictureSpace(0, ENOUGH), tmp_path)
    cache, made = pictures_of(storage, 3)
    for position in (0, 1, 2, 0, 1, 2):
        assert (get(cache, position, made) == position).all()
    assert made == [0, 1, 2]
    os.pwrite(storage._file.fileno(), b"\x07", 60 + 10)
    os.ftruncate(storage._file.fileno(), 130)
    for position in (0, 1, 2):
        assert (get(cache, position, made) == position).all()
    assert made == [0, 1, 2, 1, 2]


def test_a_full_disk_ends_keeping_and_is_said_once(small_disk, caplog):
    storage = PictureStorage(PictureSpace(0, ENOUGH), small_disk(2**16))
    cache = CachedPictures(storage, 20)
    large = [np.full((60, 60, 3), position, np.uint8) for position in range(20)]
    for _ in range(2):
        for position in range(20):
            assert np.array_equal(cache.get(position, lambda position: large[position]), large[position])
    assert 0 < np.count_nonzero(cache._places) < 7
    assert [record.message.partition(":")[0] for record in caplog.records] == [
        "decoded pictures are no longer kept on disk"
    ]


def test_memory_is_left_to_others(monkeypatch, tmp_path):
    monkeypatch.setattr(picture_cache, "CHECK_EVERY", 100)
    storage = PictureStorage(PictureSpace(ENOUGH, 60), tmp_path)
    cache, made = pictures_of(storage, 6)
    for position in range(3):
        get(cache, position, made)
    monkeypatch.setattr(picture_cache, "available_memory", lambda: 0)
    for position in (3, 4, 5, 3, 4, 5):
        assert (get(cache, position, made) == position).all()
    assert (cache._places > 0).tolist() == [True] * 3 + [False] * 3
    assert made == [0, 1, 2, 3, 4, 5, 4, 5]  # the fourth is in the file, the last two are nowhere


def test_a_copy_that_was_not_forked_keeps_nothing():
    cache, made = pictures_of(PictureStorage(PictureSpace(ENOUGH, 0), None), 2)
    get(cache, 1, made)
    copied = pickle.loads(pickle.dumps(cache))
    assert (get(copied, 1, made) == 1).all()
    assert made == [1, 1]


def test_the_space_is_a_share_of_what_is_free_and_at_most_what_is_asked(monkeypatch, tmp_path: Path):
    monkeypatch.setattr(picture_cache, "available_memory", lambda: 8 * 10**9)
    whole = PictureSpace.beside(tmp_path, 1, None)
    assert whole.memory == 4 * 10**9
    assert 0 < whole.disk <= 64 * 2**30
    assert PictureSpace.beside(tmp_path, 4, None).memory == 10**9
    assert PictureSpace.beside(tmp_path, 2, 0.5) == PictureSpace(250_000_000, 0)
    assert PictureSpace.beside(tmp_path, 1, 4.000001) == PictureSpace(4 * 10**9, 1000)
    assert PictureSpace.beside(tmp_path, 1, 0) == NO_SPACE
