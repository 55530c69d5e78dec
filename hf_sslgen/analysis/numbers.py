"""What measuring yields: numbers with all that is needed to read them, per-sample records, and example maps."""

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
        value: NaN where it can't be had; `reason` then says why.
        low, high: 95% interval over test images; NaN for numbers that have none.
        n: images (for few-shot protocols, episodes) it was computed from.
        stage: `pretrained` where the encoder is as published, `fine-tuned` where it was trained on the domain.
        transform, severity: for invariance, what was done to the images; empty otherwise. A family mean has the
            family's name (`mean`, `mean_geometric`, `mean_appearance`) as transform and an empty severity.
        n_undefined: images for which the number is undefined; they are not in `n`.
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
        """A dictionary for JSON, in which NaN is null."""
        return {
            key: None if isinstance(value, float) and math.isnan(value) else value
            for key, value in asdict(self).items()
        }

    @classmethod
    def from_json(cls, row: dict[str, Any]) -> "Number":
        """The inverse of `to_json`."""
        values: dict[str, Any] = {key: math.nan if value is None else value for key, value in row.items()}
        return cls(**values)


@dataclass(frozen=True, eq=False)
class Analysis:
    """What measuring one backbone on one domain yields.

    Attributes:
        records: a row per image, and for invariance a row per image and variant.
        examples: `images` (E, S, S, 3) bytes, their `maps` (E, h, w) and `sample_ids` (E,); None without attribution.
    """

    numbers: tuple[Number, ...]
    records: "pd.DataFrame"
    examples: dict[str, NDArray[Any]] | None = None
