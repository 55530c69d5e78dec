"""A worker's caches between cells: the last domain, and what identifies each backbone."""

import functools
from collections.abc import Callable
from typing import TypeVar

from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.domains.domain_loading import Domain, load_domain
from hf_sslgen.errors import HubError
from hf_sslgen.geometry import Geometry
from hf_sslgen.study.plan import CellSpec
from hf_sslgen.study.prepared_cell import BackboneFacts, PreparedCell
from hf_sslgen.zoo.backbone_loading import load_backbone
from hf_sslgen.zoo.locations import UNTRAINED_PREFIX

KEPT_DOMAINS = 4

Result = TypeVar("Result")


@functools.lru_cache(maxsize=KEPT_DOMAINS)
def domain_at_hand(arguments: DomainArguments) -> Domain:
    """Return a domain, loaded once for consecutive cells."""
    return load_domain(arguments)


@functools.lru_cache(maxsize=KEPT_DOMAINS)
def split_fingerprints(arguments: DomainArguments) -> dict[str, str]:
    """Return the fingerprints of a domain's splits, computed once."""
    return domain_at_hand(arguments).fingerprints()


def backbone_facts(location: str, seed: int, geometry: Geometry | None) -> BackboneFacts:
    """Return what identifies a backbone, loading it once, or once per seed if its weights depend on the seed."""
    return _facts(location, seed if location.startswith(UNTRAINED_PREFIX) else 0, geometry)


@functools.cache
def _facts(location: str, seed: int, geometry: Geometry | None) -> BackboneFacts:
    backbone = load_backbone(location, ("first", "second"), seed=seed, geometry=geometry, match="none")
    return BackboneFacts.of(backbone)


Unavailable = dict[tuple[str, ...], HubError]
"""Errors of the Hub in this run, by what was requested."""


def _asked_once(asked: tuple[str, ...], unavailable: Unavailable, load: Callable[[], Result]) -> Result:
    """Return what `load` returns, or raise the earlier error if the same request to the Hub failed before."""
    if asked in unavailable:
        raise unavailable[asked]
    try:
        return load()
    except HubError as error:
        unavailable[asked] = error
        raise


def domain_asked_once(arguments: DomainArguments, unavailable: Unavailable) -> Domain:
    """Return a domain; a dataset that the Hub fails to provide is requested only once."""
    stated = (arguments.dataset_name, arguments.dataset_config_name or "", arguments.dataset_revision or "")
    return _asked_once(("domain", *stated), unavailable, lambda: domain_at_hand(arguments))


def prepare_cell(spec: CellSpec, unavailable: Unavailable | None = None) -> PreparedCell:
    """Load what a cell's identity depends on.

    Args:
        unavailable: failed requests to the Hub, which are not repeated; new ones are added.

    Raises:
        InputError: the domain or the backbone can't be loaded.
        HubError: the Hub fails to provide them.
    """
    unavailable = {} if unavailable is None else unavailable
    domain = domain_asked_once(spec.domain, unavailable)
    location = spec.backbone.location
    facts = _asked_once(
        ("backbone", location.removeprefix(UNTRAINED_PREFIX)),
        unavailable,
        lambda: backbone_facts(location, spec.seed, spec.geometry),
    )
    return PreparedCell(spec, facts, domain)
