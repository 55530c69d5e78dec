"""Attribution concentration of a backbone's maps: numbers and records."""

import numpy as np
from numpy.typing import NDArray

from hf_sslgen.analysis.numbers import Number, Stage, number_of
from hf_sslgen.metrics import attribution_concentration
from hf_sslgen.training.evaluation import estimate_of

CONCENTRATION = {
    "gini": "gini",
    "spread": "spatial_spread",
    "effective_area": "effective_area",
    "participation_ratio": "participation_ratio",
    "top_10_percent_mass": "top_10_percent_mass",
    "area_at_80_percent_mass": "area_at_80_percent_mass",
    "entropy": "entropy",
}
"""Fields of a `ConcentrationResult`, and the names of their numbers and of their columns in the records."""

Columns = dict[str, NDArray[np.float64]]


def concentration_numbers(maps: NDArray[np.float32], stage: Stage) -> tuple[list[Number], Columns]:
    """How concentrated (N, h, w) maps are on the layer's own grid; and (N,) columns for the records."""
    result = attribution_concentration(maps)
    columns = {metric: vars(result)[f"per_sample_{field}"] for field, metric in CONCENTRATION.items()}
    numbers = [
        number_of(metric, estimate_of(result, field), stage, num_undefined=int(np.isnan(columns[metric]).sum()))
        for field, metric in CONCENTRATION.items()
    ]
    numbers.append(number_of("zero_map_rate", estimate_of(result, "zero_map_rate"), stage))
    return numbers, columns | {"zero_map": np.isnan(result.per_sample_gini).astype(float)}
