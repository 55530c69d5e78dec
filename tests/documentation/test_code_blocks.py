"""Every code block of the documentation works as pasted, or says beside it why no test runs it."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from code_blocks import BLOCKS, LANGUAGES, PAGES, Block, blocks_of

from hf_sslgen.cli import COMMANDS
from hf_sslgen.command_line import run_command
from hf_sslgen.study.config import parse_study


def _those(language: str, slow: bool) -> list[Block]:
    return [each for each in BLOCKS if (each.language, each.slow, each.not_run) == (language, slow, None)]


def _pages_of(blocks: list[Block]) -> list[Path]:
    return list(dict.fromkeys(block.page for block in blocks))


QUICK_PYTHON = _those("python", slow=False)
QUICK_CONSOLE = _those("console", slow=False)
SLOW = _those("console", slow=True) + _those("python", slow=True)
FIRST_STUDY = "hf-sslgen study study.yaml --output_dir runs/study"


def test_blocks_are_found_and_have_a_language() -> None:
    assert {page.name for page in PAGES} >= {"README.md", "how-to.md", "hub.md", "concepts.md"}
    assert [block.place for block in BLOCKS if block.language not in LANGUAGES] == []
    assert len(QUICK_PYTHON) > 3 and len(SLOW) > 15


def test_comments_say_what_is_done_with_a_block(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "<!-- slow; tests take small for owner/large, which is far away -->\n```console\n$ run owner/large \\\n"
        "    --fast\nprinted\n$ again owner/larger\n```\n\n- in a list\n\n  <!-- not run: it is late; very -->\n"
        "  ```python\n  x = 1\n  ```\n"
    )
    first, second = blocks_of(page)
    assert (first.slow, first.not_run, first.line) == (True, None, 2)
    assert first.runnable == "run small \\\n    --fast\nagain owner/larger"
    assert (second.not_run, second.language, second.runnable) == ("it is late; very", "python", "x = 1\n")
    page.write_text("<!-- skip -->\n```python\n```\n")
    with pytest.raises(AssertionError, match=r"page\.md:2: 'skip' says nothing about the block that follows"):
        blocks_of(page)


@pytest.mark.parametrize("page", _pages_of(QUICK_PYTHON), ids=lambda page: page.name)
@pytest.mark.usefixtures("folder")
def test_python_runs_as_pasted(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for block in (each for each in QUICK_PYTHON if each.page == page):
        names: dict[str, object] = {"__name__": "__main__"}
        exec(compile(block.runnable, block.place, "exec"), names)
        assert "Traceback" not in capsys.readouterr().out


@pytest.mark.parametrize("block", QUICK_CONSOLE, ids=lambda block: block.place)
def test_a_quick_command_runs(block: Block, capsys: pytest.CaptureFixture[str]) -> None:
    for line in block.runnable.splitlines():
        program, command, *options = line.split()
        assert program == "hf-sslgen" and command in COMMANDS, f"{block.place}: mark what takes a process as slow"
        run_command(f"hf_sslgen.commands.{command.replace('-', '_')}", options)
        assert capsys.readouterr().out


@pytest.mark.parametrize("block", [each for each in BLOCKS if each.language == "bash"], ids=lambda block: block.place)
def test_a_script_is_valid(block: Block) -> None:
    checked = subprocess.run(["bash", "-n"], input=block.code, text=True, capture_output=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, "")


@pytest.mark.parametrize("block", _those("yaml", slow=False), ids=lambda block: block.place)
def test_a_study_file_is_read(block: Block) -> None:
    config = parse_study({"domains": ["digits"], **yaml.safe_load(block.runnable)}, block.place)
    assert len(config.backbones) > 1


@pytest.mark.slow
@pytest.mark.parametrize("page", _pages_of(SLOW), ids=lambda page: page.name)
def test_the_commands_of_a_page_run_in_order(page: Path, workspace: Path, shell_environment: dict[str, str]) -> None:
    def run(words: list[str], place: str) -> None:
        finished = subprocess.run(
            words, cwd=workspace, env=shell_environment, text=True, capture_output=True, check=False
        )
        assert finished.returncode == 0, f"{place}: {' '.join(words)}\n{(finished.stdout + finished.stderr)[-5000:]}"

    if page.name == "hub.md":
        run(["bash", "-c", FIRST_STUDY], "what the page presumes")
    for block in (each for each in BLOCKS if each in SLOW and each.page == page):
        program = [sys.executable] if block.language == "python" else ["bash", "-euo", "pipefail"]
        run([*program, "-c", block.runnable], block.place)
