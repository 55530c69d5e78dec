"""A study to publish, a Hub to publish it on, and the command in this process."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fake_study import SELF_SUPERVISED, SUPERVISED, FakeBackbone, Setting, write_study

from hf_sslgen.command_line import run_command
from hf_sslgen.study.cells import cell_folder
from tests.hub import ROLES, Hub

REPOSITORY = "org/study"
DOMAINS = (("photo-patches", "similar"),)

Command = Callable[..., str]


def add_cells(store: Path, protocol: str, backbones: tuple[FakeBackbone, ...] = (SUPERVISED, SELF_SUPERVISED)) -> None:
    """Cells of two backbones under one more protocol."""
    write_study(store / "cells", backbones, DOMAINS, settings=(Setting(protocol),))


def change_numbers(cell: Path, value: float = 0.123) -> None:
    """Another first number, as another machine might have found."""
    content = json.loads((cell / "results.json").read_text())
    content["numbers"][0]["value"] = value
    (cell / "results.json").write_text(json.dumps(content))


def rewrite_identity(cell: Path, **changes: object) -> Path:
    """The cell under another identity, in the folder that belongs to it."""
    content = json.loads((cell / "cell.json").read_text())
    content["identity"] |= changes
    (cell / "cell.json").write_text(json.dumps(content))
    return cell.rename(cell_folder(cell.parent, content["identity"]))


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder, by its path."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def cell_names(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "cells").iterdir())


@pytest.fixture(scope="session")
def _built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built")
    add_cells(folder, "pretrained")
    add_cells(folder, "linear")
    return folder


@pytest.fixture
def store(_built: Path, tmp_path: Path) -> Path:
    """A study's folder with four cells: two backbones, before and after a linear probe, on one domain."""
    return Path(shutil.copytree(_built, tmp_path / "store"))


@pytest.fixture
def study_hub(hub_in_process: Hub, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """The Hub, with this process logged in as its owner and with no time to lose."""
    monkeypatch.setenv("HF_TOKEN", ROLES["owner"].token)
    monkeypatch.setattr("hf_sslgen.hub.exchange.WAITS", (0.05, 0.1))
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
        return "\n".join([said.out, caplog.text, *errors])

    return run


def remote_files(hub: Hub, repository: str = REPOSITORY, kind: str = "dataset") -> dict[str, bytes]:
    """Everything that a repository holds, by path."""
    found = hub.site.store.find(f"{kind}s", repository)
    assert found is not None
    return {path: found.content(stored) for path, stored in found.commit("main").files.items()}


def commits(hub: Hub, repository: str = REPOSITORY, kind: str = "dataset") -> int:
    found = hub.site.store.find(f"{kind}s", repository)
    assert found is not None
    return len(list(found.history("main")))
