"""Restrict a domain to some of its classes."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hf_sslgen.domains.domain_loading import Domain
from hf_sslgen.domains.images import ImageSplit
from hf_sslgen.errors import InputError
from hf_sslgen.names import listed_names


def with_classes(domain: Domain, kept: Sequence[str]) -> Domain:
    """Restrict a domain to these classes, kept in the domain's order; its notes record what is left out.

    Raises:
        InputError: the domain is streamed, or a split has no image of these classes.
    """
    if not isinstance(domain.train, ImageSplit):
        raise InputError("a stream can't be restricted to some of its classes; drop --streaming")
    left_out = [name for name in domain.class_names if name not in kept]
    names = tuple(name for name in domain.class_names if name in kept)
    new_label = np.array([names.index(name) if name in kept else -1 for name in domain.class_names])
    train, validation, test = (_restricted(each, new_label) for each in (domain.train, domain.validation, domain.test))
    note = (
        f"classes: {len(names)} of {len(domain.class_names)}; left out {listed_names(left_out) or 'none'} "
        f"({len(domain.test) - len(test)} test images)"
    )
    notes = (*domain.notes, note)
    taken = domain.taken.with_classes(names, note)
    return replace(domain, class_names=names, train=train, validation=validation, test=test, notes=notes, taken=taken)


def _restricted(split: ImageSplit, new_label: NDArray[np.int64]) -> ImageSplit:
    positions = np.flatnonzero(new_label[split.labels] >= 0)
    if len(positions) == 0:
        raise InputError(f"split {split.name!r} has no image of any class to be measured; give another split")
    kept = split.select(positions)
    return replace(kept, labels=new_label[kept.labels])
