"""The page of commands: what `--help` prints for every command of `hf-sslgen` and for the two recipes."""

import contextlib
import importlib
import io
import os
from typing import Any

from docutils import nodes
from docutils.parsers.rst import Directive

from hf_sslgen.cli import COMMANDS

PAGE = "reference/commands"
RECIPES = ("finetune", "pretrain")
WIDTH = "100"


def help_of(command: str) -> str:
    """Return the help of a command of `hf-sslgen`.

    Raises:
        ModuleNotFoundError: there is no such command.
    """
    os.environ["COLUMNS"] = WIDTH
    module = importlib.import_module(f"hf_sslgen.commands.{command.replace('-', '_')}")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.suppress(SystemExit):
        module.main(["--help"])
    return printed.getvalue()


class CommandHelp(Directive):
    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        text = help_of(self.arguments[0])
        block = nodes.literal_block(text, text)
        block["language"] = "text"
        return [block]


def _add_commands(app: Any, name: str, content: list[str]) -> None:
    if name == PAGE:
        titles = {command: f"hf-sslgen {command}" for command in COMMANDS}
        titles |= {recipe: f"recipes/{recipe}.py" for recipe in RECIPES}
        for command, title in titles.items():
            content[0] += f"\n## {title}\n\n```{{command-help}} {command}\n```\n"


def setup(app: Any) -> dict[str, Any]:
    app.connect("source-read", _add_commands)
    app.add_directive("command-help", CommandHelp)
    return {"parallel_read_safe": True}
