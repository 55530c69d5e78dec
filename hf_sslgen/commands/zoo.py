"""`hf-sslgen zoo`: list the registered backbones, convert published ones, and check converted ones."""

import argparse
import importlib
import sys
from collections.abc import Sequence

from hf_sslgen.commands.listings import UNVERIFIED, details
from hf_sslgen.errors import InputError, hinted
from hf_sslgen.zoo.backbone_registry import (
    Backbone,
    excluded_backbones,
    find_backbone,
    known_backbone_ids,
    twin_sets,
    unmatched_backbones,
)

SUBCOMMANDS = {
    "convert": "download and convert published backbones",
    "check": "check a backbone against what is published of it",
}
"""Words after `zoo` that do something, each with a module `zoo_...` of this package."""


def _backbone_line(row: Backbone) -> str:
    size = f"{row.parameters / 1e6:.1f}M" if row.parameters else "?"
    twin = "" if row.exact_twin or row.is_supervised else "  near twin"
    needs = "  needs conversion" if row.library == "conversion" else ""
    return (
        f"  {row.id:52} {row.objective:18} {size:>7}  {row.licence or 'licence unknown'}{twin}{needs}"
        f"{'' if row.verified else UNVERIFIED}"
    )


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
    name = parser.parse_args(words).name
    sets = twin_sets()
    row = find_backbone(name) if name is not None else None
    if row is not None:
        print(details(row))
        return
    if name is not None and name not in sets:
        raise InputError(hinted(f"{name!r} is not a twin set or backbone", name, [*sets, *known_backbone_ids()]))
    for twin_set in sets.values() if name is None else [sets[name]]:
        print(f"{twin_set.name}: {twin_set.description} ({twin_set.source_data}, {twin_set.image_size} px)")
        print("\n".join(_backbone_line(backbone) for backbone in twin_set.backbones), end="\n\n")
    if name is None:
        print("Backbones without a twin trained on the same data (any comparison with them is confounded):")
        print("\n".join(_backbone_line(backbone) for backbone in unmatched_backbones()), end="\n\n")
        print("Backbones that are not purely self-supervised, whatever their name suggests:")
        print("\n".join(f"  {pattern}: {reason}" for pattern, reason in excluded_backbones().items()))
