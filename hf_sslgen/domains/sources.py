"""Finding a data set: the registry's row for it, its splits as they are published, and which split has which role."""

import logging
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import datasets
from datasets import ClassLabel, Dataset, DatasetDict, Features, Image, IterableDatasetDict
from datasets.exceptions import DatasetGenerationError, DatasetNotFoundError

from hf_sslgen.domains.arguments import DomainArguments
from hf_sslgen.domains.hub_datasets import HubDataset, load_from_hub, resolve_dataset, stream_column
from hf_sslgen.domains.own_classes import load_with_own_classes
from hf_sslgen.domains.picture_files import BYTES_ONLY, PictureFiles, listed_in_folder, listed_on_hub
from hf_sslgen.domains.registry import DomainEntry, domain_entries, embedded_files, find_domain, known_bad_domains
from hf_sslgen.domains.shards import stored_order
from hf_sslgen.domains.sizes import ExpectedSize
from hf_sslgen.errors import InputError, nearest_names

logger = logging.getLogger(__name__)

VALIDATION_NAMES = ("validation", "valid", "val", "dev")
KINDS_OF_NAMES = "It may be a name from `hf-sslgen domains`, an id on the Hub, a local folder or a parquet file"


def registered_entry(arguments: DomainArguments) -> DomainEntry | None:
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


@dataclass(frozen=True, eq=False)
class Published:
    """A data set's splits as they are published, undecoded.

    Attributes:
        found: the commit on the Hub that all of them are from; None for local files.
        is_whole: whether rows and columns are those of the files, with nothing left out or taken apart.
        expected_sizes: of splits whose rows can be counted only by reading them.
        files: which files the rows may name.
    """

    splits: DatasetDict | IterableDatasetDict
    found: HubDataset | None
    is_whole: bool = True
    expected_sizes: dict[str, ExpectedSize] = field(default_factory=dict)
    files: PictureFiles = BYTES_ONLY

    def column(self, split: str, column: str) -> Iterator[Any]:
        """The values of one column, in order; of a stream of parquet files it alone is read."""
        rows = self.splits[split]
        if isinstance(rows, Dataset):
            return iter(rows[column])
        narrow = rows.select_columns([column])
        if self.found is not None and rows.info.builder_name == "parquet" and self.is_whole:
            narrow = stream_column(self.found, split, column)
        return (row[column] for row in stored_order(narrow, None, self.found))


def load_splits(arguments: DomainArguments, published: DomainEntry | None) -> Published:
    """All splits of a data set, undecoded, with only those rows that belong to the domain.

    Pictures are left undecoded from the start: a stream that filters or renames decoded ones encodes them anew.

    Args:
        published: the registry's row, where its sizes and its row filter hold for what is loaded.

    Raises:
        InputError: the data set can't be had, or its size is not what the registry expects.
    """
    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
    splits, found = _load(arguments)
    files = _files(arguments.dataset_name, splits, found)
    label = arguments.label_column_name or (published.label_column if published is not None else None)
    if isinstance(splits, DatasetDict):
        whole = splits
        splits = _undecoded(_with_field(whole, label))  # `flatten` would take undecoded pictures apart
    else:
        whole = _undecoded(splits)
        splits = _with_field(whole, label)
    if published is None:
        return Published(splits, found, splits is whole, files=files)
    uncounted = _check_sizes(published, splits)
    if published.row_filter:  # which leaves fewer rows than the registry counts
        return Published(_filtered(splits, published), found, is_whole=False, files=files)
    return Published(splits, found, splits is whole, uncounted, files)


def _files(name: str, splits: Any, found: HubDataset | None) -> PictureFiles:
    """Which files rows may name: those of a folder of pictures were listed, others have to lie in the data set."""
    are_listed = all(rows.info.builder_name == "imagefolder" for rows in splits.values())
    if found is not None:
        return listed_on_hub(found.id) if are_listed else BYTES_ONLY
    path = Path(name)
    if are_listed:
        return listed_in_folder(path)
    return PictureFiles(path if path.is_dir() else path.parent) if path.exists() else BYTES_ONLY


def _load(arguments: DomainArguments) -> tuple[Any, HubDataset | None]:
    name = arguments.dataset_name
    entry = find_domain(name)
    config = arguments.dataset_config_name or (entry.config if entry else None)
    if entry is not None and entry.format == "embedded":
        return _load_files(name, {split: str(path) for split, path in embedded_files(entry).items()}, arguments), None
    if entry is None and name.endswith(".parquet") and Path(name).is_file():
        return _load_files(name, {"train": name}, arguments), None
    location = entry.id if entry is not None and entry.id is not None else name
    if Path(location).is_dir():
        return _load_folder(location, config, arguments), None
    if location in known_bad_domains():
        logger.warning("%s is known to be flawed: %s", location, known_bad_domains()[location])
    revision = arguments.dataset_revision or (entry.revision if entry else None)
    try:
        found = resolve_dataset(location, config, revision, arguments.streaming)
        return load_from_hub(found, arguments.streaming), found
    except InputError as error:
        found_on_hub = entry is not None or (name.count("/") == 1 and name[0] not in "./~")
        raise _load_error(name, str(error), "" if found_on_hub else KINDS_OF_NAMES) from error


def _load_files(name: str, files: dict[str, str], arguments: DomainArguments) -> Any:
    return _local(name, "parquet", streaming=arguments.streaming, data_files=files)


def _load_folder(name: str, config: str | None, arguments: DomainArguments) -> Any:
    return _local(name, name, name=config, streaming=arguments.streaming)


def _local(shown: str, path: str, **options: Any) -> Any:
    try:
        return load_with_own_classes(path, **options)
    except InputError:
        raise
    except (DatasetNotFoundError, DatasetGenerationError, OSError, RuntimeError, ValueError) as error:
        reason = str(error.__cause__ or error).strip().split("\n")[0].rstrip(".")
        raise _load_error(shown, reason, KINDS_OF_NAMES) from error


def _load_error(name: str, reason: str, advice: str) -> InputError:
    hint = "" if find_domain(name) is not None else nearest_names(name, domain_entries())
    words = (f"dataset_name {name!r} could not be loaded: {reason}", advice, hint)
    return InputError(". ".join(each for each in words if each))


def split_names(
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
    if test is None and "test" in available and "test" not in (train, validation):
        test = "test"
    if validation is None:
        validation = next((name for name in VALIDATION_NAMES if name in available and name not in (train, test)), None)
        if test is None:  # what is measured on must not have been selected on
            validation, test = None, validation
    named = [split for split in (train, validation, test) if split is not None]
    if len(set(named)) < len(named):
        raise InputError(
            f"training, validation and test need a split each; train_split_name is {train!r}, validation_split_name "
            f"{validation!r} and test_split_name {test!r}"
        )
    return train, validation, test


def _undecoded(splits: Any) -> Any:
    for name, feature in (next(iter(splits.values())).features or {}).items():
        if isinstance(feature, Image):
            splits = splits.cast_column(name, Image(decode=False))
    return splits


def _with_field(splits: Any, column: str | None) -> Any:
    """With a column `json.label` where that is the field `label` of the column `json`, as webdatasets have them."""
    features = next(iter(splits.values())).features or {}
    parent, _, name = (column or "").partition(".")
    if column is None or column in features or not isinstance(features.get(parent), dict):
        return splits
    if name not in features[parent]:
        return splits
    if isinstance(splits, DatasetDict):
        return splits.flatten()
    kept = {other: feature for other, feature in features.items() if other != parent}
    flat = Features({**kept, column: features[parent][name]})

    def field_of(row: dict[str, Any]) -> dict[str, Any]:
        return {column: row[parent][name]}

    mapped = {split: rows.map(field_of, remove_columns=[parent], features=flat) for split, rows in splits.items()}
    return IterableDatasetDict(mapped)


def _check_sizes(entry: DomainEntry, splits: DatasetDict | IterableDatasetDict) -> dict[str, ExpectedSize]:
    """Check the splits whose sizes are known before they are read; returns what is expected of the others."""
    uncounted = {}
    for split, rows in entry.expected_sizes.items():
        dataset, expected = splits.get(split), ExpectedSize(entry.name, split, rows)
        if isinstance(dataset, Dataset):
            expected.check(len(dataset))
        elif dataset is not None:
            stated = (dataset.info.splits or {}).get(split)
            if stated is not None:
                expected.check(stated.num_examples)
            uncounted[split] = expected
    return uncounted


def _filtered(splits: DatasetDict | IterableDatasetDict, entry: DomainEntry) -> DatasetDict | IterableDatasetDict:
    """Only the rows that belong to the domain, where a data set holds several."""
    for column, wanted in entry.row_filter.items():
        for split, rows in list(splits.items()):
            feature = rows.features[column]
            value = feature.str2int(wanted) if isinstance(feature, ClassLabel) else wanted
            splits[split] = rows.filter(lambda found, value=value: found == value, input_columns=column)
    return splits
