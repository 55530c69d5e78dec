"""Find rows of the catalogue, and derive the lists of numbers used elsewhere.

All lists are derived on request, so a number with a row appears in every list that its row names.
"""

from collections.abc import Collection, Iterable
from dataclasses import replace

from hf_sslgen.metrics.catalogue.accuracy_metrics import ACCURACY_METRICS
from hf_sslgen.metrics.catalogue.confidence_metrics import CONFIDENCE_METRICS
from hf_sslgen.metrics.catalogue.feature_metrics import FEATURE_METRICS
from hf_sslgen.metrics.catalogue.map_metrics import MAP_METRICS, RANDOMISED_METRICS
from hf_sslgen.metrics.catalogue.metric import (
    Compared,
    Explanation,
    Measured,
    Metric,
    Part,
    RecordColumn,
    Role,
    Subject,
    Table,
)
from hf_sslgen.metrics.catalogue.prediction_functions import ORDER

HEADLINE_ACCURACY = "headline_accuracy"
"""The accuracy by which each domain is judged, under one name, so that domains can be averaged."""

AFTER_TEMPERATURE = "_after_temperature"
"""Suffix of numbers and columns computed from temperature-scaled probabilities."""

CONTROL = "control_"
"""Prefix of numbers and columns of the same network with re-initialised weights."""

OF_MAPS = (Subject.MAPS, Subject.OBJECTS)
CLEAN = (Subject.PREDICTIONS, *OF_MAPS)
"""Subjects measured on individual untransformed images."""

OF_TRANSFORMS = (Subject.TRANSFORMED, Subject.CHANGED_FEATURES, Subject.CHANGED_PREDICTIONS)


def _by_name(metrics: Iterable[Metric]) -> dict[str, Metric]:
    rows: dict[str, Metric] = {}
    for metric in metrics:
        if rows.setdefault(metric.name, metric) is not metric:
            raise ValueError(f"two rows of the catalogue are named {metric.name!r}")
    return rows


METRICS = _by_name((*ACCURACY_METRICS, *CONFIDENCE_METRICS, *MAP_METRICS, *RANDOMISED_METRICS, *FEATURE_METRICS))
"""Every number by name, in the order of comparisons.

Numbers after temperature scaling and of the re-initialised control have no rows of their own: see `find_metric`.
"""


def find_metric(name: str) -> Metric | None:
    """Return the row of a number, including numbers after temperature scaling and of the control; None if unknown."""
    if name in METRICS:
        return METRICS[name]
    if name.endswith(AFTER_TEMPERATURE) and (base := METRICS.get(name.removesuffix(AFTER_TEMPERATURE))):
        return _after_temperature(base)
    if name.startswith(CONTROL) and (base := METRICS.get(name.removeprefix(CONTROL))):
        return _of_control(base)
    return None


def _after_temperature(base: Metric) -> Metric:
    return _variant(
        base,
        f"{base.name}{AFTER_TEMPERATURE}",
        "after temperature scaling",
        "the numbers before scaling are compared",
        Table.DETAILS if base.scaled_in_details else Table.NONE,
    )


def _of_control(base: Metric) -> Metric:
    control = _variant(
        base, f"{CONTROL}{base.name}", "of the re-initialised control", "the control is a single draw", Table.DETAILS
    )
    return replace(control, part=Part.CONTROL)


def _variant(base: Metric, name: str, qualifier: str, why_not_compared: str, table: Table) -> Metric:
    words = replace(base.words, title=f"{base.words.title} {qualifier}", phrase=f"{base.words.phrase} {qualifier}")
    return Metric(name, words, base.part, base.explanation, base.better, why_not_compared, table=table)


def _in_parts(metrics: Iterable[Metric]) -> list[Metric]:
    order = list(Part)
    return sorted(metrics, key=lambda metric: order.index(metric.part))


def measured_on(subject: Subject, part: str = "") -> list[tuple[Metric, Measured]]:
    """Return the rows of a subject in the order of results, with rows of the same function together."""
    rows = [(m, m.measured) for m in METRICS.values() if m.measured is not None and m.measured.subject is subject]
    rows = [(metric, measured) for metric, measured in rows if measured.part == part]
    functions = [*ORDER, *(measured.function for _, measured in rows)]
    return sorted(rows, key=lambda row: functions.index(row[1].function))


def names_of(subjects: Collection[Subject]) -> tuple[str, ...]:
    """Return the names of the numbers measured on the given subjects."""
    return tuple(metric.name for metric in METRICS.values() if metric.subject in subjects)


def scaled_names() -> frozenset[str]:
    """Return the names of the numbers that a temperature changes; it keeps class order and so all accuracies."""
    return frozenset(metric.name for metric in METRICS.values() if metric.scaled)


def controlled_names() -> tuple[str, ...]:
    """Return the names of the map numbers that are also stored for the re-initialised control."""
    return tuple(metric.name for metric in _in_parts(METRICS.values()) if metric.controlled)


def better_directions() -> dict[str, bool]:
    """Return whether higher is better, for the numbers of predictions that have a better direction."""
    return {
        metric.name: metric.better == "higher"
        for metric in METRICS.values()
        if metric.subject is Subject.PREDICTIONS and metric.better is not None
    }


def compared_on(subjects: Collection[Subject]) -> list[tuple[Metric, Compared]]:
    """Return the rows that are compared between backbones, in the order of comparisons."""
    return [
        (metric, metric.compared)
        for metric in METRICS.values()
        if metric.subject in subjects and isinstance(metric.compared, Compared)
    ]


def names_compared_by(column: str) -> tuple[str, ...]:
    """Return the names of the numbers whose comparison needs only the given column of the records."""
    return tuple(metric.name for metric, _ in compared_on(CLEAN) if metric.compared_columns == (column,))


def undefined_columns() -> tuple[str, ...]:
    """Return the columns of compared map numbers; an image that lacks one is left out for both backbones."""
    return tuple(metric.compared_columns[0] for metric, _ in compared_on(OF_MAPS))


def record_columns() -> dict[str, RecordColumn]:
    """Return every column that a number adds to the records, by name."""
    columns = {column.name: column for metric in METRICS.values() for column in metric.columns}
    scaled = {
        f"{column.name}{AFTER_TEMPERATURE}": column
        for metric in METRICS.values()
        for column in metric.columns
        if metric.scaled
    }
    return scaled | columns


def tested_numbers() -> tuple[tuple[str, str], ...]:
    """Return name and transform of the numbers that answer the question.

    Within one contrast, protocol, label budget and group they form one family of tests; other numbers have an interval
    but no test.
    """
    return tuple(number for _, numbers in tested_parts() for number in numbers)


def tested_parts() -> tuple[tuple[str, tuple[tuple[str, str], ...]], ...]:
    """Return the titles of the measurements, each with name and transform of its tested numbers."""
    parts = {
        part: tuple((m.name, m.transform) for m in METRICS.values() if m.part is part and m.role is Role.TESTED)
        for part in Part
    }
    return tuple((part.value, numbers) for part, numbers in parts.items() if numbers)


def numbers_shown_first() -> dict[str, str]:
    """Return the numbers, besides the headline accuracy, whose differences are shown first: name to transform."""
    shown = (m for m in _in_parts(METRICS.values()) if m.role is not Role.FURTHER and m.name != HEADLINE_ACCURACY)
    return {metric.name: metric.transform for metric in shown}


def measurement_metrics() -> list[Metric]:
    """Return the rows in the table of the four measurements."""
    return [metric for metric in _in_parts(METRICS.values()) if metric.table is Table.MEASUREMENTS]


def terminal_metrics() -> list[Metric]:
    """Return the rows that have a column in the terminal table."""
    return [metric for metric in _in_parts(METRICS.values()) if metric.terminal_title]


def detail_names() -> tuple[str, ...]:
    """Return the names of the numbers in the table of further numbers."""
    own = [metric for metric in METRICS.values() if metric.subject is not Subject.RANDOMISED]
    scaled = [_after_temperature(metric) for metric in METRICS.values() if metric.scaled]
    of_control = [_of_control(METRICS[name]) for name in controlled_names()]
    randomised = [metric for metric in METRICS.values() if metric.subject is Subject.RANDOMISED]
    found = _in_parts((*own, *scaled, *of_control, *randomised))
    return tuple(metric.name for metric in found if metric.table is Table.DETAILS)


def drawn_maps(tested: bool = False) -> list[tuple[str, Metric]]:
    """Return the rows whose distribution over maps can be drawn, each with the result field that holds the number.

    Args:
        tested: whether to return only tested numbers.
    """
    return [
        (metric.measured.field, metric)
        for metric in _in_parts(METRICS.values())
        if metric.axis_title and metric.measured is not None and isinstance(metric.measured.field, str)
        if metric.role is Role.TESTED or not tested
    ]


def transform_names() -> tuple[str, ...]:
    """Return the names of the numbers in the table by transform, in the order of the glossary."""
    rows = [METRICS[name] for name in names_of(OF_TRANSFORMS)]
    explained = [metric.explanation for metric in rows]
    return tuple(metric.name for metric in sorted(rows, key=lambda metric: explained.index(metric.explanation)))


def card_names() -> tuple[str, ...]:
    """Return the names of the numbers on a fine-tuned model's card."""
    places = {metric.name: metric.card_place for metric in METRICS.values() if metric.card_place is not None}
    return tuple(sorted(places, key=lambda name: places[name]))


def explanations_of(parts: Collection[Part], known: Iterable[Explanation]) -> list[Explanation]:
    """Return the glossary entries of some measurements: the known entries, followed by any others of their rows."""
    found = (metric.explanation for metric in METRICS.values() if metric.part in parts)
    return list(dict.fromkeys((*known, *found)))
