"""Encode labels of any kind as class indices of the training split, matched by name in all other splits."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from datasets import ClassLabel, Features
from numpy.typing import NDArray

from hf_sslgen.errors import InputError
from hf_sslgen.names import alike, canonical, listed_names

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LabelEncoding:
    """Class names and the class of each raw label value.

    ClassLabel columns keep their names and order; integers and strings are sorted. Names are in canonical form.

    Attributes:
        own_names: a split's own names for its numbers, if they differ from `class_names` in names or order.
    """

    class_names: tuple[str, ...]
    index_of: Mapping[Any, int]
    own_names: tuple[str, ...] | None = None

    def encode(self, values: Sequence[Any], split: str) -> NDArray[np.int64]:
        """Return (N,) class indices; raises InputError naming the first value that is not a class."""
        encoded = np.empty(len(values), dtype=np.int64)
        for row, value in enumerate(values):
            index = self.index_of.get(canonical(value) if isinstance(value, str) else value)
            if index is None:
                raise self._unknown(value, row, split)
            encoded[row] = index
        return encoded

    def _unknown(self, value: Any, row: int, split: str) -> InputError:
        if self.own_names is not None and isinstance(value, int) and 0 <= value < len(self.own_names):
            return InputError(
                f"label {self.own_names[value]!r} in row {row} of split {split!r} is not one of the training split's "
                f"classes ({listed_names(self.class_names)}); split {split!r} has the classes "
                f"({listed_names(self.own_names)}); give both the same names, or remove such rows"
            )
        near = alike(value, self.class_names) if isinstance(value, str) else None
        hint = f" (it differs from {near!r} only in case or spaces)" if near is not None else ""
        known = ", ".join(repr(name) for name in list(self.index_of)[:10])
        return InputError(
            f"label {value!r} in row {row} of split {split!r} is outside the {len(self.class_names)} classes "
            f"({known}{', ...' if len(self.index_of) > 10 else ''}){hint}; "
            "relabel or remove such rows, or name another --label_column_name"
        )

    def of_split(self, feature: Any) -> "LabelEncoding":
        """Return the encoding for a split whose column has this feature, matching its numbers by their names."""
        if not isinstance(feature, ClassLabel):
            return self
        own = tuple(canonical(name) for name in feature.names)
        if own == self.class_names and all(self.index_of.get(index) == index for index in range(len(own))):
            return self
        place = {name: index for index, name in enumerate(self.class_names)}
        index_of = {number: place[name] for number, name in enumerate(own) if name in place}
        return LabelEncoding(self.class_names, index_of, own)


def label_encoding(features: Features, label_column: str, training_values: Sequence[Any]) -> LabelEncoding:
    """Derive the label encoding from the column's type or else from the training split's values.

    Raises:
        InputError: there are no values, values of several types, or names that differ only in surrounding spaces.
    """
    feature = features[label_column]
    if isinstance(feature, ClassLabel):
        names = tuple(
            dict.fromkeys(canonical(name) for name in feature.names)
        )  # one class may be written in two Unicode forms
        _check_names(names, label_column)
        return LabelEncoding(names, {i: names.index(canonical(name)) for i, name in enumerate(feature.names)})
    if not training_values:
        raise InputError("the training split is empty; every split needs at least one image")
    kinds = {type(value) for value in training_values}
    if kinds not in ({str}, {int}):
        raise InputError(
            f"label_column_name {label_column!r} holds {', '.join(sorted(kind.__name__ for kind in kinds))}; labels "
            "must be a ClassLabel, all integers or all strings"
        )
    ordered = sorted({canonical(value) if isinstance(value, str) else value for value in training_values})
    names = tuple(str(value) for value in ordered)
    _check_names(names, label_column)
    return LabelEncoding(names, {value: index for index, value in enumerate(ordered)})


def _check_names(names: Sequence[str], label_column: str) -> None:
    """Raise InputError for names that differ only in spaces; warn about names that differ only in case."""
    stripped: dict[str, str] = {}
    folded: dict[str, str] = {}
    for name in names:
        other = stripped.setdefault(" ".join(name.split()), name)
        if other is not name:
            raise InputError(
                f"label_column_name {label_column!r} has the classes {other!r} and {name!r}, which differ only in "
                "spaces; spell them the same"
            )
        other = folded.setdefault(name.casefold(), name)
        if other is not name:
            logger.warning("classes %r and %r differ only in case and are kept separate", other, name)
