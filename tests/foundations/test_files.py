"""Files and folders that exist whole or not at all, whatever happens while they are written."""

import subprocess
import sys
from pathlib import Path

import pytest

from hf_sslgen.files import replace_file, replace_folder, write_json

KILLED_WRITER = """
import os, sys
from pathlib import Path
from hf_sslgen.files import replace_file, replace_folder
kind, target = sys.argv[1], Path(sys.argv[2])
if kind == "file":
    with replace_file(target) as unfinished:
        unfinished.write_text("half")
        os._exit(7)
with replace_folder(target) as unfinished:
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
        with replace_folder(target) as unfinished:
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


def test_files_of_the_replaced_folder_are_gone(tmp_path):
    for name in ("old", "new"):
        with replace_folder(tmp_path / "folder") as unfinished:
            (unfinished / name).touch()
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["new"]
    assert (tmp_path / "folder").stat().st_mode & 0o777 == 0o755


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
