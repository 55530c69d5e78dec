"""Streamed domains: the same images as on disk, whatever the shards, workers and epochs."""

import itertools
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from datasets import ClassLabel, Value
from torch.utils.data import DataLoader

from hf_sslgen.decoding import CorruptImageError
from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.domains.domain_loading import load_domain
from hf_sslgen.domains.splits import content_id
from hf_sslgen.errors import InputError
from hf_sslgen.geometry import Geometry
from hf_sslgen.training.random_crop import Augmentation
from hf_sslgen.training.samples import StreamedTrainingSamples, StreamOrder

PETS = ClassLabel(names=["cat", "dog"])
LABELS = {"train": [0, 1, 1] * 14, "validation": [1, 0], "test": [1, 0, 1]}
UNVALIDATED = {"train": LABELS["train"], "test": LABELS["test"]}


def _load(folder, **options):
    return load_domain(DomainArguments(str(folder), **options))


def _content(images) -> list[tuple[bytes, int]]:
    return [(np.asarray(each.image).tobytes(), each.label) for each in images]


def _on_disk(split) -> list[tuple[bytes, int]]:
    return [(np.asarray(split.image(row)).tobytes(), int(split.labels[row])) for row in range(len(split))]


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("feature", [PETS, Value("string")])
def test_stored_order_is_that_on_disk_sample_for_sample(hub_folder, feature, shards):
    labels = {split: [str(each) if feature != PETS else each for each in row] for split, row in LABELS.items()}
    folder = hub_folder(labels, feature, image_column="picture", label_column="species", shards=shards)
    on_disk = _load(folder)
    streamed = _load(folder, streaming=True, shuffle_buffer_size=0)
    assert streamed.class_names == on_disk.class_names
    expected = _on_disk(on_disk.train)
    assert len(expected) == 42
    assert _content(streamed.train.one_pass(0)) == _content(streamed.train.one_pass(1)) == expected
    for name in ("validation", "test"):
        one, other = (vars(domain)[name] for domain in (on_disk, streamed))
        assert _on_disk(one) == _on_disk(other) and one.fingerprint() == other.fingerprint()
        assert one.sample_ids.tolist() == other.sample_ids.tolist()


@pytest.mark.parametrize("shards", [1, 3])
def test_shuffled_passes_hold_every_image_once_in_another_order(hub_folder, shards):
    folder = hub_folder(LABELS, PETS, shards=shards)
    stored = _content(_load(folder, streaming=True, shuffle_buffer_size=0).train.one_pass(0))
    stream = _load(folder, streaming=True, shuffle_buffer_size=16).train
    passes = [_content(stream.one_pass(epoch)) for epoch in (0, 1, 0)]
    assert Counter(passes[0]) == Counter(passes[1]) == Counter(stored)
    assert passes[0] == passes[2] and passes[0] != passes[1] and passes[0] != stored
    other = _load(folder, streaming=True, shuffle_buffer_size=16, split_seed=1).train
    assert _content(other.one_pass(0)) != passes[0]


@pytest.mark.parametrize("shards", [1, 3])
@pytest.mark.parametrize("workers", [0, 2])
def test_held_out_and_training_part_are_disjoint_and_complete(hub_folder, pictures, shards, workers):
    folder = hub_folder(UNVALIDATED, PETS, shards=shards)
    domain = _load(folder, streaming=True, train_val_split=0.3, shuffle_buffer_size=8)
    everything = [content_id(encoded) for encoded in pictures[:42]]
    held_out = [content_id(domain.validation.encoded(row)["bytes"]) for row in range(len(domain.validation))]
    assert 5 < len(held_out) < 22
    geometry = Geometry(32, 1.0, "bilinear")
    samples = StreamedTrainingSamples(domain.train, geometry, Augmentation(0.5, horizontal_flip=True), 0)
    loader = DataLoader(samples, batch_size=None, sampler=StreamOrder(domain.train), num_workers=workers)
    in_a_pass = 42 - len(held_out)
    seen = [sample["sample_ids"] for sample in itertools.islice(loader, 2 * in_a_pass)]
    for training in (seen[:in_a_pass], seen[in_a_pass:]):
        assert not set(training) & set(held_out)
        assert Counter(training) + Counter(held_out) == Counter(everything)
    assert domain.notes == ("validation: 30% of the streamed 'train', chosen by content",)


def test_copies_of_an_image_are_on_one_side(hub_folder, pictures):
    twice = [{"bytes": each, "path": None} for each in pictures[:21] * 2]
    folder = hub_folder(UNVALIDATED, PETS, encoded={"train": twice})
    domain = _load(folder, streaming=True, train_val_split=0.4)
    assert all(count == 2 for count in Counter(pixels for pixels, _ in _on_disk(domain.validation)).values())


def test_streaming_prepares_nothing_on_disk(hub_folder):
    folder = hub_folder(LABELS, PETS)
    prepared = Path(os.environ["HF_HOME"]) / "datasets"
    before = set(prepared.rglob("*.arrow"))
    _load(folder, streaming=True)
    assert set(prepared.rglob("*.arrow")) == before
    _load(folder)
    assert len(set(prepared.rglob("*.arrow")) - before) == 3


def test_imagefolder_can_be_streamed(image_folder):
    root = image_folder({"train": 6, "test": 2})
    on_disk, streamed = _load(root), _load(root, streaming=True, train_val_split=0.3)
    assert streamed.class_names == on_disk.class_names
    assert _on_disk(streamed.test) == _on_disk(on_disk.test)
    together = _content(streamed.train.one_pass(0)) + _on_disk(streamed.validation)
    assert Counter(together) == Counter(_on_disk(on_disk.train) + _on_disk(on_disk.validation))


def test_corrupt_pictures_of_a_stream_are_named_or_left_out(hub_folder, pictures, caplog):
    train = [{"bytes": each, "path": None} for each in pictures[:42]]
    for row in (3, 9, 20, 21, 22, 30):
        train[row] = {"bytes": pictures[row][:-500], "path": None}
    train[5] = None
    folder = hub_folder(UNVALIDATED, PETS, encoded={"train": train})
    with pytest.raises(CorruptImageError, match=r"an image \(id \d+\) of the streamed split 'train'"):
        _content(_load(folder, streaming=True).train.one_pass(0))
    domain = _load(folder, streaming=True, skip_corrupt=True, train_val_split=0.4)
    training, held_out = list(domain.train.one_pass(0)), _on_disk(domain.validation)
    assert len(training) + len(held_out) == 35
    (note,) = [note for note in domain.notes if "left out" in note]
    skipped = int(note.split()[0])
    assert 0 < skipped < 7 and f"left out ({7 - skipped} so far)" in caplog.text


@pytest.mark.parametrize(
    ("labels", "options", "reason"),
    [
        (LABELS, {"samples_per_class": 2}, "samples_per_class"),
        (LABELS, {"max_train_samples": 9}, "samples_per_class, label_fraction and max_train"),
        (LABELS, {"label_fraction": 0.5}, "samples_per_class, label_fraction and max_train"),
        ({"train": LABELS["train"]}, {}, "a test split can't be carved from a stream"),
        (UNVALIDATED, {"train_val_split": 1e-6}, "no image .* was assigned to validation; raise --train_val_split"),
        ({"train": [], "test": [0]}, {}, "the training split is empty"),
        ({**LABELS, "validation": []}, {}, "split 'validation' is empty"),
        ({"train": [0, 1], "test": [2]}, {"train_val_split": 0.5}, "label 2 in row 0 of split 'test'"),
    ],
)
def test_what_a_stream_cannot_do_is_refused(hub_folder, labels, options, reason):
    feature = Value("int64")
    with pytest.raises(InputError, match=reason):
        _load(hub_folder(labels, feature), streaming=True, **options)


def test_label_outside_the_classes_is_named_when_it_comes(hub_folder):
    folder = hub_folder({"train": [0, 1, 1, -1, 0], "validation": [0], "test": [1]}, PETS)
    stream = _load(folder, streaming=True, shuffle_buffer_size=0).train
    with pytest.raises(InputError, match=r"label -1 .*row 3 of the stream.* outside the 2 classes"):
        list(stream.one_pass(0))
