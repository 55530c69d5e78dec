"""The numbers of attribution maps: how concentrated they are, and whether they lie on the object."""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from hf_sslgen.metrics.catalogue import explanations
from hf_sslgen.metrics.catalogue.metric import (
    Compared,
    Explanation,
    Measured,
    Metric,
    MetricWords,
    Paired,
    Part,
    RecordColumn,
    Role,
    Subject,
    Table,
    share_words,
)
from hf_sslgen.metrics.concentration import ConcentrationResult, attribution_concentration
from hf_sslgen.metrics.inputs import FloatArray
from hf_sslgen.metrics.localization import attribution_localization
from hf_sslgen.metrics.map_similarity import map_similarity

RANDOMISED_PARTS = {
    "head": "head",
    "last_quarter": "last quarter of the blocks",
    "last_half": "last half of the blocks",
    "last_three_quarters": "last three quarters of the blocks",
    "all": "all weights",
}
"""Parts of a network whose weights are re-initialised, in words."""


def _is_zero(result: ConcentrationResult, maps: npt.ArrayLike) -> FloatArray:
    return np.isnan(result.per_sample_gini).astype(np.float64)


def _of_maps(
    name: str,
    words: MetricWords,
    axis_title: str,
    explanation: Explanation,
    field: str = "",
    table: Table = Table.DETAILS,
    role: Role = Role.FURTHER,
    terminal_title: str = "",
    controlled: bool = False,
) -> Metric:
    """Return the row of a mean over maps of a measure of concentration."""
    field = field or name
    return Metric(
        name,
        words,
        Part.CONCENTRATION,
        explanation,
        better=None,
        compared=Compared(Paired.MEAN),
        measured=Measured(Subject.MAPS, attribution_concentration, field),
        columns=(RecordColumn(name, f"per_sample_{field}"),),
        table=table,
        role=role,
        terminal_title=terminal_title,
        axis_title=axis_title,
        controlled=controlled,
    )


CONCENTRATION_METRICS = (
    _of_maps(
        "gini",
        MetricWords("Gini", "Gini coefficient of the attribution maps"),
        "Gini coefficient (even map: 0, one cell: 1)",
        explanations.CONCENTRATION,
        table=Table.MEASUREMENTS,
        role=Role.TESTED,
        terminal_title="gini",
        controlled=True,
    ),
    _of_maps(
        "spatial_spread",
        MetricWords("Spatial spread", "spatial spread of the attribution maps"),
        "Spatial spread (even map: 1)",
        explanations.CONCENTRATION,
        field="spread",
        table=Table.MEASUREMENTS,
        role=Role.TESTED,
        terminal_title="spread",
        controlled=True,
    ),
)

FURTHER_CONCENTRATION_METRICS = (
    _of_maps(
        "effective_area",
        share_words("Effective area", "effective area of the attribution maps"),
        "Effective area (share of the map)",
        explanations.FURTHER_CONCENTRATION,
    ),
    _of_maps(
        "participation_ratio",
        share_words("Participation ratio", "participation ratio of the attribution maps"),
        "Participation ratio (share of the map)",
        explanations.FURTHER_CONCENTRATION,
    ),
    _of_maps(
        "top_10_percent_mass",
        share_words("Mass in the top 10%", "attribution in the strongest tenth of the map"),
        "Mass in the top 10% of cells (share)",
        explanations.FURTHER_CONCENTRATION,
    ),
    _of_maps(
        "area_at_80_percent_mass",
        share_words("Area of 80% of the mass", "share of the map that holds 80% of the attribution"),
        "Area that holds 80% of the mass (share)",
        explanations.FURTHER_CONCENTRATION,
    ),
    _of_maps(
        "entropy",
        MetricWords("Entropy", "entropy of the attribution maps", unit=" nats", difference_unit=" nats"),
        "Entropy (nats)",
        explanations.FURTHER_CONCENTRATION,
    ),
    Metric(
        "zero_map_rate",
        share_words("Maps without positive evidence", "share of attribution maps without positive evidence"),
        Part.CONCENTRATION,
        explanations.CONCENTRATION,
        better=None,
        compared=Compared(Paired.SHARE),
        measured=Measured(Subject.MAPS, attribution_concentration, "zero_map_rate"),
        columns=(RecordColumn("zero_map", _is_zero, 0.0, 1.0),),
        table=Table.MEASUREMENTS,
        role=Role.SHOWN,
        terminal_title="zero %",
        controlled=True,
    ),
)

LOCALIZATION_METRICS = (
    Metric(
        "lift",
        MetricWords("Lift on the object", "lift (attribution on the object over its area share)", decimals=2),
        Part.LOCALIZATION,
        explanations.LOCALIZATION,
        better="higher",
        compared=Compared(Paired.MEAN),
        measured=Measured(Subject.OBJECTS, attribution_localization, "lift"),
        columns=(RecordColumn("lift"),),
        table=Table.MEASUREMENTS,
        role=Role.TESTED,
        axis_title="Lift on the object (1: chance)",
        controlled=True,
    ),
    Metric(
        "mass_accuracy",
        share_words("Mass on the object", "share of attribution on the object"),
        Part.LOCALIZATION,
        explanations.LOCALIZATION,
        better="higher",
        compared=Compared(Paired.MEAN),
        measured=Measured(Subject.OBJECTS, attribution_localization, "mass_accuracy"),
        columns=(RecordColumn("mass_accuracy"),),
        controlled=True,
    ),
    Metric(
        "pointing_game",
        share_words("Pointing game", "share of maps whose maximum lies on the object"),
        Part.LOCALIZATION,
        explanations.LOCALIZATION,
        better="higher",
        compared=Compared(Paired.SHARE),
        measured=Measured(Subject.OBJECTS, attribution_localization, "pointing_game"),
        columns=(RecordColumn("pointing_game"),),
        controlled=True,
    ),
)

FURTHER_LOCALIZATION_METRICS = (
    Metric(
        "area_share",
        share_words("Area of the object", "share of the image that the object covers"),
        Part.LOCALIZATION,
        explanations.LOCALIZATION,
        better=None,
        compared="it depends only on the images",
        measured=Measured(Subject.OBJECTS, attribution_localization, "area_share"),
        columns=(RecordColumn("area_share"),),
    ),
    Metric(
        "lift_over_control",
        MetricWords(
            "Lift over the re-initialised control",
            "lift minus the lift of the same network re-initialised",
            decimals=2,
            signed=True,
        ),
        Part.LOCALIZATION,
        explanations.REINITIALISED,
        better="higher",
        compared="it is itself a difference",
    ),
)

MAP_METRICS = (
    *CONCENTRATION_METRICS,
    *LOCALIZATION_METRICS,
    *FURTHER_CONCENTRATION_METRICS,
    *FURTHER_LOCALIZATION_METRICS,
)
"""Metrics of maps, in the order of their comparison."""


def _similar(field: str, title: str, phrase: str) -> Iterator[Metric]:
    """Return a row on the similarity of maps for each re-initialised part of the network."""
    for part, drawn in RANDOMISED_PARTS.items():
        name = f"map_{field}_{part}"
        yield Metric(
            name,
            MetricWords(f"{title}, {drawn} re-initialised", f"{phrase} with {drawn} re-initialised"),
            Part.CONTROL,
            explanations.REINITIALISED,
            better=None,
            compared="it compares a network with itself, and the re-initialised weights are a single draw",
            measured=Measured(Subject.RANDOMISED, map_similarity, field, part=part),
            columns=(RecordColumn(name, f"per_sample_{field}"),),
        )


RANDOMISED_METRICS = (
    *_similar("rank_correlation", "Rank correlation of maps", "rank correlation of the maps with those"),
    *_similar("structural_similarity", "SSIM of maps", "structural similarity of the maps to those"),
)
