"""A dataset's published images, read once for all the domains that are drawn from them."""

import functools
from dataclasses import dataclass, field, replace
from typing import Any

from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.domains.images import ImageSplit
from hf_sslgen.domains.sources import Published, load_splits, registered_entry
from hf_sslgen.domains.split_reading import Table, read_split, read_table
from hf_sslgen.domains.split_roles import split_names
from hf_sslgen.errors import InputError

DRAWN: dict[str, Any] = {
    "train_val_split": 0.2,
    "split_seed": 0,
    "test_seed": None,
    "label_fraction": None,
    "samples_per_class": None,
    "max_train_samples": None,
    "max_eval_samples": None,
    "max_test_samples": None,
    "group": None,
}
"""Arguments that decide which of the published images are drawn, or how results are grouped, with their defaults."""


@functools.lru_cache(maxsize=4096)
def without_draws(arguments: DomainArguments) -> DomainArguments:
    """Return the arguments on which the published images depend."""
    return replace(arguments, **DRAWN)


@dataclass(frozen=True, eq=False)
class PublishedImages:
    """A dataset as published, read once for all the domains that are drawn from it.

    Attributes:
        names: of the splits for training, validation and testing; None for a missing one.
    """

    arguments: DomainArguments
    loaded: Published
    table: Table
    names: tuple[str, str | None, str | None]
    _read: dict[str, tuple[ImageSplit, tuple[str, ...]]] = field(default_factory=dict)

    def read(self, name: str, notes: list[str]) -> ImageSplit:
        """Return a published split by position, and add notes on what was left out of it."""
        if name not in self._read:
            added: list[str] = []
            split = read_split(self.loaded, name, self.table, self.arguments, added)
            self._read[name] = split, tuple(added)
        split, own_notes = self._read[name]
        notes += own_notes
        return split


def read_published(arguments: DomainArguments) -> PublishedImages:
    """Load a dataset's published splits, of which domains that differ only in `DRAWN` can be drawn.

    Raises:
        InputError: the dataset, a column or a split can't be found, or there is only one class.
    """
    registered = registered_entry(arguments)
    entry = registered if arguments.registered_as is None else None  # a copy may name columns and splits differently
    if entry is not None and entry.train_split is None and arguments.train_split_name is None:
        raise InputError(f"{entry.name} is for evaluation only and has no training split; name another domain")
    loaded = load_splits(arguments, entry)
    names = split_names(arguments, entry, list(loaded.splits))
    return PublishedImages(arguments, loaded, read_table(loaded, names[0], arguments, entry), names)
