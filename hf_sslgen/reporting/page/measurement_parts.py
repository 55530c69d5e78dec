"""The sections of a page, one for each measurement, and which numbers they show."""

from dataclasses import dataclass

from hf_sslgen.metrics.catalogue.metric import Part
from hf_sslgen.reporting.table_rows import PUBLISHED_GROUP, PUBLISHED_MAPS_GROUP, TUNED_GROUP, Column


@dataclass(frozen=True)
class MeasurementPart:
    """A section: its identifier in the page, title, parts of the catalogue, and what it measures, in one sentence."""

    identifier: str
    title: str
    parts: tuple[Part, ...]
    meaning: str


MEASUREMENT_PARTS = (
    MeasurementPart("accuracy", "Accuracy", (Part.ACCURACY,), "How often the predicted class is the true one."),
    MeasurementPart(
        "confidence",
        "Prediction confidence",
        (Part.CONFIDENCE,),
        "Whether the stated probabilities deserve trust: how often a prediction made with 80% confidence is right.",
    ),
    MeasurementPart(
        "attribution",
        "Attribution",
        (Part.CONCENTRATION, Part.LOCALIZATION, Part.CONTROL),
        "Where in the image the evidence lies: how concentrated it is, and how much of it is on the object.",
    ),
    MeasurementPart(
        "invariance",
        "Invariance",
        (Part.INVARIANCE,),
        "How little the features of an image change when it is rotated, blurred or recoloured.",
    ),
)

_OF_PART = {part: each.identifier for each in MEASUREMENT_PARTS for part in each.parts}
_OF_GROUP = {part.value: identifier for part, identifier in _OF_PART.items()} | {
    PUBLISHED_MAPS_GROUP: _OF_PART[Part.CONCENTRATION],
    PUBLISHED_GROUP: _OF_PART[Part.INVARIANCE],
    TUNED_GROUP: _OF_PART[Part.INVARIANCE],
}


def section_of(column: Column) -> str:
    """Return the identifier of the section that shows a column of measurements."""
    return _OF_GROUP[column.group]
