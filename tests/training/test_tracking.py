"""What trackers are told: by fine-tuning, by pretraining and by the workers of a study."""

import importlib.util
import itertools
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fake_study import BACKBONES, DOMAINS, Setting, write_study

from hf_sslgen.analysis.overall_numbers import overall_numbers
from hf_sslgen.commands import finetune
from hf_sslgen.errors import InputError
from hf_sslgen.study.cells.cell_folder import read_cells
from hf_sslgen.study.cells.store import Store
from hf_sslgen.study.execution import tracked_cells
from hf_sslgen.study.execution.tracked_cells import report_cells
from hf_sslgen.study.execution.tracking_process import cells_tracked
from hf_sslgen.training import tracking
from hf_sslgen.training.tracked_runs import RunDescription, tracked_run
from hf_sslgen.training.tracking import TrackingArguments

needs_tensorboard = pytest.mark.skipif(
    importlib.util.find_spec("tensorboardX") is None, reason="needs tensorboardX to write and read event files"
)
FOUR = ("accuracy", "expected_calibration_error", "gini", "invariance_mean")


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    write_study(folder / "cells", BACKBONES[:2], DOMAINS[:2], settings=(Setting("pretrained"), Setting("linear")))
    return folder


def test_a_tracker_that_is_not_installed_is_named(monkeypatch):
    monkeypatch.setattr(tracking.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match="report_to is 'wandb', which is not installed; run `pip install wandb`"):
        TrackingArguments(["wandb"])
    assert TrackingArguments(["all"]).trackers == TrackingArguments().trackers == ()
    with pytest.raises(InputError, match="project is only used by trackers"):
        TrackingArguments(project="mine")
    monkeypatch.setattr(tracking.importlib.util, "find_spec", lambda name: name == "tensorboardX" or None)
    assert TrackingArguments(["tensorboard"]).trackers == TrackingArguments(["all"]).trackers == ("tensorboard",)


def test_names_projects_and_settings_of_a_run(tmp_path, monkeypatch):
    token = "hf_" + "a" * 20
    run = RunDescription("name", tmp_path, config={"where": Path("x"), "command": ["--token", token]})
    assert token not in json.dumps(run.shown_config)
    assert run.shown_config["where"] == "x"
    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    assert run.of_project == "hf-sslgen"
    monkeypatch.setenv("WANDB_PROJECT", "theirs")
    assert run.of_project == "theirs"
    assert RunDescription("name", tmp_path, project="mine").of_project == "mine"


@needs_tensorboard
def test_values_that_are_not_finite_are_left_out(tmp_path):
    from event_files import scalars_below

    with tracked_run(["tensorboard"], RunDescription("run", tmp_path)) as run:
        run.log({"loss": 2.0, "rank": float("nan")}, 1)
        run.log({"loss": 1.0, "rank": 3.0}, 2)
    found = scalars_below(tmp_path / "tensorboard" / "run")
    assert found == {"loss": {1: 2.0, 2: 1.0}, "rank": {2: 3.0}}


@needs_tensorboard
def test_workers_report_each_cell_once_and_whole(study, tmp_path):
    """Four workers look at the same cells at the same time."""
    from event_files import scalars_below

    store = Store(tmp_path)
    (tmp_path / "cells").symlink_to(study / "cells")
    workers = [
        threading.Thread(target=report_cells, args=(store, "title", ["tensorboard"], None, set())) for _ in range(4)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    cells = list(read_cells(store.cells))
    assert len(cells) == 8
    for cell in cells:
        folder = tmp_path / "tensorboard" / cell.folder.name
        assert len(list(folder.iterdir())) == 1
        expected = {name: value for name, value in overall_numbers(cell.numbers).items() if value == value}
        assert {name: steps[0] for name, steps in scalars_below(folder).items()} == pytest.approx(expected, rel=1e-6)
    report_cells(store, "title", ["tensorboard"], None, set())
    assert len(list((tmp_path / "tensorboard").rglob("events.*"))) == len(cells)


def test_a_tracker_that_fails_costs_a_warning_and_is_asked_again(study, tmp_path, monkeypatch, caplog):
    store, asked = Store(tmp_path), []
    (tmp_path / "cells").symlink_to(study / "cells")

    def fail(cell: Any, *_: Any) -> None:
        asked.append(cell.folder.name)
        raise ConnectionError("nobody there")

    monkeypatch.setattr(tracked_cells, "_report", fail)
    report_cells(store, "title", ["wandb"], None, set())
    first = list(asked)
    report_cells(store, "title", ["wandb"], None, set())
    assert asked == first * 2
    assert "could not be reported to wandb: nobody there" in caplog.text


@needs_tensorboard
def test_a_process_beside_the_workers_reports_what_finishes(study, tmp_path):
    store = Store(tmp_path)
    (tmp_path / "cells").mkdir()
    some = sorted((study / "cells").iterdir())[:3]
    with cells_tracked(store, "title", TrackingArguments(["tensorboard"])):
        for folder in some:
            (tmp_path / "cells" / folder.name).symlink_to(folder)
    assert {path.name for path in (tmp_path / "tensorboard").iterdir()} == {folder.name for folder in some}


@needs_tensorboard
def test_fine_tuning_reports_the_four_measurements(small_backbones, tmp_path, monkeypatch):
    from event_files import scalars_below
    from tensorboardX import event_file_writer

    # It names files by host and second, and this training takes less than one: the test's numbers would replace it.
    hosts = SimpleNamespace(gethostname=map("host-{}".format, itertools.count()).__next__)
    monkeypatch.setattr(event_file_writer, "socket", hosts)
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", str(tmp_path / "logs"))
    options = ["--max_train_samples", "20", "--max_eval_samples", "30", "--max_test_samples", "20", "--use_cpu"]
    options += ["--per_device_train_batch_size", "10", "--num_train_epochs", "2", "--tracked_images", "12"]
    place = ["--dataset_name", "digits", "--output_dir", str(tmp_path / "run")]
    finetune.main(
        ["--model_name_or_path", small_backbones["timm_vit"], *place, *options, "--report_to", "tensorboard"]
    )
    found = scalars_below(tmp_path / "logs")
    for name in FOUR:
        assert len(found[f"eval/{name}"]) == 2, name
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert found["test/accuracy"].popitem()[1] == pytest.approx(results["test"]["accuracy"])
    whole = found["eval/negative_log_likelihood"].values()  # over all validation images, not the tracked ones alone
    assert any(value == pytest.approx(results["validation"]["negative_log_likelihood"], rel=1e-5) for value in whole)


OTHERS = """
import sys
from pathlib import Path
from hf_sslgen.training.tracked_runs import RunDescription, tracked_run
folder = Path(sys.argv[1])
with tracked_run([sys.argv[2]], RunDescription("a run", folder, "mine", "a study", {"seed": 1})) as run:
    run.log({"accuracy": 0.5}, 1)
    run.log({"accuracy": 0.75}, 2)
"""


@pytest.mark.slow
@pytest.mark.parametrize("tracker", ["trackio", "wandb"])
def test_the_other_trackers_take_a_run(tracker, tmp_path):
    pytest.importorskip(tracker)
    environment = {**os.environ, "WANDB_MODE": "offline", "TRACKIO_DIR": str(tmp_path / "trackio")}
    subprocess.run([sys.executable, "-c", OTHERS, str(tmp_path), tracker], env=environment, check=True)
    stored = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"accuracy" in stored and b"a study" in stored
