"""`hf-sslgen zoo` and `hf-sslgen domains`: what the registries hold."""

import argparse
import dataclasses
from collections.abc import Sequence
from typing import Any

from hf_sslgen.domains.registry import DomainEntry, domain_entries, find_domain, known_bad_domains
from hf_sslgen.errors import InputError, nearest_names
from hf_sslgen.zoo.registry import (
    Backbone,
    excluded_backbones,
    find_backbone,
    known_backbone_ids,
    twin_sets,
    unmatched_backbones,
)

UNVERIFIED = "  (unverified)"


def _details(row: Backbone | DomainEntry) -> str:
    """Every known field, a line each."""
    values: dict[str, Any] = {item.name: getattr(row, item.name) for item in dataclasses.fields(row)}
    shown = {name: value for name, value in values.items() if value not in (None, (), {})}
    return "\n".join(f"{name.replace('_', ' '):22} {value}" for name, value in shown.items())


def _backbone_line(row: Backbone) -> str:
    size = f"{row.parameters / 1e6:.1f}M" if row.parameters else "?"
    twin = "" if row.exact_twin or row.is_supervised else "  near twin"
    needs = "  needs conversion" if row.library == "conversion" else ""
    return (
        f"  {row.id:52} {row.objective:18} {size:>7}  {row.licence or 'licence unknown'}{twin}{needs}"
        f"{'' if row.verified else UNVERIFIED}"
    )


def show_zoo(command_line: Sequence[str] | None = None) -> None:
    """List the twin sets, or show one set or backbone."""
    parser = argparse.ArgumentParser(prog="hf-sslgen zoo", description="Backbones by twin set.")
    parser.add_argument("name", nargs="?", help="a twin set or a backbone to show in full")
    name = parser.parse_args(command_line).name
    sets = twin_sets()
    row = find_backbone(name) if name is not None else None
    if row is not None:
        print(_details(row))
        return
    if name is not None and name not in sets:
        raise InputError(f"{name!r} is no twin set or backbone. {nearest_names(name, [*sets, *known_backbone_ids()])}")
    for twin_set in sets.values() if name is None else [sets[name]]:
        print(f"{twin_set.name}: {twin_set.description} ({twin_set.source_data}, {twin_set.image_size} px)")
        print("\n".join(_backbone_line(backbone) for backbone in twin_set.backbones), end="\n\n")
    if name is None:
        print("Without a twin trained on the same data (any comparison with them is confounded):")
        print("\n".join(_backbone_line(backbone) for backbone in unmatched_backbones()), end="\n\n")
        print("Not purely self-supervised, whatever their name suggests:")
        print("\n".join(f"  {pattern}: {reason}" for pattern, reason in excluded_backbones().items()))


def show_domains(command_line: Sequence[str] | None = None) -> None:
    """List the target domains by group, or show one."""
    parser = argparse.ArgumentParser(prog="hf-sslgen domains", description="Target domains by group.")
    parser.add_argument("name", nargs="?", help="a domain to show in full")
    name = parser.parse_args(command_line).name
    if name is not None:
        entry = find_domain(name)
        if entry is None:
            raise InputError(f"{name!r} is no registered domain. {nearest_names(name, domain_entries())}".rstrip())
        print(_details(entry))
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
