"""Label budgets: a share of the labels, a number of images per class, or a maximum number of images."""

import numpy as np

from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.domains.images import ImageSplit
from hf_sslgen.domains.labels import LabelEncoding
from hf_sslgen.domains.splits import few_per_class, smallest_fraction_to_split, stratified_fraction, stratified_subset
from hf_sslgen.errors import InputError


def at_most(split: ImageSplit, size: int | None, seed: int) -> ImageSplit:
    """Return a stratified subset of at most `size` images; all images if `size` is None."""
    return split if size is None else split.select(stratified_subset(split.labels, size, seed))


def labelled_share(
    split: ImageSplit, arguments: DomainArguments, notes: list[str], carved_afterwards: bool
) -> ImageSplit:
    """Return the subset of the split that `label_fraction` allows.

    Args:
        carved_afterwards: whether validation will be carved from it, which needs a class with two images.
    """
    fraction = arguments.label_fraction
    if fraction is None or fraction == 1:
        return split
    kept = split.select(stratified_fraction(split.labels, fraction, arguments.split_seed))
    counts = np.unique(kept.labels, return_counts=True)[1]
    if carved_afterwards and counts.max() < 2:
        enough = smallest_fraction_to_split(split.labels)
        instead = f"label_fraction {enough:g} keeps two of every class" if enough else "drop it"
        raise InputError(
            f"label_fraction {fraction:g} of split {split.name!r} ({len(split)} images, {len(counts)} classes) is one "
            f"image per class, which leaves none to select on; {instead}, or name a --validation_split_name, or give "
            "samples_per_class, which leaves validation whole"
        )
    notes.append(
        f"labels: {fraction * 100:g}% of '{split.name}', {len(kept)} of {len(split)} images (stratified, at least one "
        f"a class, seed {arguments.split_seed})"
    )
    return kept


def few_labelled(
    train: ImageSplit, arguments: DomainArguments, notes: list[str], encoding: LabelEncoding
) -> ImageSplit:
    """Return the training images within the requested budget; at least two classes must remain.

    Raises:
        InputError: a class has fewer images than `samples_per_class`, so the budget can't be met.
    """
    if arguments.samples_per_class is not None:
        classes, counts = np.unique(train.labels, return_counts=True)
        if counts.min() < arguments.samples_per_class:
            raise InputError(
                f"samples_per_class is {arguments.samples_per_class}, but class "
                f"{encoding.class_names[classes[counts.argmin()]]!r} has only {counts.min()} images in split "
                f"{train.name!r} of {arguments.dataset_name!r} once validation is held out; give at most "
                f"{counts.min()}"
            )
        train = train.select(few_per_class(train.labels, arguments.samples_per_class, arguments.split_seed))
        notes.append(f"trained on {arguments.samples_per_class} images a class; validation was not reduced with them")
    train = at_most(train, arguments.max_train_samples, arguments.split_seed)
    if len(np.unique(train.labels)) < 2:
        raise InputError(
            f"the training split {train.name!r} of {arguments.dataset_name!r} holds a single class "
            f"({encoding.class_names[train.labels[0]]!r}); at least two are needed"
        )
    return train
