"""`hf-sslgen`: the commands. Each imports what it needs only when it runs, so that listings answer at once."""

import sys

from hf_sslgen import __version__
from hf_sslgen.command_line import run_command
from hf_sslgen.errors import InputError, nearest_names

COMMANDS = {
    "compare": "every backbone of a twin set on your images, side by side, with a report",
    "analyze": "one checkpoint on one domain: accuracy, confidence, attribution, invariance",
    "demo": "the comparison of the shipped twins on the embedded domains, without network",
    "zoo": "backbones by twin set",
    "domains": "target domains",
}


def usage() -> str:
    """What `hf-sslgen --help` prints."""
    lines = [f"  {name:10} {description}" for name, description in COMMANDS.items()]
    return "\n".join(["usage: hf-sslgen COMMAND [options]   (hf-sslgen COMMAND --help tells them)", "", *lines])


def _dispatch() -> None:
    name, rest = sys.argv[1], sys.argv[2:]
    if name == "compare":
        from hf_sslgen.commands import compare

        compare.main(rest)
    elif name == "analyze":
        from hf_sslgen.commands import analyze

        analyze.main(rest)
    elif name == "demo":
        from hf_sslgen.commands import demo

        demo.main(rest)
    elif name == "zoo":
        from hf_sslgen.commands import listings

        listings.show_zoo(rest)
    elif name == "domains":
        from hf_sslgen.commands import listings

        listings.show_domains(rest)
    else:
        raise InputError(f"unknown command {name!r}. {nearest_names(name, COMMANDS)}\n{usage()}")


def main() -> None:
    """The entry point of the console script."""
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        print(usage())
    elif sys.argv[1] == "--version":
        print(__version__)
    else:
        run_command(_dispatch)


if __name__ == "__main__":
    main()
