"""Run `hf-sslgen compare` for the app, in a process of its own: it can be watched, stopped, and run again to resume.

It is the same command with the same output folder, so cells that either has finished are never computed again.
"""

import os
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from hf_sslgen.app.backbone_choices import ChosenBackbones
from hf_sslgen.tokens import without_tokens

COMMAND = ("-m", "hf_sslgen.cli", "compare")
REPORT = Path("report", "index.html")
STOPPED = 128 + signal.SIGTERM
PATIENCE_SECONDS = 30.0
"""Time that a comparison has to put its files in order once it was asked to stop."""

SHOWN_LINES = 14
ERROR = "error: "


@dataclass(frozen=True)
class ComparisonRequest:
    """What to compare on which images, as options of `hf-sslgen compare`; `max_images` bounds each split."""

    dataset_name: str
    backbones: ChosenBackbones
    output_dir: Path
    protocols: tuple[str, ...] = ("linear",)
    group: str = "-"
    max_images: int | None = None
    untrained_control: bool = True

    @property
    def options(self) -> list[str]:
        """The options, in the words of the command line."""
        options = ["--dataset_name", self.dataset_name, "--backbones", *self.backbones.locations]
        if set(self.backbones.objectives) != {"-"}:
            options += ["--objectives", *self.backbones.objectives]
        options += ["--output_dir", str(self.output_dir), "--protocol", *self.protocols, "--group", self.group]
        if not self.untrained_control:
            options += ["--untrained_control", "false"]
        if self.max_images is not None:
            for split in ("train", "eval", "test"):
                options += [f"--max_{split}_samples", str(self.max_images)]
        return options

    @property
    def command(self) -> str:
        """The same comparison as a command for a terminal."""
        return shlex.join(["hf-sslgen", "compare", *self.options])


@dataclass(frozen=True)
class ComparisonState:
    """How far a comparison is.

    Attributes:
        seconds: since its start, or that it took.
        said: the last lines that the command has printed.
        exit_code: None while it runs.
        has_report: whether this comparison has written the page, which it also does if some cells failed.
    """

    seconds: float
    said: tuple[str, ...]
    exit_code: int | None
    has_report: bool

    @property
    def error(self) -> str:
        """The sentence that the command ended with, if it failed."""
        if self.exit_code in (None, 0, STOPPED):
            return ""
        sentences = [line.removeprefix(ERROR) for line in self.said if line.startswith(ERROR)]
        return sentences[-1] if sentences else f"the comparison ended with exit code {self.exit_code}"


class Comparison:
    """A comparison that was started."""

    def __init__(self, request: ComparisonRequest, log: Path) -> None:
        self.request, self._log = request, log
        self._started, self._ended = time.time(), 0.0
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, *COMMAND, *request.options],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=os.environ | {"PYTHONUNBUFFERED": "1"},  # so that each line can be shown when it is printed
                start_new_session=True,  # Ctrl-C in the app's terminal is the app's to pass on, once
            )

    @property
    def page(self) -> Path:
        """Where the command writes its page."""
        return self.request.output_dir / REPORT

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def state(self) -> ComparisonState:
        """Look at the process and at what it has printed so far."""
        exit_code = self._process.poll()
        if exit_code is not None and not self._ended:
            self._ended = time.time()
        said = without_tokens(self._log.read_text(encoding="utf-8", errors="replace"))
        return ComparisonState(
            (self._ended or time.time()) - self._started,
            tuple(_readable(line) for line in said.splitlines() if line.strip()),
            exit_code if exit_code is None or exit_code >= 0 else 128 - exit_code,
            exit_code is not None and self.page.is_file() and self.page.stat().st_mtime >= self._started,
        )

    def stop(self) -> None:
        """Ask the command to stop, which keeps what is finished; returns when it has ended."""
        if self.is_running:
            self._process.terminate()
        try:
            self._process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _readable(line: str) -> str:
    """Return a line without the level and the module that logging puts before it."""
    if line.startswith(("INFO ", "WARNING ")):
        return line.partition(": ")[2] or line
    return line
