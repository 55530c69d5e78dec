"""Loading a target domain: from the registry, the Hub, a folder or a parquet file, to labelled splits."""

import dataclasses
import logging
import sys
from pathlib import Path
from typing import Any

import datasets
import numpy as np
from datasets import ClassLabel, Dataset, DatasetDict, Image, IterableDataset, IterableDatasetDict
from datasets.exceptions import DatasetGenerationError, DatasetNotFoundError
from huggingface_hub.errors import HfHubHTTPError

from hf_sslgen.domains.arguments import DomainArguments
from hf_sslgen.domains.columns import LabelEncoding, find_columns, label_encoding
from hf_sslgen.domains.images import ImageSplit, ImageStream
from hf_sslgen.domains.registry import DomainEntry, domain_entries, find_domain, known_bad_domains
from hf_sslgen.domains.splits import few_per_class, stratified_split, stratified_subset
from hf_sslgen.errors import InputError, nearest_names

logger = logging.getLogger(__name__)

EMBEDDED = Path(__file__).parent / "embedded"
VALIDATION_NAMES = ("validation", "valid", "val", "dev")
DEFAULT_NOT_LABEL_PRESERVING = ("vertical_flip", "invert", "solarize")


@dataclasses.dataclass(frozen=True, eq=False)
class Domain:
    """A target domain, ready to train and measure on.

    Attributes:
        name: the registry's name, the Hub id or the folder's name.
        group: `similar` to the source data, `different` from it, or `unstated`.
        metric: the accuracy its literature reports: `accuracy` or `mean_per_class_accuracy`.
        not_label_preserving: transforms that may change a label here, kept out of family means.
        notes: what was done to get these splits, for reports.
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


def _registered(arguments: DomainArguments) -> DomainEntry | None:
    """The registry's row that describes the domain, if any."""
    if arguments.registered_as is None:
        return find_domain(arguments.dataset_name)
    entry = find_domain(arguments.registered_as)
    if entry is None:
        raise InputError(
            f"registered_as {arguments.registered_as!r} is no registered domain. "
            f"{nearest_names(arguments.registered_as, domain_entries())}".rstrip()
        )
    return entry


def _load(arguments: DomainArguments, streaming: bool) -> DatasetDict | IterableDatasetDict:
    """All splits of a data set, or one clear sentence on why they can't be had."""
    name = arguments.dataset_name
    entry = find_domain(name)
    config = arguments.dataset_config_name or (entry.config if entry else None)
    revision = arguments.dataset_revision or (entry.revision if entry else None)
    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
    try:
        if entry is not None and entry.format == "embedded":
            files = {path.stem: str(path) for path in sorted((EMBEDDED / entry.name).glob("*.parquet"))}
            return datasets.load_dataset("parquet", data_files=files, streaming=streaming)
        if entry is None and name.endswith(".parquet") and Path(name).is_file():
            return datasets.load_dataset("parquet", data_files={"train": name}, streaming=streaming)
        location = entry.id if entry is not None and entry.id is not None else name
        if location in known_bad_domains():
            logger.warning("%s is known to be flawed: %s", location, known_bad_domains()[location])
        return datasets.load_dataset(location, config, revision=revision, streaming=streaming)
    except (
        DatasetNotFoundError,
        DatasetGenerationError,
        HfHubHTTPError,
        ConnectionError,
        FileNotFoundError,
        RuntimeError,
        ValueError,
    ) as error:
        reason = str(error.__cause__ or error).strip().split("\n")[0]
        hint = nearest_names(name, domain_entries())
        raise InputError(
            f"dataset_name {name!r} could not be loaded: {reason}. It may be a name from `hf-sslgen domains`, an id "
            f"on the Hub, a local folder or a parquet file. {hint}".rstrip()
        ) from error


def _split_names(
    arguments: DomainArguments, entry: DomainEntry | None, available: list[str]
) -> tuple[str, str | None, str | None]:
    """Names of the training, validation and test split; a missing one is None."""
    train = arguments.train_split_name or (entry.train_split if entry else None) or "train"
    validation = arguments.validation_split_name or (entry.validation_split if entry else None)
    test = arguments.test_split_name or (entry.test_split if entry else None)
    for argument, split in (("train", train), ("validation", validation), ("test", test)):
        if split is not None and split not in available:
            raise InputError(
                f"{argument}_split_name {split!r} is no split of {arguments.dataset_name!r}; it has: "
                f"{', '.join(available)}. {nearest_names(split, available)}".rstrip()
            )
    published = next((name for name in VALIDATION_NAMES if name in available and name not in (train, test)), None)
    if test is None:
        test = "test" if "test" in available and "test" not in (train, validation) else None
    if test is None and validation is None:
        return train, None, published
    return train, validation or (published if published != test else None), test


def _on_disk(dataset: Dataset, name: str, columns: tuple[str, str], encoding: LabelEncoding) -> ImageSplit:
    if len(dataset) == 0:
        raise InputError(f"split {name!r} is empty; every split needs at least one image")
    image_column, label_column = columns
    labels = encoding.encode(dataset[label_column][:], name)
    images = dataset.select_columns([image_column])
    if image_column != "image":
        images = images.rename_column(image_column, "image")
    return ImageSplit(name, images.cast_column("image", Image(decode=False)), np.arange(len(labels)), labels)


def _check_sizes(entry: DomainEntry, splits: DatasetDict | IterableDatasetDict) -> None:
    for split, expected in entry.expected_sizes.items():
        dataset = splits.get(split)
        if isinstance(dataset, Dataset) and len(dataset) != expected:
            raise InputError(
                f"split {split!r} of {entry.name} has {len(dataset)} images instead of {expected}: the data set "
                "changed since the registry was written; pin --dataset_revision, or load a copy with --registered_as"
            )


def _filtered(splits: DatasetDict | IterableDatasetDict, entry: DomainEntry) -> DatasetDict | IterableDatasetDict:
    """Only the rows that belong to the domain, where a data set holds several."""
    for column, wanted in entry.row_filter.items():
        feature = next(iter(splits.values())).features[column]
        value = feature.str2int(wanted) if isinstance(feature, ClassLabel) else wanted
        splits = splits.filter(lambda found, value=value: found == value, input_columns=column)
    return splits


def _subset(split: ImageSplit, size: int | None, seed: int) -> ImageSplit:
    return split if size is None else split.select(stratified_subset(split.labels, size, seed))


def _held_out_split(stream: ImageStream) -> ImageSplit:
    """The stream's validation images, brought to memory undecoded."""
    rows = list(stream.rows(held_out=True))
    if not rows:
        raise InputError(
            f"no image of the streamed split {stream.name!r} fell into validation; raise --train_val_split or name a "
            "--validation_split_name"
        )
    dataset = Dataset.from_dict(
        {"image": [value for _, value, _ in rows]}, features=datasets.Features({"image": Image(decode=False)})
    )
    labels = np.array([label for _, _, label in rows], dtype=np.int64)
    return ImageSplit(stream.name, dataset, np.arange(len(labels)), labels)


def _stream(
    dataset: IterableDataset,
    name: str,
    columns: tuple[str, str],
    encoding: LabelEncoding,
    arguments: DomainArguments,
    held_out_fraction: float,
) -> ImageStream:
    raw = dataset.select_columns(list(columns))
    renamed = {column: role for column, role in zip(columns, ("image", "label"), strict=True) if column != role}
    if renamed:
        raw = raw.rename_columns(renamed)
    return ImageStream(
        name,
        raw.cast_column("image", Image(decode=False)),
        encoding,
        held_out_fraction,
        arguments.split_seed,
        arguments.shuffle_buffer_size,
        arguments.skip_corrupt,
    )


def _training_labels(dataset: Dataset | IterableDataset, label_column: str) -> list[Any]:
    """Raw labels of the training split, where the column's type does not tell the classes."""
    if isinstance(dataset.features[label_column], ClassLabel):
        return []
    if isinstance(dataset, Dataset):
        return list(dataset[label_column][:])
    return [row[label_column] for row in dataset.select_columns([label_column])]


def _few(train: ImageSplit, arguments: DomainArguments, notes: list[str], encoding: LabelEncoding) -> ImageSplit:
    """The training images that are asked for; at least two classes must remain."""
    if arguments.samples_per_class is not None:
        train = train.select(few_per_class(train.labels, arguments.samples_per_class, arguments.split_seed))
        notes.append(f"trained on {arguments.samples_per_class} images a class; validation was not reduced with them")
    train = _subset(train, arguments.max_train_samples, arguments.split_seed)
    if len(np.unique(train.labels)) < 2:
        raise InputError(
            f"the training split {train.name!r} of {arguments.dataset_name!r} holds a single class "
            f"({encoding.class_names[train.labels[0]]!r}); at least two are needed"
        )
    return train


def _carve(
    train: ImageSplit, role: str, arguments: DomainArguments, notes: list[str]
) -> tuple[ImageSplit, ImageSplit]:
    """Cut a stratified part off the training split and say so."""
    kept, held_out = stratified_split(train.labels, arguments.train_val_split, arguments.split_seed)
    notes.append(
        f"{role}: a stratified {arguments.train_val_split:.0%} of '{train.name}' (seed {arguments.split_seed})"
    )
    return train.select(kept), train.select(held_out)


def load_domain(arguments: DomainArguments) -> Domain:
    """Load a domain's training, validation and test images.

    A missing validation split is carved from the training split (stratified; of a stream: by content). Where neither
    test nor validation is published, the test split is carved first.

    Raises:
        InputError: the data set, a column or a split can't be found, a label is no class, there is only one class, a
            split is empty, or its size is not what the registry expects.
    """
    entry = _registered(arguments)
    splits = _load(arguments, arguments.streaming)
    published = entry if arguments.registered_as is None else None  # a copy may name its columns and splits otherwise
    if published is not None:
        if published.train_split is None and arguments.train_split_name is None:
            raise InputError(f"{published.name} has no training split: it is for evaluation only; name another domain")
        _check_sizes(published, splits)
        splits = _filtered(splits, published)
    train_name, validation_name, test_name = _split_names(arguments, published, list(splits))
    raw_train = splits[train_name]
    columns = find_columns(
        raw_train.features,
        arguments.image_column_name or (published.image_column if published else None),
        arguments.label_column_name or (published.label_column if published else None),
    )
    encoding = label_encoding(raw_train.features, columns[1], _training_labels(raw_train, columns[1]))
    notes: list[str] = []
    prepared = _load(arguments, streaming=False) if arguments.streaming else splits

    def on_disk(name: str) -> ImageSplit:
        split = _on_disk(prepared[name], name, columns, encoding)
        if arguments.skip_corrupt:
            split, skipped = split.without_corrupt()
            if skipped:
                notes.append(f"{skipped} images of split '{name}' could not be decoded and were left out")
        return split

    validation = on_disk(validation_name) if validation_name is not None else None
    test = on_disk(test_name) if test_name is not None else None
    train: ImageSplit | ImageStream
    if isinstance(raw_train, IterableDataset):
        if test is None:
            raise InputError(
                "a stream has no test split to carve; name one with --test_split_name or drop --streaming"
            )
        held_out = 0.0 if validation is not None else arguments.train_val_split
        train = _stream(raw_train, train_name, columns, encoding, arguments, held_out)
        if validation is None:
            validation = _held_out_split(train)
            notes.append(f"validation: {held_out:.0%} of the streamed '{train_name}', chosen by content")
    else:
        train = on_disk(train_name)
        if test is None:
            train, test = _carve(train, "test", arguments, notes)
        if validation is None:
            train, validation = _carve(train, "validation", arguments, notes)
        train = _few(train, arguments, notes, encoding)
    for split in (validation, test):
        if len(split) == 0:
            raise InputError(f"split {split.name!r} is empty; every split needs at least one image")
    path = Path(arguments.dataset_name)
    return Domain(
        name=path.resolve().name if path.exists() else arguments.dataset_name,
        group=arguments.group or (entry.group if entry else "unstated"),
        metric=entry.metric if entry else "accuracy",
        class_names=encoding.class_names,
        train=train,
        validation=_subset(validation, arguments.max_eval_samples, arguments.split_seed),
        test=_subset(test, arguments.max_test_samples, arguments.split_seed),
        not_label_preserving=entry.not_label_preserving if entry else DEFAULT_NOT_LABEL_PRESERVING,
        notes=tuple(notes),
    )
