"""A script of the repository that talks to the Hub, run in this process as with a command line."""

import runpy
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.loopback_hub import ROLES, WRONG_TOKEN

TOKENS = [WRONG_TOKEN, *(role.token for role in ROLES.values())]


@dataclass(frozen=True)
class Ended:
    """How a run ended, and what it said."""

    code: int
    out: str
    err: str

    def __post_init__(self) -> None:
        assert "Traceback" not in self.err
        assert not any(token in self.out + self.err for token in TOKENS)

    @property
    def refusal(self) -> str:
        """The sentence of a run that failed: its only line but for those that say that it tries again."""
        assert (self.code, self.out) == (2, ""), self.err
        lines = [line for line in self.err.splitlines() if not line.startswith(("WARNING ", "INFO "))]
        assert len(lines) == 1, self.err
        assert lines[0].startswith("error: ")
        return lines[0].removeprefix("error: ")


def run_script(script: Path, capfd: pytest.CaptureFixture[str]) -> Ended:
    """Run a script, which reads its options from `sys.argv`."""
    capfd.readouterr()
    code = 0
    try:
        runpy.run_path(str(script), run_name="__main__")
    except SystemExit as stopped:
        code = int(str(stopped.code))
    said = capfd.readouterr()
    return Ended(code, said.out, said.err)
