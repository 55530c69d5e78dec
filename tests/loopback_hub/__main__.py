"""Starts the Hub by hand: `python -m tests.loopback_hub --port 8080`."""

import argparse
import shlex
import time
from pathlib import Path

from tests.loopback_hub.access import ROLES
from tests.loopback_hub.loopback import ORGANIZATIONS, Hub
from tests.loopback_hub.server import Visit


class LoudHub(Hub):
    def record(self, visit: Visit) -> None:
        super().record(visit)
        print(visit, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m tests.loopback_hub", description="A Hugging Face Hub on loopback."
    )
    parser.add_argument("--port", type=int, default=8765)
    parser.add_argument("--folder", type=Path, default=Path("runs/hub"), help="where repositories are kept")
    parser.add_argument("--organization", action="append", help=f"besides {', '.join(ORGANIZATIONS)}; may be repeated")
    arguments = parser.parse_args()
    organizations = (*ORGANIZATIONS, *(arguments.organization or ()))
    with LoudHub(arguments.folder.resolve(), arguments.port, organizations) as hub:
        print("In another shell, in place of the real Hub:\n")
        for name, value in hub.variables(None, arguments.folder.resolve() / "home").items():
            print(f"    export {name}={shlex.quote(value)}")
        print("\nand one line of these (owner writes, reader is a member who reads, nobody is a stranger):\n")
        for role in ROLES.values():
            print(f"    export HF_TOKEN={role.token}  # {role.name}")
        print(f"\nOrganisations: {', '.join(organizations)}. To break the next two downloads:\n")
        fault = '{"kind": "drop", "path": "/resolve/", "method": "GET", "times": 2}'
        print(f"    curl {hub.endpoint}/_faults -d '{fault}'\n", flush=True)
        try:
            while hub.running:  # until a fault stops it
                time.sleep(0.1)
        except KeyboardInterrupt:
            print("stopped")


if __name__ == "__main__":
    main()
