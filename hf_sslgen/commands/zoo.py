"""`hf-sslgen zoo`: list the registered backbones."""

import argparse
from collections.abc import Sequence

from hf_sslgen.commands.zoo_listing import print_listing


def main(command_line: Sequence[str] | None = None) -> None:
    """List the twin sets, or show one set or backbone."""
    parser = argparse.ArgumentParser(
        prog="hf-sslgen zoo", description="List the registered backbones by twin set, or show one set or backbone."
    )
    parser.add_argument("name", nargs="?", help="twin set or backbone to show in full")
    print_listing(parser.parse_args(command_line).name)
