"""What a row of the catalogue holds."""

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
"""In place of a transform's name: the mean over all transforms."""

Rows = Mapping[str, Any]
"""Columns of records, each of shape (N,)."""


class Part(Enum):
    """The measurement a number belongs to, by its title; in the order in which they are reported."""

    ACCURACY = "Accuracy"
    CONFIDENCE = "Prediction confidence"
    CONCENTRATION = "Attribution concentration"
    LOCALIZATION = "Attribution on the object"
    CONTROL = "Re-initialised control"
    INVARIANCE = "Invariance of the encoder as published"


class Subject(Enum):
    """What a number is measured on, and so which arguments its function receives."""

    PREDICTIONS = "predicted images, and the number of classes"
    MAPS = "attribution maps (N, h, w)"
    OBJECTS = "attribution maps (N, h, w), and the share of each cell that the object covers"
    RANDOMISED = "attribution maps of a network and of one whose weights were drawn afresh in part, both (N, h, w)"
    TRANSFORMED = "features (N, D), transformed features (N, D), the groups of chance pairs, what was left unchanged"
    CHANGED_FEATURES = "features and transformed features of the images that the transform changed"
    CHANGED_PREDICTIONS = "predictions and transformed predictions of the images that the transform changed"
    ENCODER = "features (N, D), and the stage"


class Table(Enum):
    """Where a cell's number stands on a page; all stand in `results.csv`."""

    MEASUREMENTS = "the table of the four measurements"
    DETAILS = "the table of further numbers, folded away"
    TRANSFORMS = "the table by transform alone"
    NONE = "no table"


class Role(Enum):
    """What a number's differences are for."""

    TESTED = "tested over targets, answers the question, and is shown first"
    SHOWN = "shown first, beside the tested ones"
    FURTHER = "stands among all differences"


class Paired(Enum):
    """Which interval a paired difference has; see `hf_sslgen.study.inference.paired`."""

    SHARE = "a mean of credits in [0, 1]"
    CLASS_SHARE = "a mean over classes of shares"
    OUTCOME = "a mean that depends on right and wrong"
    CONFIDENCE = "a mean that varies with confidence"
    MEAN = "any other mean"


@dataclass(frozen=True)
class MetricWords:
    """How a number is named and written.

    Attributes:
        title: column header.
        phrase: the number within a sentence, before "of <backbone>".
        scale: what stored values are multiplied by for display (100 for shares).
        decimals: digits after the point for display.
        unit: written after a value; `difference_unit` after a difference.
        signed: whether a plus sign is written before positive values.
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
    """An entry of the glossary: several numbers that are read together share one."""

    title: str
    text: str


@dataclass(frozen=True)
class Measured:
    """The function that yields a number.

    Attributes:
        subject: decides the function's arguments.
        function: returns a result, or None where there is no such number (top-5 accuracy of five classes).
        field: the field of the result that is the number, or a function of the result.
        count_undefined: images without the number, from the function's arguments; None counts the NaN of its column.
        part: of the network, whose weights are drawn afresh; for `Subject.RANDOMISED`.
    """

    subject: Subject
    function: Callable[..., MetricResult | None]
    field: str | Callable[[Any], float]
    count_undefined: Callable[..., int] | None = None
    part: str = ""


@dataclass(frozen=True)
class RecordColumn:
    """A column of the records, a value per image.

    Attributes:
        source: the field of the result that holds the values, empty for `per_sample_` and the column's name; or a
            function of the result and the arguments it was computed from.
        low, high: the range of its values.
    """

    name: str
    source: str | Callable[..., NDArray[Any]] = ""
    low: float = -math.inf
    high: float = math.inf

    def of(self, result: MetricResult, *arguments: Any) -> NDArray[Any]:
        """The column, (N,), from a result and what it was computed from."""
        if callable(self.source):
            return self.source(result, *arguments)
        found: NDArray[Any] = vars(result)[self.source or f"{PER_SAMPLE}{self.name}"]
        return found


@dataclass(frozen=True)
class Compared:
    """How a number is compared between two backbones, image by image.

    Attributes:
        paired: which interval the difference has.
        columns: the columns of the records that are needed; none for the number's own first column, and whether the
            prediction is right for a number that depends on it.
        values: what the number is the mean of, (N,), from rows; None for its first column.
    """

    paired: Paired
    columns: tuple[str, ...] = ()
    values: Callable[[Rows], FloatArray] | None = None


@dataclass(frozen=True)
class Metric:
    """A number, declared once.

    Attributes:
        name: in `results.json`, `results.csv` and on the command line.
        better: whether higher or lower values are better; None where neither is.
        measured: what yields it; None for a number that its measurement itself makes, such as a fitted temperature.
        compared: how it is compared, or the reason why it is not.
        columns: what it adds to the records, the values it is the mean of first.
        is_column_mean: whether it is the mean of its first column, which a cell's check relies on.
        terminal_title: header of its column in the terminal's table; empty where it has none there.
        axis_title: title of its axis where its distribution over images can be drawn.
        beside: the number that is written in brackets behind it in that table.
        card_place: its place among the numbers of a fine-tuned model's card; None where it is not there.
        scaled: whether a temperature changes it; `scaled_in_details` says that it is shown after scaling too.
        controlled: whether it is kept of the re-initialised control too.
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
        """The transform under which it stands in tables: the mean over all for a number of transforms."""
        return OVERALL_FAMILY if self.subject is Subject.TRANSFORMED else ""

    @property
    def compared_columns(self) -> tuple[str, ...]:
        """The columns of the records that comparing it needs, that whose images are counted first."""
        if isinstance(self.compared, str):
            return ()
        if self.compared.columns:
            return self.compared.columns
        outcome = ("correct",) if self.compared.paired is Paired.OUTCOME else ()
        return (self.columns[0].name, *outcome)

    def values(self, rows: Rows) -> FloatArray:
        """What the number is the mean of, (N,), from rows with its `compared_columns`."""
        if isinstance(self.compared, Compared) and self.compared.values is not None:
            return self.compared.values(rows)
        return np.asarray(rows[self.columns[0].name], dtype=np.float64)
