"""Finding a data set: the registry's row for it, its splits as they are published, and which split has which role."""

import logging
import sys
from pathlib import Path

import datasets
from datasets import ClassLabel, Dataset, DatasetDict, Image, IterableDatasetDict
from datasets.exceptions import DatasetGenerationError, DatasetNotFoundError
from huggingface_hub.errors import HfHubHTTPError

from hf_sslgen.domains.arguments import DomainArguments
from hf_sslgen.domains.registry import DomainEntry, domain_entries, embedded_files, find_domain, known_bad_domains
from hf_sslgen.errors import InputError, nearest_names

logger = logging.getLogger(__name__)

VALIDATION_NAMES = ("validation", "valid", "val", "dev")


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


def load_splits(arguments: DomainArguments, published: DomainEntry | None) -> DatasetDict | IterableDatasetDict:
    """All splits of a data set, undecoded, with only those rows that belong to the domain.

    Pictures are left undecoded from the start: a stream that filters or renames decoded ones encodes them anew.

    Args:
        published: the registry's row, where its sizes and its row filter hold for what is loaded.

    Raises:
        InputError: the data set can't be had, or its size is not what the registry expects.
    """
    splits = _load(arguments)
    for name, feature in (next(iter(splits.values())).features or {}).items():
        if isinstance(feature, Image):
            splits = splits.cast_column(name, Image(decode=False))
    if published is not None:
        _check_sizes(published, splits)
        splits = _filtered(splits, published)
    return splits


def _load(arguments: DomainArguments) -> DatasetDict | IterableDatasetDict:
    name = arguments.dataset_name
    entry = find_domain(name)
    config = arguments.dataset_config_name or (entry.config if entry else None)
    revision = arguments.dataset_revision or (entry.revision if entry else None)
    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
    try:
        if entry is not None and entry.format == "embedded":
            files = {split: str(path) for split, path in embedded_files(entry).items()}
            return datasets.load_dataset("parquet", data_files=files, streaming=arguments.streaming)
        if entry is None and name.endswith(".parquet") and Path(name).is_file():
            return datasets.load_dataset("parquet", data_files={"train": name}, streaming=arguments.streaming)
        location = entry.id if entry is not None and entry.id is not None else name
        if location in known_bad_domains():
            logger.warning("%s is known to be flawed: %s", location, known_bad_domains()[location])
        return datasets.load_dataset(location, config, revision=revision, streaming=arguments.streaming)
    except (
        DatasetNotFoundError,
        DatasetGenerationError,
        HfHubHTTPError,
        ConnectionError,
        FileNotFoundError,
        RuntimeError,
        ValueError,
    ) as error:
        reason = str(error.__cause__ or error).strip().split("\n")[0].rstrip(".")
        hint = nearest_names(name, domain_entries())
        raise InputError(
            f"dataset_name {name!r} could not be loaded: {reason}. It may be a name from `hf-sslgen domains`, an id "
            f"on the Hub, a local folder or a parquet file. {hint}".rstrip()
        ) from error


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
