"""Output folders: which can be written, told before anything is computed; and who works in one."""

import errno
import logging
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from hf_sslgen import output_folder, work_claims
from hf_sslgen.errors import DiskFullError, InputError
from hf_sslgen.files import write_json
from hf_sslgen.output_folder import CLAIM, claim_folder, require_output_folder, working_in
from hf_sslgen.work_claims import LEASE_SECONDS, this_process, try_claim


@pytest.fixture
def disk(small_disk: Callable[[int], Path]) -> Path:
    """A real file system of 200 kB, which is a mount point."""
    return small_disk(200_000)


def test_folders_that_can_be_written_are_left_as_they_are(tmp_path, monkeypatch, disk) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "run.json").touch()
    (tmp_path / "mine" / "notes.txt").touch()
    (tmp_path / "link").symlink_to(tmp_path / "mine")
    (tmp_path / "empty").mkdir()
    (disk / "lost+found").mkdir()
    (tmp_path / "empty" / ".hidden").touch()
    before = sorted(tmp_path.rglob("*"))
    for given in ("mine", "link", "empty", "new", "a/b/c", str(disk), str(disk / "below"), "é" * 100, "x" * 250):
        assert require_output_folder(given, own=["run.json"]) == Path(given)
    assert require_output_folder("e/../e", own=[]) == tmp_path / "e"
    assert require_output_folder("no/../new", own=[]) == tmp_path / "new"
    monkeypatch.chdir(tmp_path / "empty")
    assert require_output_folder(".", own=[]) == Path()
    assert sorted(tmp_path.rglob("*")) == before


@pytest.fixture
def bad_folders(tmp_path: Path) -> dict[str, tuple[str, str]]:
    """By kind, what to give and what is said of it."""
    (tmp_path / "file").touch()
    (tmp_path / "foreign").mkdir()
    (tmp_path / "foreign" / "thesis.txt").touch()
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    kinds = {
        "file": ("file", "is a file; give a folder"),
        "below a file": ("file/below", "lies below"),
        "foreign": ("foreign", "holds other files (thesis.txt)"),
        "broken link": ("dangling", "a broken link"),
        "below a broken link": ("dangling/below", "a broken link"),
        "loop": ("loop", "is not a valid folder"),
        "long name": ("n" * 256, "too long"),
        "long name in bytes": ("é" * 128, "too long"),
        "long path": ("/".join(["n" * 200] * 20), "too long"),
        "no name": ("a\0b", "is not a valid folder"),
    }
    return {kind: (str(tmp_path / name), said) for kind, (name, said) in kinds.items()}


def test_folders_that_can_not_be_written_are_refused_with_a_sentence(bad_folders, tmp_path) -> None:
    before = sorted(tmp_path.rglob("*"))
    for kind, (given, said) in bad_folders.items():
        with pytest.raises(InputError) as refused:
            require_output_folder(given, own=["run.json"])
        message = str(refused.value)
        assert said in message, kind
        assert message.startswith("output_dir "), kind
    with pytest.raises(InputError, match="is empty"):
        require_output_folder("", own=[])
    assert sorted(tmp_path.rglob("*")) == before


def test_read_only_and_full_disks_are_refused(disk) -> None:
    (disk / "filler").write_bytes(bytes(shutil.disk_usage(disk).free))
    with pytest.raises(DiskFullError, match="No space left"):
        require_output_folder(disk / "new", own=[])
    (disk / "filler").unlink()
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    for folder in (disk, disk / "new"):
        with pytest.raises(InputError, match="Read-only file system"):
            require_output_folder(folder, own=[])
    assert list(disk.iterdir()) == []


def test_of_two_processes_the_second_is_refused(tmp_path, subprocess_that_holds: Callable) -> None:
    folder = tmp_path / "new"
    holder = subprocess_that_holds(folder)
    with pytest.raises(InputError, match=rf"in use by process {holder.pid} on .*; wait until that has ended"):
        claim_folder(folder)
    holder.kill()
    holder.wait()
    with working_in(folder, claim_folder(folder)):
        assert {path.name for path in folder.iterdir()} == {".claim.1.json", ".claim.2.json"}
    assert list(folder.iterdir()) == []


@pytest.fixture
def elsewhere(tmp_path, monkeypatch) -> Path:
    """The claim of a process of another machine, whose life can't be looked up."""
    monkeypatch.setattr(output_folder, "POLL_SECONDS", 0.01)
    path = tmp_path / f"{CLAIM}.1.json"
    write_json(path, asdict(replace(this_process(), host="elsewhere")))
    return path


def test_a_claim_of_another_machine_that_shows_life_is_refused(elsewhere, tmp_path, monkeypatch) -> None:
    slept = []

    def touch_later(seconds: float) -> None:
        slept.append(seconds)
        if len(slept) == 3:
            os.utime(elsewhere, (time.time() + 20, time.time() + 20))

    monkeypatch.setattr(output_folder.time, "sleep", touch_later)
    with pytest.raises(InputError, match=r"in use by process \d+ on elsewhere"):
        claim_folder(tmp_path)
    assert len(slept) == 3


def test_a_claim_of_another_machine_that_shows_none_is_overtaken(elsewhere, tmp_path, monkeypatch, caplog) -> None:
    long_ago = time.time() - LEASE_SECONDS / 2
    os.utime(elsewhere, (long_ago, long_ago))
    slept = []

    def run_out_later(seconds: float) -> None:
        slept.append(seconds)
        assert len(slept) <= 3, "the lease has ended"
        if len(slept) == 3:
            monkeypatch.setattr(work_claims, "LEASE_SECONDS", 0.0)

    monkeypatch.setattr(output_folder.time, "sleep", run_out_later)
    with caplog.at_level(logging.WARNING):
        assert claim_folder(tmp_path).generation == 2
    assert len(slept) == 3
    (rest,) = re.findall(r"waiting up to (\d+) s to see whether it is still at work", caplog.text)
    assert LEASE_SECONDS / 4 < int(rest) <= LEASE_SECONDS / 2


def test_without_hard_links_a_claim_is_held_all_the_same(tmp_path, monkeypatch) -> None:
    def refuse(*arguments: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(work_claims.os, "link", refuse)
    with pytest.raises(InputError, match="without hard links"):
        try_claim(tmp_path, "cell")
    claim = claim_folder(tmp_path)
    with pytest.raises(InputError, match=f"in use by process {os.getpid()}"):
        claim_folder(tmp_path)
    with working_in(tmp_path, claim):
        pass
    assert list(tmp_path.iterdir()) == []
