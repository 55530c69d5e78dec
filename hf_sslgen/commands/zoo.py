"""`hf-sslgen zoo`: list the registered backbones, convert published ones, and check converted ones."""

import argparse
import importlib
import sys
from collections.abc import Sequence

from hf_sslgen.commands.zoo_listing import print_listing

SUBCOMMANDS = {
    "convert": "download and convert published backbones",
    "check": "check a backbone against what is published of it",
}
"""Words after `zoo` that do something, each with a module `zoo_...` of this package."""


def main(command_line: Sequence[str] | None = None) -> None:
    """List the twin sets, show one set or backbone, or run a subcommand."""
    words = list(sys.argv[1:] if command_line is None else command_line)
    if words and words[0] in SUBCOMMANDS:
        sys.argv = [f"hf-sslgen zoo {words[0]}", *words[1:]]  # shown in help
        importlib.import_module(f"hf_sslgen.commands.zoo_{words[0]}").main(words[1:])
        return
    others = "; ".join(f"`hf-sslgen zoo {word} --help`: {does}" for word, does in SUBCOMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="hf-sslgen zoo",
        description=f"List the registered backbones by twin set, or show one set or backbone. See also {others}.",
    )
    parser.add_argument("name", nargs="?", help="twin set or backbone to show in full")
    print_listing(parser.parse_args(words).name)
