"""Loading a target domain: from the registry, the Hub, a folder or a parquet file, to labelled splits."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from datasets import ClassLabel, Dataset, Features, Image, IterableDataset

from hf_sslgen.domains.annotations import (
    AnnotationColumns,
    Annotations,
    find_annotations,
    require_a_column_each,
)
from hf_sslgen.domains.arguments import DomainArguments
from hf_sslgen.domains.budgets import at_most, few_labelled, labelled_share
from hf_sslgen.domains.columns import find_columns
from hf_sslgen.domains.depth import asked_intensity, dataset_intensity, look_at
from hf_sslgen.domains.domain_names import domain_name
from hf_sslgen.domains.hub_datasets import HubDataset
from hf_sslgen.domains.images import ImageSplit
from hf_sslgen.domains.labels import LabelEncoding, label_encoding
from hf_sslgen.domains.picture_arrays import array_of, encode_array
from hf_sslgen.domains.registry import DomainEntry
from hf_sslgen.domains.sources import Published, load_splits, registered_entry
from hf_sslgen.domains.split_roles import split_names
from hf_sslgen.domains.splits import stratified_split
from hf_sslgen.domains.streamed_splits import held_out_split, store_split
from hf_sslgen.domains.streams import ImageStream
from hf_sslgen.domains.taken import Taken
from hf_sslgen.domains.taking import taken
from hf_sslgen.errors import InputError
from hf_sslgen.intensity import Intensity

DEFAULT_NOT_LABEL_PRESERVING = ("vertical_flip", "invert", "solarize")


@dataclass(frozen=True, eq=False)
class Domain:
    """A target domain, ready to train and measure on.

    Attributes:
        name: the registry's name, the Hub id or the folder's name.
        group: `similar` to the source data, `different` from it, or `unstated`.
        metric: the accuracy its literature reports: `accuracy` or `mean_per_class_accuracy`.
        not_label_preserving: transforms that may change a label here, kept out of family means.
        notes: what was done to get these splits, for reports.
        taken: how many images of which classes these are, where from, and what was left out.
        found: the commit on the Hub that all splits are from; None for local and embedded ones.
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

    def fingerprints(self) -> dict[str, str]:
        """Fingerprints of the splits by their role; reads every image once, those of a stream excepted."""
        splits = {"train": self.train, "validation": self.validation, "test": self.test}
        return {role: split.fingerprint() for role, split in splits.items()}


@dataclass(frozen=True)
class Table:
    """How the rows of a data set are read: its image and its label column, what the labels mean, and what else it
    says of its images."""

    columns: tuple[str, str]
    encoding: LabelEncoding
    annotations: AnnotationColumns


def read_table(published: Published, train_name: str, arguments: DomainArguments, entry: DomainEntry | None) -> Table:
    """Find the columns and the classes in the training split."""
    raw_train = published.splits[train_name]
    if raw_train.features is None:
        raise InputError(
            f"the columns of {arguments.dataset_name!r} are not known before it is read; drop --streaming"
        )
    annotations = find_annotations(raw_train.features, arguments, entry)
    columns = find_columns(
        raw_train.features,
        arguments.image_column_name or (entry.image_column if entry else None),
        arguments.label_column_name or (entry.label_column if entry else None),
        annotations.named().values(),
    )
    require_a_column_each(columns, annotations)
    has_classes = isinstance(raw_train.features[columns[1]], ClassLabel)
    values = [] if has_classes else list(published.column(train_name, columns[1]))
    encoding = label_encoding(raw_train.features, columns[1], values)
    if len(encoding.class_names) < 2:
        raise InputError(
            f"label_column_name {columns[1]!r} of {arguments.dataset_name!r} knows a single class "
            f"({', '.join(encoding.class_names)}); at least two are needed"
        )
    return Table(columns, encoding, annotations)


def _as_pictures(dataset: Any, column: str) -> Any:
    """The data set with a column of undecoded pictures, which may have been arrays, files' bytes or paths."""
    if array_of((dataset.features or {}).get(column)) is None:
        return dataset.cast_column(column, Image(decode=False))
    features = Features({**dataset.features, column: Image(decode=False)})

    def encoded(value: Any, row: int) -> dict[str, Any]:
        return {column: encode_array(value, f"row {row} of column {column!r}")}

    return dataset.map(encoded, with_indices=True, input_columns=[column], features=features)


def _undecoded(dataset: Any, columns: tuple[str, str]) -> Any:
    """The data set, on disk or streamed, with an undecoded column `image` and a raw column `label` alone."""
    dataset = _as_pictures(dataset.select_columns(list(columns)), columns[0])
    renamed = {column: role for column, role in zip(columns, ("image", "label"), strict=True) if column != role}
    return dataset.rename_columns(renamed) if renamed else dataset


def _by_position(
    dataset: Dataset | IterableDataset, name: str, table: Table, published: Published, intensity: Intensity
) -> ImageSplit:
    """A published split whose images can be reached by position; a streamed one is read to its end for that."""
    encoding = table.encoding.of_split((dataset.features or {}).get(table.columns[1]))
    if isinstance(dataset, IterableDataset):
        image = table.columns[0]
        undecoded = _as_pictures(dataset, image)
        stored = store_split(undecoded, table.columns, table.annotations, published.found, published.files)
        if name in published.expected_sizes:
            published.expected_sizes[name].check(len(stored.images))
        labels = encoding.encode(stored.labels, name)
        rows = np.arange(len(labels))
        return ImageSplit(name, stored.images, rows, labels, stored.annotations, intensity=intensity)
    rows = _undecoded(dataset, table.columns)
    labels = encoding.encode(rows["label"][:], name)
    annotations = Annotations.of_dataset(dataset, table.annotations, published.files)
    images = rows.select_columns(["image"])
    return ImageSplit(name, images, np.arange(len(labels)), labels, annotations, published.files, intensity)


def _usable(split: ImageSplit, arguments: DomainArguments, notes: list[str]) -> ImageSplit:
    """The images that can be decoded, where that is asked for; at least one must remain."""
    if arguments.skip_corrupt:
        split, skipped = split.without_corrupt()
        if skipped:
            notes.append(f"{skipped} images of split '{split.name}' could not be decoded and were left out")
    if len(split) == 0:
        raise InputError(f"split {split.name!r} is empty; every split needs at least one image")
    return split


def read_split(
    published: Published, name: str, table: Table, arguments: DomainArguments, notes: list[str]
) -> ImageSplit:
    """A published split by position, without undecodable images where that is asked for (and noted)."""
    split = _by_position(published.splits[name], name, table, published, asked_intensity(arguments))
    return _usable(split, arguments, notes)


def _stream(
    published: Published, name: str, table: Table, arguments: DomainArguments, held_out_fraction: float
) -> ImageStream:
    budgets = (arguments.samples_per_class, arguments.max_train_samples, arguments.label_fraction)
    if any(budget is not None for budget in budgets):
        raise InputError(
            "a stream can't be reduced with samples_per_class, label_fraction or max_train_samples; drop --streaming"
        )
    return ImageStream(
        name,
        _undecoded(published.splits[name], table.columns),
        table.encoding,
        held_out_fraction,
        arguments.split_seed,
        arguments.shuffle_buffer_size,
        arguments.skip_corrupt,
        published.found,
        published.expected_sizes.get(name),
        published.files,
        asked_intensity(arguments),
    )


def _test_seed(arguments: DomainArguments) -> int:
    return arguments.split_seed if arguments.test_seed is None else arguments.test_seed


def _carve(
    train: ImageSplit, role: str, arguments: DomainArguments, notes: list[str]
) -> tuple[ImageSplit, ImageSplit]:
    """Cut a stratified part off the training split and say so."""
    seed = _test_seed(arguments) if role == "test" else arguments.split_seed
    kept, held_out = stratified_split(train.labels, arguments.train_val_split, seed)
    notes.append(f"{role}: a stratified {arguments.train_val_split:.0%} of '{train.name}' (seed {seed})")
    if len(held_out) == 0:
        raise InputError(
            f"no {role} images can be carved from split {train.name!r}: every class has one image; name a "
            f"--{role}_split_name"
        )
    return train.select(kept), train.select(held_out)


def _require_trained_classes(train: ImageSplit | ImageStream, test: ImageSplit) -> None:
    """Raise InputError where no test image is of a class that is trained on."""
    if isinstance(train, ImageSplit) and not np.isin(test.labels, train.labels).any():
        raise InputError(
            f"no image of the test split {test.name!r} belongs to a class of the training split {train.name!r}"
        )


def load_domain(arguments: DomainArguments) -> Domain:
    """Load a domain's training, validation and test images.

    A missing validation split is carved from the training split (stratified; of a stream: by content). Where neither
    test nor validation is published, the test split is carved first. `label_fraction` reduces the training split
    after the test and before the validation split is carved, and a published validation split alike; the test split
    is always whole.

    Raises:
        InputError: the data set, a column or a split can't be found, a label is no class, there is only one class, a
            split is empty, or its size is not what the registry expects.
    """
    entry = registered_entry(arguments)
    published = entry if arguments.registered_as is None else None  # a copy may name its columns and splits otherwise
    if published is not None and published.train_split is None and arguments.train_split_name is None:
        raise InputError(f"{published.name} has no training split: it is for evaluation only; name another domain")
    loaded = load_splits(arguments, published)
    train_name, validation_name, test_name = split_names(arguments, published, list(loaded.splits))
    raw_train = loaded.splits[train_name]
    table = read_table(loaded, train_name, arguments, published)
    notes: list[str] = []

    def read(name: str) -> ImageSplit:
        return read_split(loaded, name, table, arguments, notes)

    validation = read(validation_name) if validation_name is not None else None
    test = read(test_name) if test_name is not None else None
    train: ImageSplit | ImageStream
    if isinstance(raw_train, IterableDataset):
        if test is None:
            raise InputError(
                "a stream has no test split to carve; name one with --test_split_name or drop --streaming"
            )
        held_out = 0.0 if validation is not None else arguments.train_val_split
        train = _stream(loaded, train_name, table, arguments, held_out)
        intensity = dataset_intensity(train, arguments, notes)
        if validation is None:
            notes.append(f"validation: {held_out:.0%} of the streamed '{train_name}', chosen by content")
            validation = _usable(held_out_split(train), arguments, notes)
    else:
        train = read(train_name)
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
        for position in range(len(test)):  # what is wrong with a box is found before anything is trained
            test.boxes(position)
    validation = at_most(validation, arguments.max_eval_samples, arguments.split_seed)
    splits = {"train": train, "validation": validation, "test": test}
    _require_trained_classes(train, test)
    return Domain(
        name=domain_name(arguments),
        group=arguments.group or (entry.group if entry else "unstated"),
        metric=entry.metric if entry else "accuracy",
        class_names=table.encoding.class_names,
        train=train,
        validation=validation,
        test=test,
        not_label_preserving=entry.not_label_preserving if entry else DEFAULT_NOT_LABEL_PRESERVING,
        notes=tuple(notes),
        taken=taken(arguments, loaded, table.columns, table.encoding.class_names, splits, notes),
        found=loaded.found,
    )
