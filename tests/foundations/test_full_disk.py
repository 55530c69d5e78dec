"""A disk that fills up during writing: recognised in every library's words, and what was there stays whole."""

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import torch

from hf_sslgen import command_line
from hf_sslgen.files import is_disk_full, replace_files, write_json

LARGE = 200_000
"""Numbers that take more room than there is."""

WRITERS: dict[str, Callable[[Path], object]] = {
    "text": lambda folder: write_json(folder / "a.json", list(range(LARGE))),
    "parquet": lambda folder: pd.DataFrame({"a": np.random.default_rng(0).random(LARGE)}).to_parquet(folder / "a"),
    "npz": lambda folder: np.savez(folder / "a.npz", a=np.zeros(LARGE)),
    "safetensors": lambda folder: safetensors.torch.save_file({"a": torch.zeros(LARGE)}, folder / "a"),
    "torch": lambda folder: torch.save({"a": torch.zeros(LARGE)}, folder / "a"),
}


def fill(disk: Path, rest: int) -> Path:
    """A file that leaves so many bytes."""
    filler = disk / "filler"
    filler.write_bytes(bytes(shutil.disk_usage(disk).free - rest))
    return filler


@pytest.mark.parametrize("writer", WRITERS)
def test_new_files_that_do_not_fit_leave_the_old_ones_and_one_sentence(writer, small_disk, capsys) -> None:
    disk = small_disk(300_000)
    results = disk / "results"
    with replace_files(results) as unfinished:
        (unfinished / "a.json").write_text("old")
    fill(disk, rest=40_000)

    def write() -> None:
        with replace_files(results) as unfinished:
            (unfinished / "cell.json").write_text("new")
            WRITERS[writer](unfinished)

    with pytest.raises(SystemExit) as stopped:
        command_line.run_main(write)
    assert stopped.value.code == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1
    assert said[0].startswith("error: no disk space left while writing")
    assert [path.name for path in results.rglob("*")] == ["a.json"]
    assert (results / "a.json").read_text() == "old"


def test_other_errors_are_not_taken_for_a_full_disk() -> None:
    assert not is_disk_full(ValueError("a file"))
    assert not is_disk_full(PermissionError(13, "Permission denied"))
    wrapped = RuntimeError("writing failed")
    wrapped.__context__ = OSError(28, "No space left on device")
    wrapped.__context__.__context__ = wrapped  # errors may lead in a circle
    assert is_disk_full(wrapped)
