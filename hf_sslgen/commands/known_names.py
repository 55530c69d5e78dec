"""Refuse misspelt names of backbones and domains before anything is loaded or asked of the Hub."""

from collections.abc import Iterable
from pathlib import Path

from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.domains.domain_registry import domain_entries, find_domain
from hf_sslgen.errors import InputError, nearest_names
from hf_sslgen.local_paths import path_refusal
from hf_sslgen.study.backbones import BackboneEntry
from hf_sslgen.study.unconverted import require_converted
from hf_sslgen.zoo.locations import UNTRAINED_PREFIX, resolve_location, wanted_revision


def require_names(backbones: Iterable[BackboneEntry], domains: Iterable[DomainArguments]) -> None:
    """Raise InputError for an unknown backbone, one that is not converted yet or a misspelt domain before the first
    cell is computed."""
    backbones = tuple(backbones)
    require_converted(backbones)
    for backbone in backbones:
        location = backbone.location.removeprefix(UNTRAINED_PREFIX)
        resolve_location(location)
        wanted_revision(location, None)
    for domain in domains:
        name = domain.dataset_name
        words = "" if find_domain(name) is not None or Path(name).exists() else path_refusal(name)
        if words:
            raise InputError(f"dataset_name {name!r}: {words}")
        if find_domain(name) is None and "/" not in name and not Path(name).exists():
            hint = nearest_names(name, domain_entries())
            if hint:
                raise InputError(
                    f"dataset_name {name!r} is neither a folder nor a file nor a registered domain; {hint}"
                )
