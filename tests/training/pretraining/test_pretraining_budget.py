"""Planning epochs for a time: once, kept on resuming, and never less than one."""

import json

import pytest

from hf_sslgen.errors import InputError
from hf_sslgen.training.pretraining.pretraining_budget import planned_epochs

from .pretraining_pieces import NUM_CLASSES, small_images, small_settings

pytest.importorskip("lightly")


@pytest.fixture(scope="module")
def images():
    return small_images()


def plan(images, minutes, folder, objective="supervised"):
    return planned_epochs(images, 48, NUM_CLASSES, small_settings(objective), minutes, folder)


def test_the_planned_epochs_fill_nine_tenths_of_the_time(images, tmp_path):
    epochs = plan(images, 1.0, tmp_path)
    written = json.loads((tmp_path / "plan.json").read_text())
    assert written["num_train_epochs"] == epochs > 1
    assert written["steps_per_epoch"] == 3
    seconds = written["seconds_per_step"] * 3 * epochs
    assert seconds == pytest.approx(54, rel=0.1)
    assert [path.name for path in tmp_path.iterdir()] == ["plan.json"]


def test_a_plan_is_kept_and_nothing_is_timed_again(images, tmp_path):
    class Unread:
        def __getitem__(self, key):
            raise AssertionError("an image was read")

    (tmp_path / "plan.json").write_text('{"target_minutes": 1.0, "num_train_epochs": 7}')
    assert plan(Unread(), 1.0, tmp_path) == 7


def test_a_plan_for_another_time_is_not_followed(images, tmp_path):
    (tmp_path / "plan.json").write_text('{"target_minutes": 1.0, "num_train_epochs": 7}')
    with pytest.raises(InputError, match=r"target_minutes is 2, but .*plan\.json was planned for 1 minutes \(7"):
        plan(images, 2.0, tmp_path)


def test_a_time_too_short_for_an_epoch_is_refused_and_plans_nothing(images, tmp_path):
    with pytest.raises(InputError, match=r"target_minutes 1e-06 is too short for one epoch of 48 images, which takes"):
        plan(images, 1e-6, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_plan_is_named(images, tmp_path):
    (tmp_path / "plan.json").write_text("{")
    with pytest.raises(InputError, match=r"plan\.json can't be read as a plan"):
        plan(images, 1.0, tmp_path)
