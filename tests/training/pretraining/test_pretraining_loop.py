"""Pretraining: twins share everything but the objective, and what was interrupted ends as if it had not been."""

import dataclasses
import json
import os
import resource
import signal

import numpy as np
import pytest
import torch
from torch.utils.data import Dataset

from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.domains.domain_loading import load_domain
from hf_sslgen.errors import DivergedError, InputError
from hf_sslgen.geometry import Geometry
from hf_sslgen.interruption import InterruptedByRequestError
from hf_sslgen.preprocessing import Preprocessing
from hf_sslgen.training.augmentation import ViewMaker
from hf_sslgen.training.pretraining.objectives import OBJECTIVES
from hf_sslgen.training.pretraining.pretraining_loop import learning_rate_factor, pretrain
from hf_sslgen.training.pretraining.pretraining_state import build_trunk
from hf_sslgen.training.pretraining.source_knn import BANK_SIZE, knn_monitor
from hf_sslgen.training.samples import SourceImages

from .pretraining_pieces import NUM_CLASSES, digest, small_images, small_settings

pytest.importorskip("lightly")


@pytest.fixture(scope="module")
def images():
    return small_images()


def train(images, settings, folder, **options):
    return pretrain(images, len(images), NUM_CLASSES, settings, folder, **options)


def read_log(folder):
    return json.loads((folder / "log.json").read_text())


class Kept:
    """A tracker's run that keeps what it is told."""

    def __init__(self):
        self.rows = {}

    def log(self, values, step):
        self.rows[step] = values


class Asking(Dataset):
    """Images that ask their own process to end, by a real signal, when so many were read."""

    def __init__(self, images, count, signal_number):
        self.images, self.count, self.signal_number = images, count, signal_number

    def __len__(self):
        return len(self.images)

    def __getitem__(self, key):
        self.count -= 1
        if self.count == 0:
            os.kill(os.getpid(), self.signal_number)
        return self.images[key]


class Recording(Dataset):
    """Images that write down by which keys they were read."""

    def __init__(self, images):
        self.images, self.keys = images, []

    def __len__(self):
        return len(self.images)

    def __getitem__(self, key):
        self.keys.append(key)
        return self.images[key]


def test_twins_start_from_the_same_trunk_and_another_seed_from_another():
    trunks = {digest(build_trunk(small_settings(name))) for name in OBJECTIVES}
    assert len(trunks) == 1
    assert digest(build_trunk(small_settings("simclr", seed=1))) not in trunks


def test_twins_see_the_same_images_in_the_same_order(images, tmp_path):
    orders = []
    for name in ("supervised", "byol"):
        recording = Recording(images)
        train(recording, small_settings(name, num_train_epochs=2), tmp_path / name)
        orders.append(recording.keys)
    assert orders[0] == orders[1]
    for epoch in (0, 1):
        assert sorted(position for key, position in orders[0] if key == epoch) == list(range(48))


def test_twins_see_the_same_first_view():
    pixels = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    make_views = ViewMaker(seed=0, process_index=0, device=torch.device("cpu"), size=24)
    one = make_views(pixels, 1, epoch=2, step=5)
    two = make_views(pixels, 2, epoch=2, step=5)
    assert one.shape == (4, 3, 24, 24)
    assert torch.equal(one, two[:4])
    assert not torch.equal(two[:4], two[4:])
    assert not torch.equal(one, make_views(pixels, 1, epoch=2, step=6))
    assert not torch.equal(one, make_views(pixels, 1, epoch=3, step=5))
    elsewhere = ViewMaker(seed=0, process_index=1, device=torch.device("cpu"), size=24)
    assert not torch.equal(one, elsewhere(pixels, 1, epoch=2, step=5))


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_training_lowers_the_loss(objective, images, tmp_path):
    train(images, small_settings(objective, num_train_epochs=10), tmp_path)
    losses = [row["loss"] for row in read_log(tmp_path)]
    assert len(losses) == 10
    assert np.mean(losses[-2:]) < 0.93 * np.mean(losses[:2])


@pytest.fixture(scope="module")
def whole(images, tmp_path_factory):
    """For each objective: the digest of its weights and its log, uninterrupted."""
    found = {}
    for objective in OBJECTIVES:
        folder = tmp_path_factory.mktemp("whole")
        found[objective] = digest(train(images, small_settings(objective), folder)), read_log(folder)
    return found


@pytest.mark.parametrize(
    ("step", "signal_number"),
    [(4, signal.SIGTERM), (6, signal.SIGINT), (9, signal.SIGTERM)],
    ids=["within an epoch", "at an epoch's last step", "at the very last step"],
)
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_interrupted_training_ends_with_the_same_weights(objective, step, signal_number, images, whole, tmp_path):
    settings = small_settings(objective)
    with pytest.raises(InterruptedByRequestError) as interrupted:
        train(Asking(images, 16 * step, signal_number), settings, tmp_path)
    assert interrupted.value.exit_code == 128 + signal_number
    assert len(read_log(tmp_path)) == (step - 1) // 3
    rest = Recording(images)
    resumed = train(rest, settings, tmp_path)
    assert len(rest.keys) <= 16 * (10 - step)  # at most the interrupted step, which reads one batch ahead, is repeated
    weights, log = whole[objective]
    assert digest(resumed) == weights
    assert [row["loss"] for row in read_log(tmp_path)] == [row["loss"] for row in log]


def test_a_signal_while_the_last_epoch_is_monitored_is_obeyed_and_nothing_is_lost(images, whole, tmp_path):
    def monitor(trunk):
        os.kill(os.getpid(), signal.SIGTERM)
        return 0.5

    with pytest.raises(InterruptedByRequestError):
        train(images, small_settings("simclr"), tmp_path, monitor=monitor, monitor_epochs=3)
    assert len(read_log(tmp_path)) == 3
    rest = Recording(images)
    assert digest(train(rest, small_settings("simclr"), tmp_path)) == whole["simclr"][0]
    assert rest.keys == []


def test_workers_and_saving_change_nothing(images, whole, tmp_path):
    trunk = train(images, small_settings("byol"), tmp_path, dataloader_num_workers=1, save_minutes=0.0)
    assert digest(trunk) == whole["byol"][0]


def test_a_log_that_an_interruption_left_behind_is_written_again(images, tmp_path):
    train(images, small_settings("supervised", num_train_epochs=2), tmp_path)
    log = read_log(tmp_path)
    (tmp_path / "log.json").unlink()
    train(images, small_settings("supervised", num_train_epochs=2), tmp_path)
    assert read_log(tmp_path) == log


def test_bad_settings_are_named(images, tmp_path):
    with pytest.raises(InputError, match=r"objective 'simclar' is unknown.*did you mean 'simclr'"):
        train(images, small_settings("simclar"), tmp_path / "a")
    with pytest.raises(InputError, match="per_device_train_batch_size 1000 is larger than the data: 48 images"):
        train(images, small_settings("simclr", per_device_train_batch_size=1000), tmp_path / "b")


def test_a_checkpoint_of_other_settings_or_images_is_refused(images, tmp_path):
    short = small_settings("supervised", num_train_epochs=1)
    train(images, short, tmp_path)
    with pytest.raises(InputError, match=r"other settings \(learning_rate: 0.05 there, 0.5 now\)"):
        train(images, dataclasses.replace(short, learning_rate=0.5), tmp_path)
    fewer = SourceImages(images.split.select(np.arange(40)), images.geometry)
    with pytest.raises(InputError, match=r"other settings \(num_images: 48 there, 40 now\)"):
        train(fewer, short, tmp_path)


def cut_short(content: bytes) -> bytes:
    return content[: len(content) // 2]


def overwritten(content: bytes) -> bytes:
    """Same length, with a hole where the weights are."""
    middle = len(content) // 2
    return content[:middle] + bytes(256) + content[middle + 256 :]


@pytest.mark.parametrize(
    "damage",
    [cut_short, overwritten, lambda _: b"", lambda _: b"not a checkpoint"],
    ids=["cut short", "overwritten", "empty", "text"],
)
def test_a_damaged_checkpoint_is_named(damage, images, tmp_path):
    settings = small_settings("supervised", num_train_epochs=1)
    train(images, settings, tmp_path)
    path = tmp_path / "checkpoint.pt"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match=r"checkpoint\.pt can't be read as a checkpoint .*remove it to start over"):
        train(images, settings, tmp_path)


def test_a_checkpoint_that_does_not_fit_on_the_disk_leaves_the_previous_one(images, whole, tmp_path):
    settings = small_settings("simclr")
    with pytest.raises(InterruptedByRequestError):
        train(Asking(images, 16 * 4, signal.SIGTERM), settings, tmp_path)
    before = (tmp_path / "checkpoint.pt").read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, hard))
    try:
        with pytest.raises(OSError, match=r"File too large.*checkpoint\.pt"):
            train(images, settings, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (tmp_path / "checkpoint.pt").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".unfinished")] == []
    assert digest(train(images, settings, tmp_path)) == whole["simclr"][0]


def test_a_loss_that_is_not_finite_names_the_step(tmp_path):
    class Broken(Dataset):
        def __getitem__(self, key):
            return torch.full((3, 32, 32), float("nan")), 0

        def __len__(self):
            return 32

    with pytest.raises(DivergedError, match="became nan at step 0"):
        train(Broken(), small_settings("supervised"), tmp_path)


def test_the_schedule_warms_up_and_ends_at_zero():
    factors = [learning_rate_factor(step, 100, 10) for step in range(100)]
    assert factors[:3] == pytest.approx([0.1, 0.2, 0.3])
    assert max(factors) == pytest.approx(1.0)
    assert factors[-1] < 0.001
    assert factors[10:] == sorted(factors[10:], reverse=True)


def weighted_neighbours(bank, bank_labels, query, k=20, temperature=0.07):
    """The class with most votes of the k nearest by cosine, each weighing exp(cosine / temperature)."""
    cosines = [float(query @ each / (np.linalg.norm(query) * np.linalg.norm(each))) for each in bank]
    votes = np.zeros(NUM_CLASSES)
    for index in sorted(range(len(bank)), key=lambda i: -cosines[i])[:k]:
        votes[bank_labels[index]] += np.exp(cosines[index] / temperature)
    return votes.argmax()


def test_the_monitor_is_k_nn_on_the_held_out_images(images, tmp_path):
    assert len(images) < BANK_SIZE  # so that all of them are the bank
    held_out = load_domain(DomainArguments("photo-patches", max_test_samples=60)).test
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    monitor = knn_monitor(images, held_out, NUM_CLASSES, Preprocessing(Geometry(32, 1.0, "bilinear"), mean, std))
    tracked = Kept()
    trunk = train(
        images,
        small_settings("supervised", num_train_epochs=5),
        tmp_path,
        monitor=monitor,
        monitor_epochs=2,
        tracked=tracked,
    )
    log = read_log(tmp_path)
    assert [row["epoch"] for row in log if "knn_accuracy" in row] == [2, 4, 5]
    told = [{name.removeprefix("train/"): value for name, value in row.items()} for row in tracked.rows.values()]
    assert list(tracked.rows) == [1, 2, 3, 4, 5]
    assert [{name: row[name] for name in row if name != "learning_rate"} for row in told] == log
    assert told[-1]["learning_rate"] < told[1]["learning_rate"]

    def features(split_images):
        pixels = torch.stack([split_images[0, i][0] for i in range(len(split_images))]).double() / 255
        normalised = (pixels - torch.tensor(mean)[:, None, None]) / torch.tensor(std)[:, None, None]
        with torch.no_grad():
            return trunk.eval()(normalised.float()).numpy().astype(np.float64)

    bank, queries = features(images), features(SourceImages(held_out, images.geometry))
    predictions = [weighted_neighbours(bank, images.split.labels, query) for query in queries]
    expected = np.mean(predictions == held_out.labels)
    assert log[-1]["knn_accuracy"] == pytest.approx(expected, abs=1.01 / len(held_out))
    assert expected > 1.5 / NUM_CLASSES


def test_the_monitor_does_not_change_the_training(images, whole, tmp_path):
    assert (
        digest(train(images, small_settings("byol"), tmp_path, monitor=lambda trunk: 0.0, monitor_epochs=1))
        == (whole["byol"][0])
    )
