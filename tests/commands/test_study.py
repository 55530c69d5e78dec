"""`hf-sslgen study`, `status` and `report` as a person uses them."""

import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import warm_python

from hf_sslgen.command_line import run_command
from hf_sslgen.study.cells.cell_folder import cell_folder, read_cells
from hf_sslgen.study.cells.cell_identity import cell_identity
from hf_sslgen.study.cells.store import Store
from hf_sslgen.study.config import read_study
from hf_sslgen.study.execution.workbench import identify
from hf_sslgen.study.execution.worker import run_worker
from hf_sslgen.study.plan import expand
from hf_sslgen.work_claims import release, try_claim

STUDY, STATUS, REPORT = (f"hf_sslgen.commands.{name}" for name in ("study", "status", "report"))
KNN = {"preset": "dino-knn", "neighbours": [5]}
IMPOSSIBLE = {"preset": "few-shot", "name": "impossible", "queries": 1000}

Errors = pytest.CaptureFixture[str]
StudyFile = Callable[..., Path]

PATIENT = """
from hf_sslgen.cli import main
from hf_sslgen.study.execution import executors
executors.GRACE_SECONDS = 3600.0  # a worker of a busy machine may need long to give up its claims
main()
"""


def refused(module: str, options: list[str], capsys: Errors) -> str:
    with pytest.raises(SystemExit) as stopped:
        run_command(module, options)
    assert stopped.value.code == 2
    (message,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    return message


def processes_of(folder: Path) -> list[int]:
    """Numbers of the living processes whose command names a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(folder).encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def test_a_dry_run_writes_nothing(study_file: StudyFile, tmp_path: Path, capsys: Errors) -> None:
    study = study_file(protocols=["linear", IMPOSSIBLE])
    run_command(STUDY, [str(study), "--output_dir", str(tmp_path / "out"), "--dry_run", "true"])
    shown = capsys.readouterr().out
    assert next(line for line in shown.splitlines() if line.startswith("all")).split()[1:3] == ["10", "10"]
    assert "Can't be computed: resnet on digits, impossible" in shown
    assert "an episode of 5 ways needs 5 classes" in shown
    assert "Detectable differences, with power 80% (--power true shows all):" in shown
    assert [path.name for path in tmp_path.iterdir()] == ["study.yaml"]


def test_power_needs_no_folder_and_writes_nothing(study_file: StudyFile, tmp_path: Path, capsys: Errors) -> None:
    study = str(study_file())
    run_command(STUDY, [study, "--power"])
    shown = capsys.readouterr().out
    assert "on digits, 30 images" in shown and "Not testable for these objectives pretrained again: one run" in shown
    assert [path.name for path in tmp_path.iterdir()] == ["study.yaml"]
    assert refused(STUDY, [study], capsys).startswith("error: output_dir is missing")
    folder = ["--output_dir", str(tmp_path / "out")]
    assert "power_from only works with" in refused(STUDY, [study, *folder, "--power_from", "runs/earlier"], capsys)
    assert "give only one of them" in refused(STUDY, [study, *folder, "--power", "--dry_run"], capsys)
    assert "which --power must not" in refused(STUDY, [study, *folder, "--power", "--pull", "owner/name"], capsys)
    assert "holds no finished cell" in refused(STUDY, [study, "--power", "--power_from", str(tmp_path)], capsys)


def test_workers_that_end_with_an_error(
    study_file: StudyFile, tmp_path: Path, capsys: Errors, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hf_sslgen.study.execution.executors.sys.executable", shutil.which("false"))
    study = study_file(protocols=[KNN], seeds=[0])
    message = refused(STUDY, [str(study), "--output_dir", str(tmp_path / "out"), "--workers", "2"], capsys)
    assert message.startswith("error: 2 of 2 workers ended with an error (exit codes 1, 1; their messages are above)")


def test_from_study_to_a_report_elsewhere(study_file: StudyFile, tmp_path: Path, capsys: Errors) -> None:
    study, folder = study_file(protocols=[KNN], seeds=[0], claims=["accuracy", "few-shot-weaker"]), tmp_path / "out"
    run_command(STUDY, [str(study), "--output_dir", str(folder)])
    assert (folder / "report" / "index.html").exists()
    assert "not testable here: accuracy, few-shot-weaker" in capsys.readouterr().out
    run_command(STATUS, [str(folder)])
    assert capsys.readouterr().out.splitlines()[-2].split() == ["all", "4", "0", "0", "0"]
    study.unlink()
    copy = tmp_path / "elsewhere"
    shutil.copytree(folder, copy)
    for name in ("results.csv", "comparisons.csv", "claims.csv", "report"):
        path = copy / name
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.rmtree(folder)
    run_command(REPORT, [str(copy)])
    assert {"results.csv", "comparisons.csv", "claims.csv", "report"} <= {path.name for path in copy.iterdir()}
    assert (copy / "report" / "index.html").exists()


def test_who_does_not_wait_leaves_the_report_to_the_last(
    study_file: StudyFile, tmp_path: Path, capsys: Errors
) -> None:
    study, folder = study_file(protocols=[KNN], seeds=[0], exclude=[{"protocol": "pretrained"}]), tmp_path / "out"
    store = Store(folder)
    store.prepare()
    known = identify(expand(read_study(study))[0], folder)
    claim = try_claim(store.claims, cell_folder(folder, cell_identity(known, known.domain.fingerprints)).name)
    assert claim is not None
    command = [str(study), "--output_dir", str(folder), "--no_wait"]
    run_command(STUDY, command)
    said = capsys.readouterr().out
    assert "1 of 2 cells are being computed by other processes, the last of which writes the report" in said
    assert not (folder / "report").exists() and len(list(read_cells(store.cells))) == 1
    release(claim)
    run_command(STUDY, command)
    assert "Report: " in capsys.readouterr().out


def test_two_workers_keep_failures_and_write_the_report_once(study_file: StudyFile, tmp_path: Path) -> None:
    study, folder = study_file(protocols=[KNN, IMPOSSIBLE], seeds=[0]), tmp_path / "out"
    command = ["-m", "hf_sslgen.cli", "study", str(study), "--output_dir", str(folder)]
    ended = warm_python.run([*command, "--workers", "2"])
    assert ended.returncode == 2
    assert ended.stdout.count("Report: ") == 1
    assert ended.stdout.count("digits: train ") == ended.stdout.count("  10 classes, from column 'label': ") == 1
    assert ended.stderr.count("Failed: ") == 1
    assert ended.stderr.splitlines()[-1].startswith("error: 2 of 6 cells failed; their tracebacks are in ")
    assert len(list(read_cells(folder / "cells"))) == 4
    assert len(list((folder / "failures").iterdir())) == 2
    assert processes_of(folder) == []


@pytest.mark.parametrize(
    ("number", "workers"),
    [(signal.SIGTERM, "2"), pytest.param(signal.SIGINT, "2", marks=pytest.mark.slow), (signal.SIGINT, "1")],
)
def test_an_interrupt_leaves_no_process_and_a_store_to_go_on_with(
    number: int, workers: str, study_file: StudyFile, tmp_path: Path
) -> None:
    study, folder = study_file(seeds=[0, 1, 2]), tmp_path / "out"
    command = ["-c", PATIENT, "study", str(study), "--output_dir", str(folder), "--workers", workers]
    process = warm_python.start(command)
    while not list(folder.glob("cells/[!.]*")) and process.poll() is None:
        time.sleep(0.005)
    process.send_signal(number)
    said = process.communicate()[1]
    assert process.returncode == 128 + number, said
    assert "interrupted; run the same command again to resume" in said
    assert "Traceback" not in said
    assert processes_of(folder) == []
    store = Store(folder)
    assert not list(store.claims.glob("*.json"))
    assert not (folder / "scratch").exists()
    assert not list(folder.rglob("*.unfinished"))
    found = len(list(read_cells(store.cells)))
    specs = expand(read_study(study))
    # On a busy machine the signal may come after the last cell; a Counter takes none for zero.
    assert run_worker(specs, store, num_threads=1) == Counter({"found": found, "computed": len(specs) - found})


def test_what_a_study_refuses(study_file: StudyFile, tmp_path: Path, capsys: Errors) -> None:
    study, output_dir = str(study_file()), ["--output_dir", str(tmp_path / "out")]
    assert "No such file" in refused(STUDY, [str(tmp_path / "none.yaml"), *output_dir], capsys)
    assert "workers is 0" in refused(STUDY, [study, *output_dir, "--workers", "0"], capsys)
    assert "--executor ray" in refused(STUDY, [study, *output_dir, "--ray_address", "auto"], capsys)
    assert "did you mean 'retry_failed'" in refused(STUDY, [study, *output_dir, "--retry_faild"], capsys)
    misspelt = str(study_file("other.yaml", backbones=["twin-resnet18-supervisd"]))
    assert "did you mean 'twin-resnet18-supervised'" in refused(STUDY, [misspelt, *output_dir], capsys)
    misspelt = str(study_file("other.yaml", domains=["digitz"]))
    assert "did you mean 'digits'" in refused(STUDY, [misspelt, *output_dir], capsys)
    assert not (tmp_path / "out").exists()
    for module in (STATUS, REPORT):
        assert "does not hold a study" in refused(module, [str(tmp_path / "out")], capsys)


def test_another_configuration_replaces_the_first_and_says_so(
    study_file: StudyFile, tmp_path: Path, capsys: Errors, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "out"
    run_command(STUDY, [str(study_file(protocols=[KNN], seeds=[0])), "--output_dir", str(folder)])
    assert "another configuration" not in caplog.text
    run_command(STUDY, [str(study_file(protocols=[KNN], seeds=[0, 1])), "--output_dir", str(folder)])
    assert "held another configuration and is replaced" in caplog.text
    run_command(STATUS, [str(folder)])
    assert capsys.readouterr().out.splitlines()[-2].split() == ["all", "6", "0", "0", "0"]
    assert not list((folder / "claims").glob("*.json"))
