"""A planned cell with what is known of its backbone and domain, before either is loaded; its identity follows."""

from dataclasses import dataclass

from hf_sslgen.domains.domain_facts import DomainFacts
from hf_sslgen.study.plan import CellSpec
from hf_sslgen.study.prepared_cell import BackboneFacts


@dataclass(frozen=True)
class KnownCell:
    """A planned cell with the facts that decide its identity."""

    spec: CellSpec
    facts: BackboneFacts
    domain: DomainFacts

    @property
    def repeats_other_seeds(self) -> bool:
        """Whether a cell that differs in nothing but the seed has the same numbers."""
        return self.spec.draws_nothing and not self.domain.draws_splits
