"""A study on a rented GPU: what `hf jobs` sends, with its secrets as secrets, and what the job then does."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from study_on_hub import add_cells, cell_names, remote_files

from hf_sslgen.command_line import run_command
from hf_sslgen.commands import run_study_job
from hf_sslgen.errors import HubError, WorkerError
from tests.loopback_hub import ROLES, Hub

SCRIPT = Path(__file__).parents[2] / "recipes" / "study_job.py"
TOKEN = ROLES["owner"].token


@pytest.fixture
def job_hub(hub_in_process: Hub, monkeypatch: pytest.MonkeyPatch) -> Hub:
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    return hub_in_process


def hf(*words: str) -> str:
    """The client's own command, in this process."""
    from huggingface_hub.cli.hf import app

    ended = CliRunner().invoke(app, list(words), catch_exceptions=False)
    assert ended.exit_code == 0, ended.output
    return ended.output


def test_a_dry_run_shows_what_would_be_rented_and_no_token(job_hub: Hub, tmp_path: Path) -> None:
    study = tmp_path / "study.yaml"
    study.write_text("title: x\n")
    shown = hf("jobs", "uv", "run", "--dry-run", str(SCRIPT), str(study), "org/study")
    for words in ("a10g-small", "6h", f"{study} org/study", "HF_TOKEN=***", "Job not submitted"):
        assert words in shown
    assert TOKEN not in shown
    assert not (job_hub.root / "jobs").exists()
    assert "h200" in hf("jobs", "uv", "run", "--dry-run", "--flavor", "h200", str(SCRIPT), str(study), "org/study")


def test_a_job_has_the_token_as_a_secret_alone(job_hub: Hub) -> None:
    image, command = "ghcr.io/astral-sh/uv:python3.12-bookworm", ["uv", "run", "study_job.py", "x.yaml", "org/study"]
    options = ["--flavor", "a10g-small", "--timeout", "6h", "--secrets", "HF_TOKEN", "--namespace", "org", "--detach"]
    shown = hf("jobs", "run", *options, image, *command)
    assert TOKEN not in shown
    (path,) = (job_hub.site.store.root / "jobs").iterdir()
    spec = json.loads(path.read_text())
    assert spec.pop("secrets") == {"HF_TOKEN": TOKEN}
    assert TOKEN not in json.dumps(spec)
    assert (spec["command"], spec["flavor"], spec["timeoutSeconds"]) == (command, "a10g-small", 6 * 3600)


class Ended:
    """In place of the study's process: writes what it is told to, then ends."""

    def __init__(self, folder: Path, cells: Path, code: int) -> None:
        self.folder, self.cells, self.code, self.commands = folder, cells, code, []
        self.returncode: int | None = None

    def __call__(self, command: list[str]) -> "Ended":
        self.commands.append(command)
        return self

    def wait(self, timeout: float | None = None) -> int:
        if not self.folder.exists():
            self.folder.mkdir()
            (self.folder / "cells").symlink_to(self.cells)
            raise run_study_job.subprocess.TimeoutExpired("study", timeout or 0)
        self.returncode = self.code
        return self.code

    def poll(self) -> int | None:
        return self.returncode


@pytest.fixture
def cells(tmp_path: Path) -> Path:
    add_cells(tmp_path / "computed", "linear")
    return tmp_path / "computed" / "cells"


@pytest.mark.parametrize("code", [0, 2])
def test_cells_are_published_while_it_runs_and_at_its_end(
    code: int, job_hub: Hub, cells: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "study"
    study = Ended(folder, cells, code)
    monkeypatch.setattr(run_study_job.subprocess, "Popen", study)
    arguments = run_study_job.StudyJobArguments("study.yaml", "org/study", str(folder), report_space=code == 0)
    for attempt in range(2):
        if code:
            with pytest.raises(WorkerError, match="exit code 2"):
                run_study_job.run_study_job(arguments)
        else:
            run_study_job.run_study_job(arguments)
        assert ("--pull" in study.commands[-1]) == (attempt > 0)
    published = {path.split("/")[1] for path in remote_files(job_hub, "org/study") if path.startswith("cells/")}
    assert published == {path.name for path in cells.iterdir()}
    assert (job_hub.site.store.find("spaces", "org/study") is not None) == (code == 0)


def test_without_a_token_nothing_begins(job_hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(HubError, match="token"):
        run_study_job.run_study_job(run_study_job.StudyJobArguments("study.yaml", "org/study", str(tmp_path / "x")))
    assert not (tmp_path / "x").exists()


@pytest.mark.slow
def test_a_whole_job(job_hub: Hub, tmp_path: Path, study_content: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The study's own process, as the job runs it, and a second job that finds everything done."""
    study, folder = tmp_path / "study.yaml", tmp_path / "out"
    study.write_text(yaml.safe_dump(study_content()))
    for name, value in job_hub.environment("owner").items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    for output in (folder, tmp_path / "again"):
        run_command(
            "hf_sslgen.commands.study_job", [str(study), "org/study", "--output_dir", str(output), "--private"]
        )
        assert cell_names(output) == cell_names(folder)
    published = {path.split("/")[1] for path in remote_files(job_hub, "org/study") if path.startswith("cells/")}
    assert published == set(cell_names(folder))
