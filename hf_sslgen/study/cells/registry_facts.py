"""What a cell keeps of its backbone's row in the registry, as the row was when the cell was computed."""

from typing import Any

from hf_sslgen.zoo.backbone_rows import Backbone


def registry_facts(row: Backbone) -> dict[str, Any]:
    """Return what is stored of a registry's row with each cell, as JSON values."""
    return {
        "id": row.id,
        "architecture": row.architecture,
        "library": "timm" if row.needs_conversion else row.library,
        "twin_set": row.twin_set,
        "exact_twin": row.exact_twin,
        "reason": row.reason,
        "verified": row.verified,
        "batch_size": row.batch_size,
    }
