"""Results of measuring: numbers with their context, per-sample records, and example maps."""

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from hf_sslgen.metrics.stages import PRETRAINED_STAGE

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Number:
    """A number of one cell.

    Attributes:
        metric: name as in `hf_sslgen.metrics`.
        value: NaN if undefined; `reason` then says why.
        low, high: 95% interval over test images; NaN for numbers without one.
        n: number of images (for few-shot protocols, episodes) it was computed from.
        stage: `pretrained` for the encoder as published, `fine-tuned` for one trained on the domain.
        transform, severity: for invariance, the transform of the images; empty otherwise. A family mean has the
            family's name (`mean`, `mean_geometric`, `mean_appearance`) as transform and an empty severity.
        n_undefined: number of images for which the number is undefined; they are not included in `n`.
    """

    metric: str
    value: float
    low: float = math.nan
    high: float = math.nan
    n: int = 0
    stage: str = PRETRAINED_STAGE
    transform: str = ""
    severity: str = ""
    n_undefined: int = 0
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        """Convert to a dictionary for JSON, with null for NaN."""
        return {
            key: None if isinstance(value, float) and math.isnan(value) else value
            for key, value in asdict(self).items()
        }

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> "Number":
        """Restore a number from `to_json`."""
        values: dict[str, Any] = {key: math.nan if value is None else value for key, value in row.items()}
        return cls(**values)


@dataclass(frozen=True, eq=False)
class Analysis:
    """The results of measuring one backbone on one domain.

    Attributes:
        records: one row per image and, for invariance, one row per image and variant.
        examples: `images` (E, S, S, 3) bytes, their `maps` (E, h, w) and `sample_ids` (E,); None without attribution.
    """

    numbers: tuple[Number, ...]
    records: "pd.DataFrame"
    examples: dict[str, NDArray[Any]] | None = None
