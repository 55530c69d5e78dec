"""A worker's caches between cells: the last domains, and what identifies each domain and backbone.

A cell is recognised (`identify`) without loading anything if another process of the study has been here before; only a
cell that is to be computed is prepared (`prepare_cell`).
"""

import functools
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.domains.domain_facts import DomainFacts, source_signature
from hf_sslgen.domains.domain_loading import Domain, load_domain
from hf_sslgen.domains.hub_datasets import HubDataset
from hf_sslgen.domains.published_images import PublishedImages, read_published, without_draws
from hf_sslgen.domains.sources import find_source
from hf_sslgen.domains.taken import Taken
from hf_sslgen.errors import HubError
from hf_sslgen.file_signatures import Signature
from hf_sslgen.geometry import Geometry
from hf_sslgen.study.execution.shared_facts import BackboneRequest, DomainRequest, find_facts, share_facts
from hf_sslgen.study.known_cell import KnownCell
from hf_sslgen.study.plan import CellSpec
from hf_sslgen.study.prepared_cell import BackboneFacts, PreparedCell
from hf_sslgen.zoo.backbone_loading import load_backbone
from hf_sslgen.zoo.checkpoint_signature import checkpoint_signature
from hf_sslgen.zoo.locations import UNTRAINED_PREFIX

KEPT_DOMAINS = 4
KEPT_FACTS = 4096

LOOK_AGAIN = 20.0
LOOK_AGAIN_SECONDS = 1.0
"""Files are looked at again after so many seconds, or so many times the time that it takes."""

Result = TypeVar("Result")


@dataclass(frozen=True)
class _Look:
    signature: Signature
    ended: float
    seconds: float


_looks: dict[DomainArguments | str, _Look] = {}


def _looked_at(what: DomainArguments | str, look: Callable[[], Signature], now: bool) -> Signature:
    """Return a signature as it was a moment ago."""
    last, started = _looks.get(what), time.monotonic()
    if last is None or now or started - last.ended > max(LOOK_AGAIN_SECONDS, LOOK_AGAIN * last.seconds):
        signature = look()
        last = _looks[what] = _Look(signature, time.monotonic(), time.monotonic() - started)
    return last.signature


def domain_signature(arguments: DomainArguments, now: bool = False) -> Signature:
    """Return the signature of a domain's data, as it was a moment ago.

    A commit on the Hub stays the same for the rest of the process.

    Args:
        now: whether to look at the files again in any case.
    """
    published = without_draws(arguments)
    source = _source(published)
    return _looked_at(published, lambda: source_signature(source), now)


@functools.lru_cache(maxsize=1024)
def _source(arguments: DomainArguments) -> Path | HubDataset:
    return find_source(arguments)


def domain_at_hand(arguments: DomainArguments) -> Domain:
    """Return a domain, loaded once for consecutive cells as long as its files do not change."""
    return _drawn(arguments, domain_signature(arguments).digest)


@functools.lru_cache(maxsize=KEPT_DOMAINS)
def _drawn(arguments: DomainArguments, digest: str) -> Domain:
    """Load a domain; the digest is that of its signature."""
    published = None if arguments.streaming else _published(without_draws(arguments), digest)
    return load_domain(_pinned(arguments), published)


@functools.lru_cache(maxsize=KEPT_DOMAINS)
def _published(arguments: DomainArguments, digest: str) -> PublishedImages:
    """Read a dataset once for all seeds and label budgets."""
    return read_published(_pinned(arguments))


def _pinned(arguments: DomainArguments) -> DomainArguments:
    """Return the arguments with the commit that the signature names, since a branch may move meanwhile."""
    source = _source(without_draws(arguments))
    if isinstance(source, HubDataset) and source.commit is not None:
        return replace(arguments, dataset_revision=source.commit)
    return arguments


def split_fingerprints(arguments: DomainArguments) -> dict[str, str]:
    """Return the fingerprints of a domain's splits, computed once."""
    return _established(arguments, domain_signature(arguments).digest).fingerprints


@functools.lru_cache(maxsize=KEPT_FACTS)
def _established(arguments: DomainArguments, digest: str) -> DomainFacts:
    return DomainFacts.of(_drawn(arguments, digest))


@functools.lru_cache(maxsize=KEPT_FACTS)
def _shared_domain_facts(study: Path, request: DomainRequest) -> DomainFacts:
    return share_facts(study, request, lambda: _established(request.arguments, request.signature.digest))


def domain_facts(study: Path, arguments: DomainArguments, now: bool = False) -> DomainFacts:
    """Return what identifies a domain, which is loaded only if no process of the study has been here before.

    Args:
        study: the study's folder.
        now: as for `domain_signature`.
    """
    return _shared_domain_facts(study, domain_request(arguments, now))


def domain_request(arguments: DomainArguments, now: bool = False) -> DomainRequest:
    """Return what a domain's facts depend on; `now` as for `domain_signature`."""
    return DomainRequest(arguments, domain_signature(arguments, now))


def backbone_facts(location: str, seed: int, geometry: Geometry | None) -> BackboneFacts:
    """Return what identifies a backbone, loading it once, or once per seed if its weights depend on the seed."""
    return _backbone_facts(backbone_request(location, seed, geometry))


def backbone_request(location: str, seed: int, geometry: Geometry | None, now: bool = False) -> BackboneRequest:
    """Return what a backbone's facts depend on, among it the seed if its weights do; `now` as above."""
    own_seed = seed if location.startswith(UNTRAINED_PREFIX) else 0
    signature = _looked_at(location, lambda: checkpoint_signature(location), now)
    return BackboneRequest(location, own_seed, geometry, signature)


@functools.lru_cache(maxsize=KEPT_FACTS)
def _backbone_facts(request: BackboneRequest) -> BackboneFacts:
    location, classes = request.location, ("first", "second")
    return BackboneFacts.of(
        load_backbone(location, classes, seed=request.seed, geometry=request.geometry, match="none")
    )


@functools.lru_cache(maxsize=KEPT_FACTS)
def shared_backbone_facts(study: Path, request: BackboneRequest) -> BackboneFacts:
    """Return what some process of the study has found of a backbone; else load it.

    Raises:
        EstablishedElsewhereError: another process is loading it to share what it finds.
    """
    return share_facts(study, request, lambda: _backbone_facts(request))


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


def _asked_domain(arguments: DomainArguments) -> tuple[str, ...]:
    return ("domain", arguments.dataset_name, arguments.dataset_config_name or "", arguments.dataset_revision or "")


def _asked_backbone(location: str) -> tuple[str, ...]:
    return ("backbone", location.removeprefix(UNTRAINED_PREFIX))


def domain_asked_once(arguments: DomainArguments, unavailable: Unavailable) -> Domain:
    """Return a domain; a dataset that the Hub fails to provide is requested only once."""
    return _asked_once(_asked_domain(arguments), unavailable, lambda: domain_at_hand(arguments))


def backbone_asked_once(location: str, unavailable: Unavailable, load: Callable[[], Result]) -> Result:
    """Return what `load` returns of a backbone; one that the Hub fails to provide is requested only once."""
    return _asked_once(_asked_backbone(location), unavailable, load)


def taken_from(study: Path, arguments: DomainArguments, unavailable: Unavailable) -> Taken | None:
    """Return what was taken from a domain, if some process of the study knows it; nothing is loaded."""

    def find() -> Taken | None:
        facts = find_facts(study, domain_request(arguments))
        return None if facts is None else facts.taken

    return _asked_once(_asked_domain(arguments), unavailable, find)


def identify(spec: CellSpec, study: Path, unavailable: Unavailable | None = None, now: bool = False) -> KnownCell:
    """Return what a cell's identity depends on, as other processes of the study found it; else load it.

    Args:
        study: the study's folder.
        unavailable: failed requests to the Hub, which are not repeated; new ones are added.
        now: as for `domain_signature`.

    Raises:
        InputError: the domain or the backbone can't be loaded.
        HubError: the Hub fails to provide them.
        EstablishedElsewhereError: another process is loading them to share what it finds.
    """
    unavailable = {} if unavailable is None else unavailable
    location = spec.backbone.location
    domain = _asked_once(_asked_domain(spec.domain), unavailable, lambda: domain_facts(study, spec.domain, now))
    facts = _asked_once(
        _asked_backbone(location),
        unavailable,
        lambda: shared_backbone_facts(study, backbone_request(location, spec.seed, spec.geometry, now)),
    )
    return KnownCell(spec, facts, domain)


def prepare_cell(
    spec: CellSpec, unavailable: Unavailable | None = None, facts: BackboneFacts | None = None
) -> PreparedCell:
    """Load a cell's domain, and its backbone's facts unless they are given; arguments and errors as for `identify`."""
    unavailable = {} if unavailable is None else unavailable
    domain = domain_asked_once(spec.domain, unavailable)
    location = spec.backbone.location
    facts = facts or _asked_once(
        _asked_backbone(location), unavailable, lambda: backbone_facts(location, spec.seed, spec.geometry)
    )
    return PreparedCell(spec, facts, domain)
