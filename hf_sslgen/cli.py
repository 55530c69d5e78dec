"""`hf-sslgen`: dispatch to the commands, each of which is imported only when it runs."""

import sys

from hf_sslgen import __version__
from hf_sslgen.command_line import run_command
from hf_sslgen.errors import hinted

COMMANDS = {
    "compare": "compare every backbone of a twin set on your images and write a report",
    "study": "run a matrix of backbones, domains, protocols, label budgets and seeds from a YAML file",
    "status": "show a study's progress",
    "report": "write a study's tables and page from its folder alone",
    "push-study": "publish a study's cells as a dataset on the Hub, and its page as a Space",
    "analyze": "measure one checkpoint on one domain: accuracy, confidence, attribution, invariance",
    "convert": "convert a published .bin checkpoint to safetensors, with a card",
    "app": "serve a page on this machine to drop images on and compare backbones",
    "demo": "compare the shipped twins on the embedded domains, without network access",
    "zoo": "list backbones by twin set",
    "domains": "list target domains",
    "claims": "list claims from the literature that a study can test",
}
"""Commands, each named like its module in `hf_sslgen.commands` (with _ for -), with a description."""


def usage() -> str:
    """What `hf-sslgen --help` prints."""
    lines = [f"  {name:10} {description}" for name, description in COMMANDS.items()]
    return "\n".join(["usage: hf-sslgen COMMAND [options]   (see hf-sslgen COMMAND --help)", "", *lines])


def main() -> None:
    """The entry point of the console script."""
    command, *options = sys.argv[1:] or ["--help"]
    if command in ("-h", "--help"):
        print(usage())
    elif command == "--version":
        print(__version__)
    elif command in COMMANDS:
        sys.argv = [f"hf-sslgen {command}", *options]  # shown in help and provenance
        run_command(f"hf_sslgen.commands.{command.replace('-', '_')}", options)
    else:
        print(f"error: {hinted(f'unknown command {command!r}', command, COMMANDS)}\n{usage()}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
