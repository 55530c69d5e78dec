"""`hf-sslgen`: the commands. Each is imported only when it runs, so that listings answer at once."""

import sys

from hf_sslgen import __version__
from hf_sslgen.command_line import run_command
from hf_sslgen.errors import nearest_names

COMMANDS = {
    "compare": "every backbone of a twin set on your images, side by side, with a report",
    "study": "a whole matrix of backbones, domains, protocols, label budgets and seeds from a YAML file",
    "status": "how far a study is",
    "report": "tables and page of a study from its folder alone",
    "push-study": "a study's cells as a dataset on the Hub, its page as a Space",
    "analyze": "one checkpoint on one domain: accuracy, confidence, attribution, invariance",
    "convert": "a published .bin checkpoint to safetensors, with a card",
    "demo": "the comparison of the shipped twins on the embedded domains, without network",
    "zoo": "backbones by twin set",
    "domains": "target domains",
}
"""Name of the command, which is also its module in `hf_sslgen.commands` (with _ for -), and what it does."""


def usage() -> str:
    """What `hf-sslgen --help` prints."""
    lines = [f"  {name:10} {description}" for name, description in COMMANDS.items()]
    return "\n".join(["usage: hf-sslgen COMMAND [options]   (hf-sslgen COMMAND --help tells them)", "", *lines])


def main() -> None:
    """The entry point of the console script."""
    command, *options = sys.argv[1:] or ["--help"]
    if command in ("-h", "--help"):
        print(usage())
    elif command == "--version":
        print(__version__)
    elif command in COMMANDS:
        sys.argv = [f"hf-sslgen {command}", *options]  # what help and provenance show
        run_command(f"hf_sslgen.commands.{command.replace('-', '_')}", options)
    else:
        print(f"error: unknown command {command!r}. {nearest_names(command, COMMANDS)}\n{usage()}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
