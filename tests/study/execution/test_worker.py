"""A worker computes what is missing, keeps failures and goes on, and gives way where it was overtaken."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import warm_python

from hf_sslgen.analysis import pass_shards, tensor_files
from hf_sslgen.command_line import run_main
from hf_sslgen.errors import DiskFullError, InputError
from hf_sslgen.interruption import InterruptedByRequestError
from hf_sslgen.study.cells.cell_folder import read_cells
from hf_sslgen.study.cells.store import Store
from hf_sslgen.study.config import read_study
from hf_sslgen.study.execution import worker
from hf_sslgen.study.execution.worker import run_worker
from hf_sslgen.study.plan import expand
from hf_sslgen.work_claims import LEASE_SECONDS, find_claims, try_claim

StudyFile = Callable[..., Path]


def prepared(folder: Path) -> Store:
    store = Store(folder)
    store.prepare()
    return store


def test_what_is_finished_is_not_computed_again(finished_study: Any) -> None:
    store = finished_study.store
    before = {path: path.stat().st_mtime_ns for path in store.folder.rglob("*")}
    assert run_worker(finished_study.specs, store, num_threads=1) == {"found": 6, "failed": 2}
    after = {path: path.stat().st_mtime_ns for path in store.folder.rglob("*") if path.name != ".clock"}
    assert after.items() <= before.items()


def test_failures_are_kept_with_their_traceback(finished_study: Any) -> None:
    failures = [failure for spec in finished_study.specs if (failure := finished_study.store.failure(spec))]
    assert [failure.title for failure in failures] == [
        f"{name} on digits, impossible, 100%, at most 30 images of the labels, seed 0" for name in ("resnet", "vit")
    ]
    for failure in failures:
        assert failure.error.startswith("InputError: an episode of 5 ways")
        assert "prototypical_accuracies" in failure.traceback
        assert failure.process == os.getpid()
    assert not (finished_study.store.folder / "scratch").exists()


@pytest.mark.parametrize("place", ["measure", "prepare_cell"])
def test_an_interrupt_that_broke_the_clean_up_is_not_taken_for_a_failure(
    place: str, study_file: StudyFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when `shutil.rmtree`, interrupted at the wrong moment, closes a descriptor twice."""
    store, specs = prepared(tmp_path / "store"), expand(read_study(study_file()))[:2]

    def interrupted(*_: Any) -> None:
        descriptor = os.open(tmp_path, os.O_RDONLY)
        try:
            os.close(descriptor)
            raise InterruptedByRequestError(signal.SIGTERM)
        finally:
            os.close(descriptor)

    with monkeypatch.context() as patch:
        patch.setattr(worker, place, interrupted)
        with pytest.raises(InterruptedByRequestError):
            run_worker(specs, store, num_threads=1)
    assert not any(store.has_failed(spec) for spec in specs)
    assert not list(store.claims.glob("*.json"))
    with pytest.raises(SystemExit) as ended:
        run_main(interrupted)
    assert ended.value.code == 128 + signal.SIGTERM


def test_an_interrupted_cell_goes_on_from_its_shards(
    study_file: StudyFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pass_shards, "SHARD_IMAGES", 4)
    pretrained = expand(read_study(study_file(analysis={"max_subset": 10, "batch_size": 4})))[:1]
    store, save, written = prepared(tmp_path / "store"), tensor_files.save_file, []

    def save_noted(tensors: Any, path: Path, metadata: dict[str, str]) -> None:
        if store.features not in path.parents:
            written.append(path)
        save(tensors, path, metadata)

    def save_two(tensors: Any, path: Path, metadata: dict[str, str]) -> None:
        if len(written) == 2:
            raise KeyboardInterrupt
        save_noted(tensors, path, metadata)

    monkeypatch.setattr(tensor_files, "save_file", save_two)
    with pytest.raises(KeyboardInterrupt):
        run_worker(pretrained, store)
    kept = list((store.folder / "unfinished").rglob("*.safetensors"))
    assert len(kept) == 2 and not list(read_cells(store.cells))
    content = bytearray(kept[0].read_bytes())
    content[-5] ^= 1
    kept[0].write_bytes(content)
    monkeypatch.setattr(tensor_files, "save_file", save_noted)
    store.prepare()
    assert run_worker(pretrained, store) == {"computed": 1}
    assert len(written) == 4  # three of ten images, and the one that was damaged
    assert not (store.folder / "unfinished").exists()


def test_shards_of_a_cell_that_was_finished_are_removed(tmp_path: Path) -> None:
    """Its worker may have been killed between the two."""
    store = prepared(tmp_path / "store")
    (store.cells / "finished").mkdir()
    for name in ("finished", "in_work"):
        (store.folder / "unfinished" / name / "digest").mkdir(parents=True)
    store.prepare()
    assert [path.name for path in (store.folder / "unfinished").iterdir()] == ["in_work"]


def test_a_backbone_that_can_not_be_loaded_is_tried_again_on_request(
    study_file: StudyFile, small_backbones: dict[str, str], tmp_path: Path
) -> None:
    location = tmp_path / "later"
    rows = [{"location": str(location), "name": "later", "objective": "byol"}, small_backbones["timm_resnet"]]
    specs = expand(
        read_study(study_file(backbones=rows, protocols=[{"preset": "dino-knn", "neighbours": [5]}], seeds=[0]))
    )
    store = prepared(tmp_path / "store")
    assert run_worker(specs, store) == {"failed": 2, "computed": 2}
    shutil.copytree(small_backbones["timm_vit"], location)
    assert run_worker(specs, store) == {"failed": 2, "found": 2}
    store.forget_failures(specs)
    assert run_worker(specs, store) == {"computed": 2, "found": 2}
    assert not any(store.has_failed(spec) for spec in specs)


STOPS = """
import os, signal
from hf_sslgen.command_line import run_command
from hf_sslgen.study.execution import worker
measure = worker.measure
def measure_and_stop(*arguments):
    found, worker.measure = measure(*arguments), measure
    os.kill(os.getpid(), signal.SIGSTOP)
    return found
worker.measure = measure_and_stop
run_command("hf_sslgen.study.execution.worker_process")
"""


def is_stopped(process: warm_python.WarmProcess) -> bool:
    stat = Path(f"/proc/{process.pid}/stat").read_text(encoding="utf-8")
    return stat.rpartition(")")[2].split()[0] == "T"


@pytest.mark.parametrize("when", ["it trains", "it has measured"])
def test_a_suspended_worker_drops_what_another_took_over(when: str, study_file: StudyFile, tmp_path: Path) -> None:
    finetune = {"preset": "finetune", "learning_rates": [1e-3], "max_steps": 2, "batch_size": 10}
    study = study_file(seeds=[0], protocols=[finetune], exclude=[{"protocol": "pretrained"}])
    store = prepared(tmp_path / "store")
    program = ["-m", "hf_sslgen.study.execution.worker_process"] if when == "it trains" else ["-c", STOPS]
    suspended = warm_python.start([*program, study, store.folder])
    try:
        while suspended.poll() is None and not is_stopped(suspended):
            with contextlib.suppress(FileNotFoundError):  # a folder that was there a moment ago
                if when == "it trains" and list(store.folder.glob("unfinished/*/candidates/*/run-*/*")):
                    suspended.send_signal(signal.SIGSTOP)
            time.sleep(0.001)
        assert suspended.poll() is None, suspended.errors
        long_ago = time.time() - LEASE_SECONDS - 1
        for folder in (store.claims, *store.folder.glob("unfinished/*/candidates/claims")):
            for claim in find_claims(folder):
                os.utime(claim.path, (long_ago, long_ago))
        assert run_worker(expand(read_study(study)), store, num_threads=1) == {"computed": 2}
        times = {path: path.stat().st_mtime_ns for path in store.cells.rglob("*")}
    finally:
        suspended.send_signal(signal.SIGCONT)
        said = suspended.communicate()[1]
    assert suspended.returncode == 0, said
    assert "another process took over" in said
    assert not re.search(r"worker: .*: [0-9.]+ s$", said, re.MULTILINE)
    assert {path: path.stat().st_mtime_ns for path in store.cells.rglob("*")} == times
    assert list(store.claims.glob("*.json")) == []
    assert not (store.folder / "failures").exists()


def test_scratch_of_the_overtaken_claim_alone_is_cleared(tmp_path: Path) -> None:
    store = prepared(tmp_path)
    first = try_claim(store.claims, "cell")
    assert first is not None
    old = store.scratch(first)
    old.mkdir(parents=True)
    first.path.unlink()
    second = try_claim(store.claims, "cell")
    assert second is not None
    new = store.scratch(second)
    new.mkdir(parents=True)
    assert not old.exists()
    store.clear_scratch(first)
    assert new.is_dir()
    store.clear_scratch(second)
    assert not (tmp_path / "scratch").exists()


def test_leftovers_of_the_dead_are_removed_and_those_of_the_living_stay(tmp_path: Path) -> None:
    dead = """
import os, sys
from pathlib import Path
from hf_sslgen.processes import unfinished_name
from hf_sslgen.work_claims import try_claim
from hf_sslgen.study.cells.store import Store
store = Store(Path(sys.argv[1]))
store.prepare()
store.scratch(try_claim(store.claims, "cell")).mkdir(parents=True)
(store.cells / unfinished_name("cell")).mkdir()
(store.claims / unfinished_name("cell.1.json")).touch()
(store.folder / unfinished_name("study.yaml")).touch()
if len(sys.argv) > 2:
    input()
os._exit(9)
"""
    command = ["-c", dead, str(tmp_path)]
    with warm_python.start([*command, "stays"], piped=True) as living:
        while not list(tmp_path.glob(".study.yaml.*.unfinished")):
            time.sleep(0.01)
        before = sorted(tmp_path.rglob("*"))
        prepared(tmp_path)
        assert sorted(path for path in tmp_path.rglob("*") if path.name != ".clock") == before
        living.kill()
    assert warm_python.run(command).returncode == 9
    prepared(tmp_path)
    assert {path.name for path in tmp_path.rglob("*")} <= {"cells", "claims", ".clock"}


def test_a_folder_of_something_else_and_one_that_can_not_be_made(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").touch()
    for folder, message in (
        (tmp_path, "holds other files"),
        (tmp_path / "mine.txt", "is a file"),
        (tmp_path / "mine.txt" / "below", "lies below"),
    ):
        with pytest.raises(InputError, match=message):
            Store(folder).prepare()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 800 kB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if shutil.which("mount") is None:
        pytest.skip("no mount command")
    command = ["mount", "-t", "tmpfs", "-o", "size=800k", "tmpfs", str(disk)]
    if subprocess.run(command, capture_output=True, check=False).returncode != 0:
        pytest.skip("mounting a small file system needs root")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_leaves_the_store_intact(study_file: StudyFile, small_disk: Path) -> None:
    specs = expand(read_study(study_file(protocols=["linear", {"preset": "dino-knn", "neighbours": [5]}], seeds=[0])))
    store = prepared(small_disk / "store")
    filler = small_disk / "filler"
    for room in (0, 4096, 12288, 24576, 40960, 81920):  # from no room for a claim to room for a cell or two
        filler.write_bytes(b"")
        filler.write_bytes(bytes(max(0, shutil.disk_usage(small_disk).free - room)))
        with pytest.raises(DiskFullError, match=r"no disk space left in .*run the same command again"):
            run_worker(specs, store, num_threads=1)
        assert [path.name for path in store.folder.rglob("*.unfinished")] == []
        assert list(store.claims.glob("*.json")) == []
        assert all(len(cell.records()) > 0 for cell in read_cells(store.cells))
        assert not any(store.has_failed(spec) for spec in specs)
    found = len(list(read_cells(store.cells)))
    filler.unlink()
    assert run_worker(specs, store, num_threads=1) == {"found": found, "computed": len(specs) - found}


def test_a_read_only_folder_is_refused(small_disk: Path) -> None:
    prepared(small_disk / "store")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(InputError, match="can't be written"):
        prepared(small_disk / "store")
