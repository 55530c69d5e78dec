"""What the registry listings share."""

import dataclasses

from hf_sslgen.domains.domain_registry import DomainEntry
from hf_sslgen.zoo.backbone_registry import Backbone

UNVERIFIED = "  (unverified)"


def details(row: Backbone | DomainEntry) -> str:
    """Every known field of a row, a line each."""
    shown = {name: value for name, value in dataclasses.asdict(row).items() if value not in (None, (), {})}
    return "\n".join(f"{name.replace('_', ' '):22} {value}" for name, value in shown.items())
