"""`hf-sslgen claims`: list the claims from the literature that a study can test."""

import argparse
from collections.abc import Sequence

from hf_sslgen.commands.listings import details
from hf_sslgen.errors import InputError, hinted
from hf_sslgen.study.published_claims import published_claims


def main(command_line: Sequence[str] | None = None) -> None:
    """List the claims by source, or show one."""
    parser = argparse.ArgumentParser(
        prog="hf-sslgen claims",
        description="List the claims from the literature that a study can test (its file names them under `claims`), "
        "or show one.",
    )
    parser.add_argument("name", nargs="?", help="claim to show in full")
    name = parser.parse_args(command_line).name
    claims = published_claims()
    if name is not None:
        if name not in claims:
            raise InputError(hinted(f"{name!r} is not a claim", name, claims))
        print(details(claims[name]))
        return
    for source in dict.fromkeys((claim.source, claim.paper) for claim in claims.values()):
        print(f"{source[0]} ({source[1]}):")
        for claim in claims.values():
            if (claim.source, claim.paper) == source:
                untested = f"  (not testable: needs {claim.needs})" if claim.test == "none" else ""
                print(f"  {claim.id:24} {claim.statement}{untested}")
        print()
