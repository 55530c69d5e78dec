"""What every metric returns: a frozen dataclass that prints readably and turns into plain JSON-able values."""

from dataclasses import dataclass, fields
from typing import Any

import numpy as np


@dataclass(frozen=True, eq=False)
class MetricResult:
    """Base of all results. Fields whose name starts with `per_sample` hold one value per sample, NaN where undefined.

    Results holding arrays compare by identity, since arrays have no single truth value.
    """

    def to_dict(self) -> dict[str, Any]:
        """All fields but the per-sample arrays, arrays as lists. Undefined numbers stay float NaN."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            name: value.tolist() if isinstance(value, np.ndarray) else value
            for name, value in values.items()
            if not name.startswith("per_sample")
        }

    def __str__(self) -> str:
        parts = []
        for name, value in self.to_dict().items():
            if isinstance(value, list) or (isinstance(value, str) and not value):
                continue  # tables are read from their fields, and an empty reason says nothing
            parts.append(f"{name} = {value:.4g}" if isinstance(value, float) else f"{name} = {value}")
        return f"{type(self).__name__}: {', '.join(parts)}"
