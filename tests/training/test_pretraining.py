"""Pretraining: twins share everything but the objective, and interrupted training resumes exactly."""

import dataclasses

import pytest
import torch
from accelerate import Accelerator
from torch.utils.data import Dataset

from hf_sslgen.commands.pretrain import SourceImages
from hf_sslgen.domains.arguments import DomainArguments
from hf_sslgen.domains.loading import load_domain
from hf_sslgen.errors import InputError
from hf_sslgen.preprocessing import Geometry
from hf_sslgen.training import pretraining
from hf_sslgen.training.objectives import build_objective
from hf_sslgen.training.pretraining import PretrainingSettings, ViewMaker, build_trunk, learning_rate_factor, pretrain

pytest.importorskip("lightly")

SETTINGS = PretrainingSettings(
    objective="simclr",
    architecture_arguments={"channels": [8, 8, 8, 16]},
    image_size=32,
    num_train_epochs=3,
    per_device_train_batch_size=16,
    learning_rate=0.05,
)


@pytest.fixture(scope="module")
def source():
    split = load_domain(DomainArguments("photo-patches", samples_per_class=8)).train
    return SourceImages(split, Geometry(32, 1.0, "bilinear")), len(split)


def test_twins_start_from_the_same_trunk_and_another_seed_from_another():
    trunks = [build_trunk(dataclasses.replace(SETTINGS, objective=name)) for name in ("supervised", "simclr")]
    for first, second in zip(trunks[0].parameters(), trunks[1].parameters(), strict=True):
        assert torch.equal(first, second)
    other = build_trunk(dataclasses.replace(SETTINGS, seed=1))
    assert not torch.equal(next(trunks[0].parameters()), next(other.parameters()))


def test_twins_see_the_same_first_view():
    images = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    make_views = ViewMaker(SETTINGS, Accelerator())
    one = make_views(images, 1, epoch=2, step=5)
    two = make_views(images, 2, epoch=2, step=5)
    assert torch.equal(one, two[:4])
    assert not torch.equal(two[:4], two[4:])
    assert not torch.equal(one, make_views(images, 1, epoch=2, step=6))
    assert not torch.equal(one, make_views(images, 1, epoch=3, step=5))


@pytest.mark.parametrize("objective", ["supervised", "simclr"])
def test_interrupted_pretraining_ends_with_the_same_weights(objective, source, tmp_path, monkeypatch):
    images, count = source
    settings = dataclasses.replace(SETTINGS, objective=objective)
    whole = pretrain(images, count, 6, settings, tmp_path / "whole")

    class StopError(Exception):
        pass

    make_views = ViewMaker.__call__

    def stop_in_the_second_epoch(self, batch, views, epoch, step):
        if (epoch, step) == (1, 1):
            raise StopError
        return make_views(self, batch, views, epoch, step)

    monkeypatch.setattr(ViewMaker, "__call__", stop_in_the_second_epoch)
    with pytest.raises(StopError):
        pretrain(images, count, 6, settings, tmp_path / "resumed")
    monkeypatch.undo()
    resumed = pretrain(images, count, 6, settings, tmp_path / "resumed")
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, resumed.state_dict()[name]), name


def test_supervised_training_lowers_its_loss(source, tmp_path):
    images, count = source
    settings = dataclasses.replace(SETTINGS, objective="supervised", num_train_epochs=8)
    pretrain(images, count, 6, settings, tmp_path)
    losses = [row["loss"] for row in pretraining.json.loads((tmp_path / "log.json").read_text())]
    assert len(losses) == 8
    assert losses[-1] < losses[0] - 0.1


def test_simclr_loss_prefers_views_of_the_same_image():
    torch.manual_seed(0)
    objective = build_objective("simclr", 16, 0, temperature=0.2)
    features = torch.randn(32, 16)
    labels = torch.zeros(32, dtype=torch.long)
    same = objective([features, features.clone()], labels)
    shuffled = objective([features, features.roll(1, 0)], labels)
    assert same.item() < shuffled.item() - 0.5


def test_bad_settings_are_named(source, tmp_path):
    images, count = source
    with pytest.raises(InputError, match=r"objective 'simclar' is unknown.*did you mean 'simclr'"):
        pretrain(images, count, 6, dataclasses.replace(SETTINGS, objective="simclar"), tmp_path / "a")
    with pytest.raises(InputError, match="per_device_train_batch_size 1000 is larger than the data: 48 images"):
        big = dataclasses.replace(SETTINGS, per_device_train_batch_size=1000)
        pretrain(images, count, 6, big, tmp_path / "b")


def test_other_settings_do_not_continue_a_checkpoint(source, tmp_path):
    images, count = source
    short = dataclasses.replace(SETTINGS, objective="supervised", num_train_epochs=1)
    pretrain(images, count, 6, short, tmp_path)
    with pytest.raises(InputError, match=r"other settings \(learning_rate\)"):
        pretrain(images, count, 6, dataclasses.replace(short, learning_rate=0.5), tmp_path)


def test_a_loss_that_is_not_finite_names_the_step(tmp_path):
    class Broken(Dataset):
        def __getitem__(self, key):
            return torch.full((3, 32, 32), float("nan")), 0

        def __len__(self):
            return 32

    settings = dataclasses.replace(SETTINGS, objective="supervised")
    with pytest.raises(InputError, match="became nan at step 0"):
        pretrain(Broken(), 32, 6, settings, tmp_path)


def test_the_schedule_warms_up_and_ends_at_zero():
    factors = [learning_rate_factor(step, 100, 10) for step in range(100)]
    assert factors[:3] == pytest.approx([0.1, 0.2, 0.3])
    assert max(factors) == pytest.approx(1.0)
    assert factors[-1] < 0.001
    assert factors[10:] == sorted(factors[10:], reverse=True)
