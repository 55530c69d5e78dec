"""Help and read-only commands answer at once: they load none of the libraries that take seconds to import."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from fake_study import BACKBONES, DOMAINS, build_study

from hf_sslgen.cli import COMMANDS
from hf_sslgen.study.cells.store import STUDY_FILE, Store
from hf_sslgen.study.config import read_study
from hf_sslgen.study.plan import expand

SLOW_LIBRARIES = (
    *("torch", "torchvision", "transformers", "datasets", "accelerate", "evaluate", "timm", "captum", "lightly"),
    *("ray", "pandas", "matplotlib", "sklearn", "scipy.stats"),
)

MEASURED = """
import contextlib, io, json, sys
from hf_sslgen.cli import main
from hf_sslgen.command_line import run_command

calls, slow = json.loads(sys.argv[1])
outcomes = []
for command, *options in calls:
    before, shown = set(sys.modules), io.StringIO()
    with contextlib.redirect_stdout(shown):
        try:
            if command.startswith("hf_sslgen."):
                run_command(command, options)
            else:
                sys.argv = ["hf-sslgen", command, *options]
                main()
            code = 0
        except SystemExit as stopped:
            code = stopped.code
    outcomes.append([code, shown.getvalue(), sorted(set(slow) & (set(sys.modules) - before))])
print(json.dumps(outcomes))
"""
"""Runs the calls one after the other: exit code, what each shows, and the slow libraries it was the first to load."""


@pytest.fixture(scope="module")
def study_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of which one cell is finished and one has failed."""
    folder = tmp_path_factory.mktemp("study")
    cell = build_study(folder / "cells", BACKBONES[:1], domains=DOMAINS[:1]).cells[0]
    (folder / STUDY_FILE).write_text(
        json.dumps({"backbones": [{"twin_set": "resnet18-tiny-imagenet-100"}], "domains": ["digits"]})
    )
    store, specs = Store(folder), expand(read_study(folder / STUDY_FILE))
    store.index(specs[0], cell.folder.name)
    store.record_failure(specs[1], ValueError("the reason"))
    return folder


def test_help_and_listings_load_no_slow_library(study_folder: Path) -> None:
    calls = [
        ["--help"],
        ["--version"],
        *([command, "--help"] for command in COMMANDS),
        ["hf_sslgen.commands.pretrain", "--help"],
        ["zoo"],
        ["zoo", "twin-resnet18-simclr"],
        ["domains"],
        ["domains", "digits"],
        ["claims"],
        ["claims", "accuracy"],
        *(["completion", shell] for shell in ("bash", "fish")),
        ["status", str(study_folder)],
    ]
    ended = subprocess.run(
        [sys.executable, "-c", MEASURED, json.dumps([calls, SLOW_LIBRARIES])], capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr
    outcomes = json.loads(ended.stdout)
    loaded = {" ".join(call): libraries for call, (_, _, libraries) in zip(calls, outcomes, strict=True) if libraries}
    assert loaded == {}
    assert [code for code, _, _ in outcomes] == [0] * len(calls)
    assert all(shown for _, shown, _ in outcomes)
    status = outcomes[-1][1]
    assert status.splitlines()[1].split()[:2] == ["digits", "1"]
    assert "ValueError: the reason" in status
