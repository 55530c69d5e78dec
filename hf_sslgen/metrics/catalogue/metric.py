"""Define the rows of the catalogue."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hf_sslgen.metrics.inputs import FloatArray
from hf_sslgen.metrics.results import PER_SAMPLE, MetricResult

OVERALL_FAMILY = "mean"
"""Used instead of a transform's name for the mean over all transforms."""

Rows = Mapping[str, Any]
"""Columns of records, each of shape (N,)."""


class Part(Enum):
    """The measurement a number belongs to, with its title, in reporting order."""

    ACCURACY = "Accuracy"
    CONFIDENCE = "Prediction confidence"
    CONCENTRATION = "Attribution concentration"
    LOCALIZATION = "Attribution on the object"
    CONTROL = "Re-initialised control"
    INVARIANCE = "Invariance of the encoder as published"


class Subject(Enum):
    """What a number is measured on, which determines the arguments of its function."""

    PREDICTIONS = "predicted images, and the number of classes"
    MAPS = "attribution maps (N, h, w)"
    OBJECTS = "attribution maps (N, h, w), and the share of each cell that the object covers"
    RANDOMISED = "attribution maps of a network and of its partly re-initialised copy, both (N, h, w)"
    TRANSFORMED = "features (N, D), transformed features (N, D), groups of chance pairs, which images are unchanged"
    CHANGED_FEATURES = "features and transformed features of the images that the transform changed"
    CHANGED_PREDICTIONS = "predictions and transformed predictions of the images that the transform changed"
    ENCODER = "features (N, D), and the stage"


class Table(Enum):
    """Where a page shows a cell's number; `results.csv` contains all numbers."""

    MEASUREMENTS = "the table of the four measurements"
    DETAILS = "the table of further numbers, folded away"
    TRANSFORMS = "the table by transform alone"
    NONE = "no table"


class Role(Enum):
    """The purpose of a number's differences."""

    TESTED = "tested over targets, answers the question, and is shown first"
    SHOWN = "shown first, beside the tested numbers"
    FURTHER = "shown only among all differences"


class Paired(Enum):
    """The kind of interval of a paired difference; see `hf_sslgen.study.inference.paired`."""

    SHARE = "a mean of credits in [0, 1]"
    CLASS_SHARE = "a mean over classes of shares"
    OUTCOME = "a mean that depends on right and wrong"
    CONFIDENCE = "a mean that varies with confidence"
    MEAN = "any other mean"


@dataclass(frozen=True)
class MetricWords:
    """Name and format of a number.

    Attributes:
        title: column header.
        phrase: name within a sentence, before "of <backbone>".
        scale: factor applied to stored values for display (100 for shares).
        decimals: number of displayed decimals.
        unit: written after a value; `difference_unit` is written after a difference.
        signed: whether positive values are displayed with a plus sign.
    """

    title: str
    phrase: str
    scale: float = 1.0
    decimals: int = 3
    unit: str = ""
    difference_unit: str = ""
    signed: bool = False


def share_words(title: str, phrase: str) -> MetricWords:
    return MetricWords(title, phrase, 100.0, 1, "%", " points")


def points_words(title: str, phrase: str, decimals: int = 1, signed: bool = False) -> MetricWords:
    return MetricWords(title, phrase, 100.0, decimals, " pt", " points", signed)


class Explanation(NamedTuple):
    """A glossary entry; numbers that are read together share one."""

    title: str
    text: str


@dataclass(frozen=True)
class Measured:
    """The function that yields a number.

    Attributes:
        subject: determines the function's arguments.
        function: returns a result, or None if the number does not exist (top-5 accuracy with five classes).
        field: field of the result that holds the number, or a function of the result.
        count_undefined: counts images without the number from the function's arguments; None counts NaN in its column.
        part: the re-initialised part of the network, for `Subject.RANDOMISED`.
    """

    subject: Subject
    function: Callable[..., MetricResult | None]
    field: str | Callable[[Any], float]
    count_undefined: Callable[..., int] | None = None
    part: str = ""


@dataclass(frozen=True)
class RecordColumn:
    """A column of the records, with a value per image.

    Attributes:
        source: field of the result that holds the values (empty: `per_sample_` followed by the column's name), or a
            function of the result and its arguments.
        low, high: the range of its values.
    """

    name: str
    source: str | Callable[..., NDArray[Any]] = ""
    low: float = -math.inf
    high: float = math.inf

    def of(self, result: MetricResult, *arguments: Any) -> NDArray[Any]:
        """Return the column, (N,), from a result and the arguments it was computed from."""
        if callable(self.source):
            return self.source(result, *arguments)
        found: NDArray[Any] = vars(result)[self.source or f"{PER_SAMPLE}{self.name}"]
        return found


@dataclass(frozen=True)
class Compared:
    """How a number is compared between two backbones, image by image.

    Attributes:
        paired: the kind of interval of the difference.
        columns: required columns of the records; empty for the number's own first column, plus `correct` if the number
            depends on correctness.
        values: computes the values, (N,), whose mean is the number, from rows; None uses its first column.
    """

    paired: Paired
    columns: tuple[str, ...] = ()
    values: Callable[[Rows], FloatArray] | None = None


@dataclass(frozen=True)
class Metric:
    """A number, declared once.

    Attributes:
        name: name in `results.json`, `results.csv` and on the command line.
        better: whether higher or lower values are better; None if neither is.
        measured: the function that yields it; None if the measurement itself does, as for a fitted temperature.
        compared: how it is compared, or why it is not.
        columns: columns it adds to the records, starting with the values whose mean it is.
        is_column_mean: whether it is the mean of its first column, which the check of a cell relies on.
        terminal_title: header of its column in the terminal table; empty if it has none.
        axis_title: axis title for its distribution over images; empty if it can't be drawn.
        beside: the number in brackets after it in the terminal table.
        card_place: its position on a fine-tuned model's card; None if it is not on the card.
        scaled: whether a temperature changes it; `scaled_in_details` shows it after scaling as well.
        controlled: whether it is also stored for the re-initialised control.
    """

    name: str
    words: MetricWords
    part: Part
    explanation: Explanation
    better: Literal["higher", "lower"] | None
    compared: Compared | str
    measured: Measured | None = None
    columns: tuple[RecordColumn, ...] = ()
    is_column_mean: bool = False
    table: Table = Table.DETAILS
    role: Role = Role.FURTHER
    terminal_title: str = ""
    beside: str = ""
    axis_title: str = ""
    card_place: int | None = None
    scaled: bool = False
    scaled_in_details: bool = False
    controlled: bool = False

    @property
    def subject(self) -> Subject | None:
        return None if self.measured is None else self.measured.subject

    @property
    def transform(self) -> str:
        """The transform under which tables show it: the mean over all transforms for a number of transforms."""
        return OVERALL_FAMILY if self.subject is Subject.TRANSFORMED else ""

    @property
    def compared_columns(self) -> tuple[str, ...]:
        """The columns of the records that its comparison needs, starting with the one whose images are counted."""
        if isinstance(self.compared, str):
            return ()
        if self.compared.columns:
            return self.compared.columns
        outcome = ("correct",) if self.compared.paired is Paired.OUTCOME else ()
        return (self.columns[0].name, *outcome)

    def values(self, rows: Rows) -> FloatArray:
        """Return the values, (N,), whose mean is the number, from rows with its `compared_columns`."""
        if isinstance(self.compared, Compared) and self.compared.values is not None:
            return self.compared.values(rows)
        return np.asarray(rows[self.columns[0].name], dtype=np.float64)
