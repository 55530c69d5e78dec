"""`hf-sslgen zoo`: list the registered backbones."""

import argparse
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


def _backbone_line(row: Backbone) -> str:
    size = f"{row.parameters / 1e6:.1f}M" if row.parameters else "?"
    twin = "" if row.exact_twin or row.is_supervised else "  near twin"
    needs = "  needs conversion" if row.library == "conversion" else ""
    return (
        f"  {row.id:52} {row.objective:18} {size:>7}  {row.licence or 'licence unknown'}{twin}{needs}"
        f"{'' if row.verified else UNVERIFIED}"
    )


def main(command_line: Sequence[str] | None = None) -> None:
    """List the twin sets, or show one set or backbone."""
    parser = argparse.ArgumentParser(
        prog="hf-sslgen zoo", description="List the registered backbones by twin set, or show one set or backbone."
    )
    parser.add_argument("name", nargs="?", help="twin set or backbone to show in full")
    name = parser.parse_args(command_line).name
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
