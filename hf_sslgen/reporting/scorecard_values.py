"""The values of a scorecard, for pages, terminals and apps to draw.

Every value is one of `results.csv` or `ranking.csv`, or the mean of several. A mark claims no more than the ranking.
"""

from dataclasses import dataclass, field
from enum import StrEnum


class Mark(StrEnum):
    """What may be said of a backbone's accuracy beside the others'."""

    LEADS = "leads"
    """The best, told apart from all others, and above the untrained control if there is one."""
    TIED = "tied"
    """The best, or not told apart from it, where none leads."""
    UNTOLD = "cannot tell"
    """As `TIED`, but there is no interval to tell them apart by."""
    NOT_ABOVE_CONTROL = "not above control"
    """Not shown to be above the untrained control, though there is an interval, or no higher."""
    BELOW_CONTROL = "below control"
    """Shown to be below it."""


@dataclass(frozen=True)
class Measure:
    """A column: the headline number of one measurement.

    Attributes:
        part: the measurement's title.
        metric, transform: name in `results.csv`; `headline_accuracy` stands for the kind used for each domain.
        better: `higher`, `lower`, or None if neither is better.
    """

    part: str
    metric: str
    transform: str
    title: str
    better: str | None


@dataclass(frozen=True)
class Score:
    """A number of a backbone.

    Attributes:
        metric: its name in `results.csv`.
        low, high: 95% interval; NaN with a `reason` if there is none.
        n: images (or episodes), or domains of an average.
        num_runs: training runs that were averaged.
        scope: what the interval applies to beyond these images; empty for `weights`.
        cells: folders of the cells that it was taken from, by name.
    """

    metric: str
    value: float
    low: float
    high: float
    n: int
    num_runs: int
    reason: str = ""
    scope: str = ""
    marks: tuple[Mark, ...] = ()
    cells: tuple[str, ...] = ()


@dataclass(frozen=True)
class ScoreRow:
    """A backbone, or an objective with all its pretraining runs.

    Attributes:
        name: full; `short_name` is unique among the scorecard's.
        backbones: its pretraining runs.
        scores: in the order of the scorecard's measures; None where it was not measured.
    """

    name: str
    short_name: str
    objective: str
    is_control: bool
    backbones: tuple[str, ...]
    scores: tuple[Score | None, ...]

    @property
    def marks(self) -> tuple[Mark, ...]:
        """What may be said of its accuracy."""
        return self.scores[0].marks if self.scores and self.scores[0] is not None else ()


@dataclass(frozen=True)
class Panel:
    """The backbones on one domain under one protocol and label budget, ranked, untrained controls last.

    Attributes:
        accuracy: the kind of accuracy used.
        num_images: test images (or episodes) of the best row.
        differing: what the trained backbones are not known to have in common of architecture and source data.
    """

    domain: str
    group: str
    protocol: str
    labels: str
    accuracy: str
    num_images: int
    seeds: tuple[int, ...]
    rows: tuple[ScoreRow, ...]
    differing: tuple[str, ...] = ()


@dataclass(frozen=True)
class AveragePanel:
    """The backbones that were measured on several domains, averaged over these; `group` is empty for all domains, and
    `differing` as in `Panel`."""

    group: str
    domains: tuple[str, ...]
    protocol: str
    labels: str
    rows: tuple[ScoreRow, ...]
    differing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Scorecard:
    """A study at a glance. `names` holds the short name of every row."""

    measures: tuple[Measure, ...]
    panels: tuple[Panel, ...]
    averages: tuple[AveragePanel, ...]
    names: dict[str, str] = field(default_factory=dict)
