"""`hf-sslgen`: dispatch to the commands, each of which is imported only when it runs."""

import sys

from hf_sslgen import __version__
from hf_sslgen.command_examples import GROUPS, examples_text, start_text
from hf_sslgen.command_line import run_command, run_main
from hf_sslgen.errors import hinted

COMMANDS = {
    "compare": "compare every backbone of a twin set on your images and write a report",
    "study": "run a matrix of backbones, domains, protocols, label budgets and seeds from a YAML file",
    "status": "show the progress of a study or comparison",
    "report": "write a study's tables and page from its folder alone",
    "push-study": "publish a study's cells as a dataset on the Hub, and its page as a Space",
    "analyze": "measure one checkpoint on one domain: accuracy, confidence, attribution, invariance",
    "convert": "convert a published checkpoint to a folder that every command loads",
    "app": "serve a page on this machine: drop images, compare backbones",
    "demo": "compare the shipped twins on the embedded domains, without network access",
    "zoo": "list backbones by twin set, convert published ones, check converted ones",
    "domains": "list target domains",
    "claims": "list claims from the literature that a study can test",
    "completion": "print a script that completes commands, options and names in bash, zsh or fish",
}
"""Commands, each named like its module in `hf_sslgen.commands` (with _ for -), with a description."""


def usage() -> str:
    """What `hf-sslgen --help` prints."""
    lines = ["usage: hf-sslgen COMMAND [options]   (see hf-sslgen COMMAND --help)"]
    for title, names in GROUPS.items():
        lines += ["", f"{title}:", *(f"  {name:10} {COMMANDS[name]}" for name in names)]
    return "\n".join(lines)


def main() -> None:
    """The entry point of the console script."""
    if len(sys.argv) < 2:
        print(start_text())
        return
    command, *options = sys.argv[1:]
    if command in ("-h", "--help"):
        print(usage())
    elif command == "--version":
        print(__version__)
    elif command in COMMANDS:
        sys.argv = [f"hf-sslgen {command}", *options]  # shown in help and provenance
        try:
            run_command(f"hf_sslgen.commands.{command.replace('-', '_')}", options)
        except SystemExit:
            if {"-h", "--help"} & set(options):
                run_main(lambda: print(examples_text(command), flush=True))
            raise
    else:
        print(f"error: {hinted(f'unknown command {command!r}', command, COMMANDS)}", file=sys.stderr)
        print("hf-sslgen --help lists the commands", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
