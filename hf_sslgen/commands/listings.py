"""Formatting shared by the registry listings."""

import dataclasses

from hf_sslgen.domains.domain_registry import DomainEntry
from hf_sslgen.study.published_claims import Claim
from hf_sslgen.zoo.backbone_registry import Backbone

UNVERIFIED = "  (unverified)"


def details(row: Backbone | DomainEntry | Claim) -> str:
    """Format every known field of a row on a line of its own."""
    shown = {name: value for name, value in dataclasses.asdict(row).items() if value not in (None, (), {})}
    shown |= {
        name: ", ".join(f"{key}: {item}" for key, item in value.items())
        for name, value in shown.items()
        if isinstance(value, dict)
    }
    return "\n".join(f"{name.replace('_', ' '):22} {value}" for name, value in shown.items())
