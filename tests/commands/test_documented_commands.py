"""Every command that the documentation, the recipes and their configurations show is taken by the command's parser."""

import argparse
import importlib
import re
import runpy
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from code_blocks import PAGES

from hf_sslgen.cli import COMMANDS
from hf_sslgen.commands.zoo import SUBCOMMANDS
from hf_sslgen.study.config import read_study
from hf_sslgen.study.plan import expand

ROOT = Path(__file__).parents[2]
CONFIGS = sorted((ROOT / "recipes" / "configs").glob("*/*.yaml"))
RECIPES = sorted((ROOT / "recipes").glob("*.py"))
PARSED_BY_ARGPARSE = ("zoo", "domains", "claims")


class ParsedError(Exception):
    """The command's arguments were taken; nothing more is to be done."""


def _shell_lines(path: Path) -> Iterator[str]:
    """Lines of commands: after `$ ` in a page, or that begin with a launcher in a comment or docstring."""
    text = path.read_text(encoding="utf-8").replace("\\\n#", "\\\n").replace("\\\n", " ")
    for line in text.splitlines():
        bare = line.strip(" #")
        if bare.startswith(
            ("$ ", "hf-sslgen ", "python recipes/", "python scripts/", "accelerate launch ", "torchrun ")
        ):
            yield bare.removeprefix("$ ")


def _commands(path: Path) -> Iterator[tuple[str, list[str]]]:
    """Module and options of each command of this package in a file; what is only hinted at by `...` is left out."""
    for line in _shell_lines(path):
        if "..." in line:
            continue
        words = shlex.split(line, comments=True)
        for index, word in enumerate(words):
            recipe = re.fullmatch(r"recipes/(\w+)\.py", word)
            if (
                word == "hf-sslgen"
                and words[index + 1] == "zoo"
                and set(words[index + 2 : index + 3]) & set(SUBCOMMANDS)
            ):
                yield f"zoo_{words[index + 2]}", words[index + 3 :]
            elif word == "hf-sslgen" and words[index + 1] in COMMANDS:
                yield words[index + 1].replace("-", "_"), words[index + 2 :]
            elif recipe is not None:
                yield recipe[1], words[index + 1 :]


def _scripts(path: Path) -> Iterator[list[str]]:
    """Path and options of each benchmark and script in a file."""
    for line in _shell_lines(path):
        words = shlex.split(line, comments=True)
        if words[0] == "python" and words[1].startswith(("benchmarks/", "scripts/")):
            yield words[1:]


SCRIPTS = [
    pytest.param(words, id=f"{path.name}:{words[0]}:{index}")
    for path in PAGES
    for index, words in enumerate(_scripts(path))
]

DOCUMENTED = [
    pytest.param(module, options, id=f"{path.name}:{module}:{index}")
    for path in (*PAGES, *RECIPES, *CONFIGS)
    for index, (module, options) in enumerate(_commands(path))
]


def test_the_commands_are_found() -> None:
    found: list[Any] = [param.values[0] for param in DOCUMENTED]
    assert {"compare", "study", "status", "report", "push_study", "analyze", "finetune", "pretrain"} <= set(found)
    assert len(found) > 30


@pytest.mark.parametrize(("module", "options"), DOCUMENTED)
def test_a_documented_command_is_taken(module: str, options: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    command = importlib.import_module(f"hf_sslgen.commands.{module}")
    if module in PARSED_BY_ARGPARSE:
        command.main(options)
        return
    parse = vars(command)["parse_arguments"]

    def parse_only(*arguments: Any, **keywords: Any) -> None:
        parse(*arguments, **keywords)
        raise ParsedError

    monkeypatch.setattr(command, "parse_arguments", parse_only)
    with pytest.raises(ParsedError):
        command.main(options)


@pytest.mark.parametrize("words", SCRIPTS)
def test_the_options_of_a_documented_script_are_taken(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    parse = argparse.ArgumentParser.parse_args

    def parse_only(*arguments: Any, **keywords: Any) -> None:
        parse(*arguments, **keywords)
        raise ParsedError

    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse_only)
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(ParsedError):
        runpy.run_path(words[0], run_name="__main__")


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_a_shipped_configuration_is_taken(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if path.parent.name == "study":
        assert len(expand(read_study(path))) > 10
        return
    options = ["--objective", "simclr", "--dataset_name", "x", "--output_dir", "y"]
    test_a_documented_command_is_taken(
        path.parent.name, ["--config", str(path), *(options if path.parent.name == "pretrain" else [])], monkeypatch
    )
