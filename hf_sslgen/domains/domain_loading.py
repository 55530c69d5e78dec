"""Load a target domain from the registry, the Hub, a folder or a file into labelled splits."""

from dataclasses import dataclass, replace

import numpy as np
from datasets import IterableDataset

from hf_sslgen.domains.budgets import at_most, few_labelled, labelled_share
from hf_sslgen.domains.depth import dataset_intensity, look_at
from hf_sslgen.domains.domain_arguments import DomainArguments, draws_labels
from hf_sslgen.domains.domain_names import domain_name
from hf_sslgen.domains.groups import carved, note_shared_groups
from hf_sslgen.domains.hub_datasets import HubDataset
from hf_sslgen.domains.images import ImageSplit
from hf_sslgen.domains.published_images import PublishedImages, read_published
from hf_sslgen.domains.sources import registered_entry
from hf_sslgen.domains.split_reading import read_stream, usable
from hf_sslgen.domains.streaming.streamed_splits import held_out_split
from hf_sslgen.domains.streaming.training_stream import ImageStream
from hf_sslgen.domains.taken import Taken
from hf_sslgen.domains.taken_counts import taken
from hf_sslgen.errors import InputError

DEFAULT_NOT_LABEL_PRESERVING = ("vertical_flip", "invert", "solarize")


@dataclass(frozen=True, eq=False)
class Domain:
    """A target domain, ready to train and measure on.

    Attributes:
        name: registered name, Hub id or folder name.
        group: `similar` to the source data, `different` from it, or `unstated`.
        metric: the accuracy reported in its literature: `accuracy` or `mean_per_class_accuracy`.
        not_label_preserving: transforms that may change a label here; excluded from family means.
        notes: how these splits were obtained, for reports.
        taken: number of images per class, their origin, and what was left out.
        draws_splits: whether another `split_seed` could give other training or validation images.
        found: the Hub commit that all splits come from; None for local and embedded domains.
    """

    name: str
    group: str
    metric: str
    class_names: tuple[str, ...]
    train: ImageSplit | ImageStream
    validation: ImageSplit
    test: ImageSplit
    not_label_preserving: tuple[str, ...]
    notes: tuple[str, ...]
    taken: Taken
    found: HubDataset | None = None
    draws_splits: bool = True

    def fingerprints(self) -> dict[str, str]:
        """Fingerprint each split, by role; reads every image once, except those of a stream."""
        splits = {"train": self.train, "validation": self.validation, "test": self.test}
        return {role: split.fingerprint() for role, split in splits.items()}


def _test_seed(arguments: DomainArguments) -> int:
    return arguments.split_seed if arguments.test_seed is None else arguments.test_seed


def _carve(
    train: ImageSplit, role: str, arguments: DomainArguments, notes: list[str]
) -> tuple[ImageSplit, ImageSplit]:
    """Carve a stratified part off the training split, in whole groups if there are any, and add a note about it."""
    seed = _test_seed(arguments) if role == "test" else arguments.split_seed
    kept, held_out = carved(train, role, arguments.train_val_split, seed, notes)
    if len(held_out) == 0:
        raise InputError(
            f"no {role} images can be carved from split {train.name!r}: every class has only one image; name a split "
            f"with --{role}_split_name"
        )
    return train.select(kept), train.select(held_out)


def _require_trained_classes(train: ImageSplit | ImageStream, test: ImageSplit) -> None:
    """Raise InputError if no test image belongs to a training class."""
    if isinstance(train, ImageSplit) and not np.isin(test.labels, train.labels).any():
        raise InputError(
            f"no image of the test split {test.name!r} belongs to a class of the training split {train.name!r}; name "
            "matching splits with --train_split_name and --test_split_name"
        )


def load_domain(arguments: DomainArguments, published: PublishedImages | None = None) -> Domain:
    """Load a domain's training, validation and test images.

    A missing validation split is carved from the training split (stratified, or by content for a stream). If neither
    a test nor a validation split is published, the test split is carved first. Where images come in groups, whole
    groups are carved. `label_fraction` reduces the training
    split after the test split is carved and before the validation split is, and reduces a published validation split
    alike; the test split always stays whole.

    Args:
        published: the dataset, if it was read before with arguments that are equal but for `DRAWN`.

    Raises:
        InputError: the dataset, a column or a split can't be found, a label is not a class, there is only one class,
            a split is empty, or its size differs from the registry's.
    """
    published = published or read_published(arguments)
    registered, loaded, table = registered_entry(arguments), published.loaded, published.table
    train_name, validation_name, test_name = published.names
    raw_train = loaded.splits[train_name]
    notes: list[str] = []

    validation = published.read(validation_name, notes) if validation_name is not None else None
    test = published.read(test_name, notes) if test_name is not None else None
    draws_splits = validation is None or isinstance(raw_train, IterableDataset) or draws_labels(arguments)
    train: ImageSplit | ImageStream
    if isinstance(raw_train, IterableDataset):
        if test is None:
            raise InputError(
                "a test split can't be carved from a stream; name one with --test_split_name or drop --streaming"
            )
        held_out = 0.0 if validation is not None else arguments.train_val_split
        train = read_stream(loaded, train_name, table, arguments, held_out)
        intensity = dataset_intensity(train, arguments, notes)
        if validation is None:
            chosen_by = "content" if train.group_column is None else f"groups ({train.group_column!r})"
            notes.append(f"validation: {held_out:.0%} of the streamed '{train_name}', chosen by {chosen_by}")
            validation = usable(held_out_split(train), arguments, notes)
    else:
        train = published.read(train_name, notes)
        if test is None:
            train, test = _carve(train, "test", arguments, notes)
        intensity = dataset_intensity(train, arguments, notes)
        train = labelled_share(train, arguments, notes, carved_afterwards=validation is None)
        if validation is not None:
            validation = labelled_share(validation, arguments, notes, carved_afterwards=False)
        else:
            train, validation = _carve(train, "validation", arguments, notes)
        train = few_labelled(train, arguments, notes, table.encoding)
    train, validation, test = (
        replace(train, intensity=intensity),
        replace(validation, intensity=intensity),
        replace(test, intensity=intensity),
    )
    for split in (train, validation, test):
        if isinstance(split, ImageSplit):
            look_at(split, notes)
    test = at_most(test, arguments.max_test_samples, _test_seed(arguments))
    if test.has("box"):
        for position in range(len(test)):  # find invalid boxes before training starts
            test.boxes(position)
    validation = at_most(validation, arguments.max_eval_samples, arguments.split_seed)
    note_shared_groups(train, validation, test, notes)
    splits = {"train": train, "validation": validation, "test": test}
    _require_trained_classes(train, test)
    return Domain(
        name=domain_name(arguments),
        group=arguments.group or (registered.group if registered else "unstated"),
        metric=registered.metric if registered else "accuracy",
        class_names=table.encoding.class_names,
        train=train,
        validation=validation,
        test=test,
        not_label_preserving=registered.not_label_preserving if registered else DEFAULT_NOT_LABEL_PRESERVING,
        notes=tuple(notes),
        taken=taken(arguments, loaded, table.columns, table.encoding.class_names, splits, notes),
        found=loaded.found,
        draws_splits=draws_splits,
    )
