"""What a worker keeps at hand between cells: the last domain, and what identifies each backbone."""

import functools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hf_sslgen.domains.arguments import DomainArguments
from hf_sslgen.domains.loading import Domain, load_domain
from hf_sslgen.preprocessing import Geometry
from hf_sslgen.study.describe import BackboneFacts, cell_identity
from hf_sslgen.study.job import Job
from hf_sslgen.study.plan import CellSpec
from hf_sslgen.zoo.loading import UNTRAINED, load_backbone

KEPT_DOMAINS = 4


@functools.lru_cache(maxsize=KEPT_DOMAINS)
def domain_at_hand(arguments: DomainArguments) -> Domain:
    """A domain, loaded once for the cells that follow one another."""
    return load_domain(arguments)


@functools.lru_cache(maxsize=KEPT_DOMAINS)
def split_fingerprints(arguments: DomainArguments) -> dict[str, str]:
    """Fingerprints of a domain's splits, taken once."""
    return domain_at_hand(arguments).fingerprints()


def backbone_facts(location: str, seed: int, geometry: Geometry | None) -> BackboneFacts:
    """What identifies a backbone, found out by loading it once; once a seed where the seed makes its weights."""
    return _facts(location, seed if location.startswith(UNTRAINED) else 0, geometry)


@functools.cache
def _facts(location: str, seed: int, geometry: Geometry | None) -> BackboneFacts:
    backbone = load_backbone(location, ("first", "second"), seed=seed, geometry=geometry, match="none")
    return BackboneFacts(backbone.weights, backbone.preprocessing, backbone.num_parameters, backbone.pinned)


@dataclass(frozen=True)
class PreparedCell:
    """A cell whose identity is known and whose domain is loaded."""

    spec: CellSpec
    facts: BackboneFacts
    domain: Domain
    identity: dict[str, Any] = field(repr=False)

    def job(self, scratch: Path, shards: Path | None = None) -> Job:
        """The work that computes the cell, with folders as in `Job`."""
        spec = self.spec
        return Job(
            name=self.facts.pinned,  # a branch may move while a study runs
            domain=self.domain,
            protocol=spec.protocol,
            analysis=spec.analysis,
            geometry=spec.geometry,
            seed=spec.seed,
            scratch=scratch,
            shards=shards,
        )


def prepare_cell(spec: CellSpec) -> PreparedCell:
    """Load what a cell's identity depends on.

    Raises:
        InputError: the domain or the backbone can't be loaded.
    """
    domain = domain_at_hand(spec.domain)
    facts = backbone_facts(spec.backbone.location, spec.seed, spec.geometry)
    return PreparedCell(spec, facts, domain, cell_identity(spec, facts, domain, split_fingerprints(spec.domain)))
