"""Push converted backbones to an organization on the Hub.

    hf-sslgen zoo convert resnet50-in1k
    python scripts/publish_zoo.py --organization my-org --sets resnet50-in1k

Afterwards every command loads them where HF_SSLGEN_ZOO_ORGANIZATION=my-org is set, without converting anything.
Backbones whose publisher states no licence, or one that forbids passing on a conversion, are left out unless --names
gives them. A repeated run sends only changes, and continues an interrupted one. The script uses the token of
`hf auth login` or HF_TOKEN, which needs write access to the organization or user. An existing repository keeps its
visibility.
"""

import argparse
from functools import partial

from hf_sslgen.command_line import run_main
from hf_sslgen.errors import InputError
from hf_sslgen.hub.pushing import PushRequest, hub_client
from hf_sslgen.hub.zoo_push import push_rows, require_pushed, rows_to_push
from hf_sslgen.zoo.converted_rows import ORGANIZATION_VARIABLE, converted_root


def main(organization: str, sets: list[str], names: list[str], private: bool, dry_run: bool) -> None:
    """Push the converted backbones and print what became of each."""
    if not organization or "/" in organization:
        raise InputError(f"organization {organization!r} must be the name of an organization or user on the Hub")
    chosen = rows_to_push(sets, names)
    if not chosen:
        raise InputError(f"no converted backbone is in {converted_root()}; run `hf-sslgen zoo convert` first")
    if dry_run:
        for each in chosen:
            print(f"{each.row.id}: {each.row.licence or 'licence not stated'}")
        return
    pushes = []
    for push in push_rows(hub_client(PushRequest(organization)), chosen, organization, private or None):
        pushes.append(push)
        print(f"[{len(pushes)}/{len(chosen)}] {push.row.id}: {push.result} ({push.said})", flush=True)
    require_pushed(pushes)
    print(f"set {ORGANIZATION_VARIABLE}={organization} to load them by name")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--organization", required=True, help="organization or user on the Hub to publish under")
    parser.add_argument(
        "--set",
        "--sets",
        dest="sets",
        nargs="+",
        default=[],
        metavar="SET",
        help="twin sets (default: all that is converted)",
    )
    parser.add_argument("--names", nargs="+", default=[], metavar="NAME", help="backbones, whatever their licence")
    parser.add_argument("--private", action="store_true", help="create new repositories as private")
    parser.add_argument("--dry_run", action="store_true", help="only print what would be pushed, and its licence")
    arguments = parser.parse_args()
    options = (arguments.organization, arguments.sets, arguments.names, arguments.private, arguments.dry_run)
    run_main(partial(main, *options))
