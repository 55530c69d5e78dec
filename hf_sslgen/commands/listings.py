"""Formatting shared by the registry listings."""

import dataclasses
from typing import Any

from hf_sslgen.domains.domain_registry import DomainEntry
from hf_sslgen.study.published_claims import Claim
from hf_sslgen.zoo.backbone_registry import Backbone

UNVERIFIED = "  (unverified)"


def details(row: Backbone | DomainEntry | Claim) -> str:
    """Format every known field of a row on a line of its own."""
    shown = {name: value for name, value in dataclasses.asdict(row).items() if value not in (None, (), {})}
    return "\n".join(f"{name.replace('_', ' '):22} {line}" for name, value in shown.items() for line in _lines(value))


def _lines(value: Any) -> list[Any]:
    """Return a field's value as text; rows within a row take a line each."""
    if isinstance(value, dict):
        return [", ".join(f"{key}: {item}" for key, item in value.items() if item is not None)]
    if isinstance(value, tuple) and isinstance(value[0], dict):
        return [line for item in value for line in _lines(item)]
    return [value]
