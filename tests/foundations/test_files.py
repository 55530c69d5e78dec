"""Files and folders that exist whole or not at all, whatever happens while they are written."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from hf_sslgen.files import replace_file, replace_files, write_json

KILLED_WRITER = """
import os, sys
from pathlib import Path
from hf_sslgen.files import replace_file, replace_files
kind, target = sys.argv[1], Path(sys.argv[2])
if kind == "file":
    with replace_file(target) as unfinished:
        unfinished.write_text("half")
        os._exit(7)
with replace_files(target) as unfinished:
    (unfinished / "content").write_text("half")
    os._exit(7)
"""


@pytest.fixture(params=["file", "folder"])
def writer(request, tmp_path):
    """(kind, target, function that writes a text to it, function that reads it or says None)."""
    target = tmp_path / "below" / "target"
    if request.param == "file":

        def write(text: str, fails: bool = False) -> None:
            with replace_file(target) as unfinished:
                unfinished.write_text(text)
                if fails:
                    raise RuntimeError("broken off")

        return request.param, target, write, lambda: target.read_text() if target.exists() else None

    def write_folder(text: str, fails: bool = False) -> None:
        with replace_files(target) as unfinished:
            (unfinished / "content").write_text(text)
            if fails:
                raise RuntimeError("broken off")

    return request.param, target, write_folder, lambda: (target / "content").read_text() if target.exists() else None


def test_target_is_written_and_then_replaced(writer):
    _, target, write, read = writer
    write("first")
    assert read() == "first"
    write("second")
    assert read() == "second"
    assert list(target.parent.iterdir()) == [target]


def test_other_files_stay_and_obsolete_ones_go(tmp_path):
    folder = tmp_path / "folder"
    for name in ("old", "new"):
        with replace_files(folder, obsolete=["figures/*.png"]) as unfinished:
            (unfinished / name).touch()
            (unfinished / "figures").mkdir()
            (unfinished / "figures" / f"{name}.png").touch()
        (folder / "notes.txt").write_text("mine")
    assert contents(folder) == {"old": "", "new": "", "figures/new.png": "", "notes.txt": "mine"}
    assert folder.stat().st_mode & 0o777 == 0o755


@pytest.mark.parametrize("kind", ["link", "current folder"])
def test_a_folder_that_can_not_be_moved_is_written_into(kind, tmp_path, monkeypatch):
    real = tmp_path / "real"
    real.mkdir()
    folder = tmp_path / "link"
    folder.symlink_to(real)
    if kind == "current folder":
        monkeypatch.chdir(real)
        folder = Path()
    for text in ("first", "second"):
        with replace_files(folder) as unfinished:
            (unfinished / "a").write_text(text)
    assert contents(real) == {"a": "second"}
    assert (tmp_path / "link").is_symlink()


def contents(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*") if path.is_file()}


KILLED_MOVER = """
import json, os, sys
from pathlib import Path
from hf_sslgen.files import finish_replacement, remove_abandoned, replace_files

STEPS = ("rename", "replace", "unlink", "rmdir", "mkdir", "fsync", "open")
taken = 0

def write(folder, text, names):
    with replace_files(folder, obsolete=["figures/*"]) as unfinished:
        for name in names:
            (unfinished / name).parent.mkdir(exist_ok=True)
            (unfinished / name).write_text(text)

def contents(folder):
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}

def counted(step, last):
    def run(*arguments, **options):
        global taken
        taken += 1
        if taken > last:
            os._exit(9)
        return step(*arguments, **options)
    return run

OLD, NEW = ["cell", "results", "figures/a", "figures/b"], ["cell", "results", "figures/a", "figures/c"]
root, rows, code, last = Path(sys.argv[1]), [], 9, -1
while code == 9:
    last += 1
    folder = root / str(last)
    folder.mkdir()
    write(folder, "old", OLD)
    process = os.fork()
    if not process:
        for step in STEPS:
            setattr(os, step, counted(getattr(os, step), last))
        write(folder, "new", NEW)
        os._exit(0)
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    left = contents(folder)
    remove_abandoned(folder)
    finish_replacement(folder)
    rows.append({"left": left, "next": contents(folder)})
print(json.dumps(rows))
"""


def test_killed_at_any_step_the_old_or_the_new_files_are_there_and_nothing_else(tmp_path):
    """Every file keeps a whole version under its own name at any moment, and the next run makes them of one age."""
    command = [sys.executable, "-c", KILLED_MOVER, str(tmp_path)]
    finished = subprocess.run(command, check=True, cwd=Path(__file__).parents[2], capture_output=True, text=True)
    rows = json.loads(finished.stdout)
    old = dict.fromkeys(["cell", "results", "figures/a", "figures/b"], "old")
    new = dict.fromkeys(["cell", "results", "figures/a", "figures/c"], "new")
    assert len(rows) > 15
    for row in rows:
        assert row["next"] in (old, new)
        own = {name: text for name, text in row["left"].items() if not name.startswith(".")}
        assert {"cell", "results", "figures/a"} <= own.keys()
        if row["next"] == old:
            assert own == old
    assert [row["next"] for row in (rows[0], rows[-1])] == [old, new]


@pytest.mark.parametrize("before", [None, "old"])
def test_error_inside_leaves_the_target_as_it_was(writer, before):
    _, target, write, read = writer
    if before is not None:
        write(before)
    with pytest.raises(RuntimeError, match="broken off"):
        write("half", fails=True)
    assert read() == before
    assert list(target.parent.iterdir()) == ([] if before is None else [target])


def test_a_killed_process_leaves_the_target_as_it_was(writer):
    kind, target, write, read = writer
    write("old")
    command = [sys.executable, "-c", KILLED_WRITER, kind, str(target)]
    assert subprocess.run(command, check=False, cwd=Path(__file__).parents[2]).returncode == 7
    assert read() == "old"
    others = [path.name for path in target.parent.iterdir() if path != target]
    assert all(name.startswith(".target.") and name.endswith(".unfinished") for name in others)
    write("new")
    assert read() == "new"


def test_json_has_no_numbers_that_other_readers_refuse(tmp_path):
    write_json(tmp_path / "a.json", {"größe": 0.1})
    assert (tmp_path / "a.json").read_text(encoding="utf-8") == '{\n  "größe": 0.1\n}\n'
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"accuracy": float("nan")})
    assert "größe" in (tmp_path / "a.json").read_text(encoding="utf-8")
