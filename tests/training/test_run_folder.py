"""From where an interrupted run goes on: from complete and undamaged checkpoints, or not at all."""

import json
import logging
import shutil
import signal
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
import warm_python
from transformers import TrainerCallback

from hf_sslgen.checksums import CHECKSUMS_FILE, damage
from hf_sslgen.errors import InputError, OutOfMemoryError, WorkerError
from hf_sslgen.files import is_disk_full
from hf_sslgen.output_folder import claim_folder
from hf_sslgen.training import finetuning
from hf_sslgen.training.finetuning import FineTuningResult, finetune
from hf_sslgen.training.finetuning_arguments import FineTuningArguments, ModelArguments
from hf_sslgen.training.trainer import FineTuningTrainer
from hf_sslgen.training.trainer_setup import build_trainer
from hf_sslgen.zoo.backbone_loading import load_backbone

BEFORE, LAST = "checkpoint-3", "checkpoint-6"


class StopError(Exception):
    pass


class StopAt(TrainerCallback):
    """Raises after a step, as a process would end that is killed there."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step == self.step:
            raise StopError


@contextmanager
def with_callback(callback: TrainerCallback):
    """Inside the block every training has this callback too."""

    def build(*args: Any, **kwargs: Any):
        trainer = build_trainer(*args, **kwargs)
        trainer.add_callback(callback)
        return trainer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(finetuning, "build_trainer", build)
        yield


FIRST_IS_BEST = {"network": "timm_vit", "learning_rate": 0.0}
"""With this learning rate all epochs of a network without batch normalisation are alike."""


@pytest.fixture(scope="module")
def run(small_backbones, digits_domain) -> Callable[..., FineTuningResult]:
    """Fine-tunes a tiny network into a folder: three epochs of three steps, a checkpoint after each."""

    def into(folder: Path, network: str = "timm_resnet", **options: Any) -> FineTuningResult:
        location = small_backbones[network]
        defaults: dict[str, Any] = {
            "per_device_train_batch_size": 10,
            "num_train_epochs": 3,
            "learning_rate": 1e-3,
            "save_total_limit": 3,
            "report_to": "none",
            "use_cpu": True,
            "disable_tqdm": True,
        }
        arguments = FineTuningArguments(output_dir=str(folder), **(defaults | options))
        backbone = load_backbone(location, digits_domain.class_names)
        return finetune(backbone, digits_domain, ModelArguments(location), arguments)

    return into


@pytest.fixture(scope="module")
def uninterrupted(run, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "whole"
    run(folder)
    return folder


@pytest.fixture(scope="module")
def stopped(run, tmp_path_factory) -> Path:
    """A run that was stopped after seven of its nine steps, with two checkpoints."""
    folder = tmp_path_factory.mktemp("runs") / "stopped"
    with with_callback(StopAt(7)), pytest.raises(StopError):
        run(folder)
    assert sorted(path.name for path in folder.glob("checkpoint-*")) == [BEFORE, LAST]
    return folder


def same_end(first: Path, second: Path) -> bool:
    """Whether two runs ended with the same weights, to the bit, and the same results."""
    return all(
        (first / name).read_bytes() == (second / name).read_bytes() for name in ("model.safetensors", "results.json")
    )


def flip_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def remove(path: Path) -> None:
    path.unlink()


FILES = ("optimizer.pt", "scheduler.pt", "rng_state.pth", "model.safetensors", "trainer_state.json", CHECKSUMS_FILE)


@pytest.mark.parametrize("harm", [flip_a_bit, cut, remove])
@pytest.mark.parametrize("name", FILES)
def test_every_harm_to_a_checkpoint_is_noticed(name, harm, stopped, tmp_path):
    checkpoint = tmp_path / LAST
    shutil.copytree(stopped / LAST, checkpoint)
    assert damage(checkpoint) is None
    harm(checkpoint / name)
    wrong = damage(checkpoint)
    assert wrong is not None
    assert name in wrong or name == CHECKSUMS_FILE  # a wrong sum is the same as a wrong file


def test_a_flipped_bit_of_the_checksums_is_noticed_or_harmless(stopped, tmp_path):
    """Whichever of its bits is flipped, no file is left unchecked."""
    checkpoint = tmp_path / LAST
    shutil.copytree(stopped / LAST, checkpoint)
    path = checkpoint / CHECKSUMS_FILE
    whole = path.read_bytes()
    names = set(json.loads(whole)["files"])
    for bit in range(0, 8 * len(whole), 41):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        if damage(checkpoint) is None:
            assert set(json.loads(flipped)["files"]) == names


@pytest.mark.parametrize(
    ("name", "harm"),
    [("optimizer.pt", flip_a_bit), ("optimizer.pt", remove), (CHECKSUMS_FILE, remove)],
)
def test_a_damaged_checkpoint_is_not_resumed_from(name, harm, run, stopped, uninterrupted, tmp_path, caplog):
    folder = tmp_path / "run"
    shutil.copytree(stopped, folder)
    harm(folder / LAST / name)
    with caplog.at_level(logging.INFO):
        run(folder)
    assert same_end(folder, uninterrupted)
    said = [record.message for record in caplog.records if record.name.startswith("hf_sslgen")]
    (line,) = [line for line in said if "unusable and has been removed" in line]
    assert LAST in line
    assert name in line
    assert f"going on from {folder / BEFORE}" in said


def test_without_a_good_checkpoint_training_starts_anew(run, stopped, uninterrupted, tmp_path, caplog):
    folder = tmp_path / "run"
    shutil.copytree(stopped, folder)
    for checkpoint in folder.glob("checkpoint-*"):
        flip_a_bit(checkpoint / "rng_state.pth")
    run(folder)
    assert same_end(folder, uninterrupted)
    assert any("training starts over" in record.message for record in caplog.records)


def test_a_run_whose_best_checkpoint_is_damaged_does_not_end_with_another(run, tmp_path, caplog):
    with with_callback(StopAt(7)), pytest.raises(StopError):
        run(tmp_path, **FIRST_IS_BEST)
    state = json.loads((tmp_path / LAST / "trainer_state.json").read_text())
    assert Path(state["best_model_checkpoint"]).name == BEFORE
    flip_a_bit(tmp_path / BEFORE / "model.safetensors")
    run(tmp_path, **FIRST_IS_BEST)
    said = [record.message for record in caplog.records]
    assert any(
        f"{LAST} is unusable and has been removed: the best checkpoint, {BEFORE}, can't be used" in line
        for line in said
    )
    assert any("training starts over" in line for line in said)


def test_the_best_checkpoint_is_found_after_the_folder_was_moved(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with with_callback(StopAt(7)), pytest.raises(StopError):
        run(Path("before"), **FIRST_IS_BEST)
    (tmp_path / "elsewhere").mkdir()
    shutil.move(tmp_path / "before", tmp_path / "elsewhere" / "after")
    run(tmp_path / "elsewhere" / "after", **FIRST_IS_BEST)
    state = json.loads((tmp_path / "elsewhere" / "after" / "checkpoint-9" / "trainer_state.json").read_text())
    assert state["best_model_checkpoint"] == str(tmp_path / "elsewhere" / "after" / BEFORE)


def test_checkpoints_without_their_optimiser_are_not_resumed_from(run, tmp_path, caplog):
    options = {"network": "timm_vit", "num_train_epochs": 2, "save_only_model": True}
    with with_callback(StopAt(4)), pytest.raises(StopError):
        run(tmp_path, **options)
    run(tmp_path, **options)
    said = [record.message for record in caplog.records]
    assert any("it has no optimiser" in line for line in said)
    assert any("training starts over" in line for line in said)


@pytest.mark.parametrize("harm", [flip_a_bit, cut, remove])
@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "results.json", "predictions.parquet"])
def test_a_finished_run_that_is_not_as_it_was_is_not_finished(name, harm, run, uninterrupted, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(uninterrupted, folder)
    harm(folder / name)
    if (name, harm) == ("results.json", remove):
        pytest.skip("without results it goes on from its last checkpoint")
    with pytest.raises(InputError, match=rf"was modified: {name} (is missing|has)"):
        run(folder)


def test_a_finished_run_without_results_ends_again_as_it_did(run, uninterrupted, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(uninterrupted, folder)
    flip_a_bit(folder / "model.safetensors")
    (folder / "results.json").unlink()
    run(folder)
    assert same_end(folder, uninterrupted)
    assert damage(folder) is None


def test_a_folder_in_use_is_refused_and_left_alone(run, uninterrupted, stopped, tmp_path, subprocess_that_holds):
    folder = tmp_path / "run"
    shutil.copytree(stopped, folder)
    holder = subprocess_that_holds(folder)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    with pytest.raises(InputError, match=rf"is in use by process {holder.pid} on "):
        run(folder)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    holder.kill()
    holder.wait()
    run(folder)
    assert same_end(folder, uninterrupted)
    assert not list(folder.glob(".*"))


def test_a_run_whose_folder_was_taken_over_writes_nothing_more(run, tmp_path):
    class TakeOver(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.global_step == 2:
                for path in tmp_path.glob(".claim.*"):
                    path.unlink()
                claim_folder(tmp_path)

    with with_callback(TakeOver()), pytest.raises(WorkerError, match="was taken over by another process"):
        run(tmp_path)
    assert not list(tmp_path.glob("checkpoint-*"))


def test_memory_that_is_short_names_the_batch_size(run, tmp_path):
    class TakeMemory(TrainerCallback):
        def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            torch.empty(2**50)

    with (
        with_callback(TakeMemory()),
        pytest.raises(OutOfMemoryError, match="per_device_train_batch_size 10; give"),
    ):
        run(tmp_path)


def test_a_disk_that_fills_up_leaves_whole_checkpoints_alone(run, small_disk, monkeypatch):
    disk = small_disk(4_000_000)
    save = FineTuningTrainer._save_optimizer_and_scheduler

    def fill_and_save(self: FineTuningTrainer, folder: str) -> None:
        if self.state.global_step == 6:
            (disk / "filler").write_bytes(bytes(shutil.disk_usage(disk).free))
        save(self, folder)

    monkeypatch.setattr(FineTuningTrainer, "_save_optimizer_and_scheduler", fill_and_save)
    with pytest.raises(RuntimeError) as failed:  # torch's own
        run(disk / "run", network="timm_vit")
    assert is_disk_full(failed.value)
    assert [path.name for path in (disk / "run").glob("checkpoint-*")] == [BEFORE]
    assert damage(disk / "run" / BEFORE) is None
    assert not list((disk / "run").glob(".*"))
    (disk / "filler").unlink()
    monkeypatch.undo()
    assert run(disk / "run", network="timm_vit").test


def test_memory_that_is_short_in_evaluation_names_its_batch_size(run, tmp_path, monkeypatch):
    monkeypatch.setattr(FineTuningTrainer, "prediction_step", lambda *arguments, **options: torch.empty(2**50))
    with pytest.raises(OutOfMemoryError, match="per_device_eval_batch_size 128; give"):
        run(tmp_path, network="timm_vit")


def test_every_file_of_a_checkpoint_is_listed(stopped):
    listed = set(json.loads((stopped / LAST / CHECKSUMS_FILE).read_text())["files"])
    assert listed == {path.name for path in (stopped / LAST).iterdir()} - {CHECKSUMS_FILE}


def test_killed_at_named_places_a_run_ends_as_an_undisturbed_one(small_backbones, tmp_path):
    """By SIGKILL, at places where a checkpoint, the model or the results are half there; nothing else is left over."""
    worker = Path(__file__).parent / "finetuning_kill_worker.py"
    finished = warm_python.run([worker, small_backbones["timm_vit"], tmp_path], check=True)
    rows = json.loads(finished.stdout.splitlines()[-1])
    whole = rows.pop("none")
    assert whole["codes"] == [0]
    assert len(rows) == 4
    for place, row in rows.items():
        assert row["codes"] == [-signal.SIGKILL, 0], place
        assert "results.json" not in row["left"], place
        assert row["end"] == whole["end"], place
