"""Pixel depth of a domain's pictures: the intensity range they are read with, and how much of it they use."""

import logging

import numpy as np
from tqdm.auto import tqdm

from hf_sslgen.decoding import CorruptImageError, ValueRange, depth, value_range
from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.domains.images import ImageSplit
from hf_sslgen.domains.streaming.training_stream import ImageStream
from hf_sslgen.errors import InputError
from hf_sslgen.intensity import DATASET_RANGE, PER_IMAGE, STATED, Intensity, read_intensity

logger = logging.getLogger(__name__)

LOOKED_AT = 48
"""Number of pictures to inspect per split, evenly spaced."""

SMALL_SHARE = 0.25
"""Pictures that use less than this share of a range get fewer than 64 of 256 shades."""


def asked_intensity(arguments: DomainArguments) -> Intensity:
    """Return the requested intensity range; each picture's own while the dataset's is not yet measured."""
    if arguments.intensity_range is None:
        return STATED
    return PER_IMAGE if arguments.intensity_range == DATASET_RANGE else read_intensity(arguments.intensity_range)


def measured_intensity(train: ImageSplit | ImageStream) -> Intensity:
    """Measure the smallest and largest value over the training images, reading each of them once.

    Raises:
        InputError: the split is streamed, its pictures differ in depth, or all values are equal.
    """
    if isinstance(train, ImageStream):
        raise InputError(
            "intensity_range 'dataset' reads all training images first, but a stream is read once; give LOW,HIGH, or "
            "drop --streaming"
        )
    kinds: dict[str, str] = {}
    least, largest = np.inf, -np.inf
    for position in tqdm(range(len(train)), desc=f"range of {train.name}", disable=None, leave=False):
        found = value_range(train.encoded(position), train.where(position))
        kinds.setdefault(found.stored.kind, train.where(position))
        least, largest = min(least, found.least), max(largest, found.largest)
    if len(kinds) > 1:
        words = " and ".join(f"{kind} ({where})" for kind, where in list(kinds.items())[:2])
        raise InputError(f"intensity_range 'dataset' needs pictures of one depth, found {words}; give LOW,HIGH")
    if not least < largest:
        raise InputError(f"intensity_range 'dataset': all values of the training images are {least:g}; give LOW,HIGH")
    return Intensity((least, largest))


def dataset_intensity(train: ImageSplit | ImageStream, arguments: DomainArguments, notes: list[str]) -> Intensity:
    """Return the range used for all splits, measured on the training images if requested.

    Args:
        train: all training images, whatever share of them is used later.
        notes: receives a note if the range is not the one the files state.
    """
    if arguments.intensity_range is None:
        return STATED
    intensity = asked_intensity(arguments)
    if arguments.intensity_range == DATASET_RANGE:
        intensity = measured_intensity(train)
    is_measured = arguments.intensity_range == DATASET_RANGE
    notes.append(f"intensity_range: {intensity}{' (dataset)' if is_measured else ''}")
    return intensity


def look_at(split: ImageSplit, notes: list[str]) -> None:
    """Decode some pictures and warn about values that use little of the intensity range or lie outside it.

    Only pictures deeper than 8 bits or read with a given range are checked; warnings are also added to the notes.

    Raises:
        UnknownRangeError: no range is given, and a picture's file does not state one.
    """
    found: list[ValueRange] = []
    for position in np.unique(np.linspace(0, len(split) - 1, LOOKED_AT).round().astype(int)).tolist():
        try:
            value, where = split.encoded(position), split.where(position)
            if not depth(value, where).is_plain or split.intensity.limits is not None:
                split.image(position)
                found.append(value_range(value, where))
        except CorruptImageError:  # reported when it is needed, or left out
            continue
    for note in (_unused_range(split, found), _beyond_range(split, found), _different_ranges(split, found)):
        if note is not None:
            logger.warning(note)
            notes.append(note)


def _unused_range(split: ImageSplit, found: list[ValueRange]) -> str | None:
    ranges = [each.stored.stated if split.intensity.is_stated else split.intensity.limits for each in found]
    known = [(each, limits) for each, limits in zip(found, ranges, strict=True) if limits is not None]
    if not known:
        return None
    shares = [[(value - low) / (high - low) for value in (each.least, each.largest)] for each, (low, high) in known]
    used = min(1.0, max(high for _, high in shares)) - max(0.0, min(low for low, _ in shares))
    if used >= SMALL_SHARE:
        return None
    least, largest = min(each.least for each, _ in known), max(each.largest for each, _ in known)
    low, high = known[0][1]
    return (
        f"pictures of split {split.name!r} have values from {least:g} to {largest:g} of a range from {low:g} to "
        f"{high:g}, so that they get {round(256 * used)} of 256 shades; pass --intensity_range dataset, or LOW,HIGH"
    )


def _beyond_range(split: ImageSplit, found: list[ValueRange]) -> str | None:
    limits = split.intensity.limits
    if limits is None or not found:
        return None
    low, high = limits
    width = high - low
    beyond = [each for each in found if each.least < low - width or each.largest > high + width]
    if 2 * len(beyond) <= len(found):
        return None
    least, largest = min(each.least for each in found), max(each.largest for each in found)
    return (
        f"pictures of split {split.name!r} have values from {least:g} to {largest:g}, and those outside the range "
        f"from {low:g} to {high:g} come out black or white; give another --intensity_range where that is not meant"
    )


def _different_ranges(split: ImageSplit, found: list[ValueRange]) -> str | None:
    stated = sorted({each.stored.stated for each in found if each.stored.stated is not None})
    if not split.intensity.is_stated or len(stated) < 2:
        return None
    (low, high), (other_low, other_high) = stated[0], stated[-1]
    return (
        f"files of split {split.name!r} state different ranges, such as {low:g} to {high:g} and {other_low:g} to "
        f"{other_high:g}, so that equal values get different shades; pass --intensity_range dataset, or LOW,HIGH"
    )
