"""A study to publish, a Hub to publish it on, and the command in this process."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from damage import reseal
from study_on_hub import REPOSITORY, Command, add_cells

from hf_sslgen.command_line import run_command
from hf_sslgen.hub_access.retries import RetryPolicy
from tests.loopback_hub import ROLES, Hub


@pytest.fixture(scope="session")
def _built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built")
    add_cells(folder, "pretrained")
    add_cells(folder, "linear")
    for cell in (folder / "cells").glob("*--pretrained--*"):
        (cell / "examples.npz").unlink()  # the same as that of the linear probe, and no file is to be there twice
        reseal(cell)
    return folder


@pytest.fixture
def store(_built: Path, tmp_path: Path) -> Path:
    """A study's folder with four cells: two backbones, before and after a linear probe, on one domain."""
    return Path(shutil.copytree(_built, tmp_path / "store"))


@pytest.fixture
def study_hub(hub_in_process: Hub, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """The Hub, with this process logged in as its owner and with no time to lose."""
    monkeypatch.setenv("HF_TOKEN", ROLES["owner"].token)
    monkeypatch.setattr("hf_sslgen.hub_access.retries.POLICY", RetryPolicy(waits=(0.02, 0.05, 0.1)))
    yield hub_in_process
    assert [str(visit) for visit in hub_in_process.visits if visit.status == 501] == []


@pytest.fixture
def push(study_hub: Hub, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> Command:
    """`hf-sslgen push-study`; returns what it says, its last line being the error where it ends with one."""

    def run(folder: Path, *options: str, repository: str = REPOSITORY) -> str:
        caplog.clear()
        caplog.set_level("INFO")
        code = 0
        try:
            run_command("hf_sslgen.commands.push_study", [str(folder), repository, *options])
        except SystemExit as stopped:
            code = int(str(stopped.code))
        said = capfd.readouterr()
        errors = [line for line in said.err.splitlines() if line.startswith("error: ")]
        assert (code, len(errors)) in ((0, 0), (2, 1)), said.err
        assert "Traceback" not in said.err
        assert not any(role.token in said.out + said.err + caplog.text for role in ROLES.values())
        return "\n".join([said.out, caplog.text, *errors])

    return run
