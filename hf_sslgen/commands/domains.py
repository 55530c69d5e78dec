"""`hf-sslgen domains`: list the registered target domains."""

import argparse
from collections.abc import Sequence

from hf_sslgen.commands.listings import UNVERIFIED, details
from hf_sslgen.domains.domain_registry import domain_entries, find_domain, known_bad_domains
from hf_sslgen.errors import InputError, hinted


def main(command_line: Sequence[str] | None = None) -> None:
    """List the target domains by group, or show one."""
    parser = argparse.ArgumentParser(
        prog="hf-sslgen domains", description="List the registered target domains by group, or show one."
    )
    parser.add_argument("name", nargs="?", help="domain to show in full")
    name = parser.parse_args(command_line).name
    if name is not None:
        entry = find_domain(name)
        if entry is None:
            raise InputError(hinted(f"{name!r} is not a registered domain", name, domain_entries()))
        print(details(entry))
        return
    for group, title in (("similar", "Similar to ImageNet"), ("different", "Significantly different from ImageNet")):
        print(f"{title}:")
        for entry in domain_entries().values():
            if entry.group == group:
                place = entry.id or "embedded in the package"
                only = "  evaluation only" if entry.train_split is None else ""
                verified = "" if entry.verified else UNVERIFIED
                print(f"  {entry.name:20} {place:42} {entry.num_classes:5} classes  {entry.metric}{only}{verified}")
        print()
    print("Known to be flawed:")
    print("\n".join(f"  {name}: {reason}" for name, reason in known_bad_domains().items()))
