"""Names of domains in results, kept distinct when several folders share a name."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.domains.domain_registry import find_domain


def domain_name(arguments: DomainArguments) -> str:
    """Name a domain in results: as the user states, else by registered name, folder or file name, or Hub id."""
    if arguments.domain_name is not None:
        return arguments.domain_name
    entry = find_domain(arguments.dataset_name) if arguments.registered_as is None else None
    if entry is not None:
        return entry.name
    path = Path(arguments.dataset_name)
    return path.resolve().name if path.exists() else arguments.dataset_name


def told_apart(domains: Sequence[DomainArguments]) -> list[DomainArguments]:
    """Rename folders or files that share a name by as much of their paths as makes them distinct.

    Domains given twice keep their names, and so do those the user named.
    """
    names = [domain_name(each) for each in domains]
    return [
        replace(each, domain_name=_longer_name(each, domains)) if names.count(name) > 1 else each
        for each, name in zip(domains, names, strict=True)
    ]


def _longer_name(arguments: DomainArguments, domains: Sequence[DomainArguments]) -> str:
    name = domain_name(arguments)
    if not _is_called_by_its_path(arguments):
        return name
    parts = Path(arguments.dataset_name).resolve().parts
    same = [each for each in domains if domain_name(each) == name]
    others = {Path(each.dataset_name).resolve().parts for each in same if _is_called_by_its_path(each)} - {parts}
    if not others and all(_is_called_by_its_path(each) for each in same):
        return name
    length = 2
    while any(other[-length:] == parts[-length:] for other in others):
        length += 1
    return "/".join(parts[-length:])


def _is_called_by_its_path(arguments: DomainArguments) -> bool:
    is_registered = arguments.registered_as is None and find_domain(arguments.dataset_name) is not None
    return arguments.domain_name is None and not is_registered and Path(arguments.dataset_name).exists()
