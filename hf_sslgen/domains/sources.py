"""Locate a dataset: its registry row, its published splits, and the role of each split."""

import logging
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import datasets
from datasets import ClassLabel, Dataset, DatasetDict, Features, Image, IterableDatasetDict

from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.domains.domain_registry import (
    EMBEDDED_FOLDER,
    REGISTERED,
    DomainEntry,
    domain_entries,
    embedded_files,
    find_domain,
    known_bad_domains,
)
from hf_sslgen.domains.hub_datasets import HubDataset, load_from_hub, resolve_dataset, stream_column
from hf_sslgen.domains.loaded_splits import LoadedSplits
from hf_sslgen.domains.local.local_data import load_files, load_local
from hf_sslgen.domains.picture_files import BYTES_ONLY, PictureFiles, listed_on_hub
from hf_sslgen.domains.sizes import ExpectedSize
from hf_sslgen.domains.streaming.stream_shards import stored_order
from hf_sslgen.domains.taken import LeftOut
from hf_sslgen.errors import HubError, InputError, hinted, reworded

logger = logging.getLogger(__name__)

KINDS_OF_NAMES = "Give a name from `hf-sslgen domains`, an id on the Hub, a local folder or a file such as .parquet"


def registered_entry(arguments: DomainArguments) -> DomainEntry | None:
    """Return the registry row that describes the domain, if any."""
    if arguments.registered_as is None:
        return find_domain(arguments.dataset_name)
    entry = find_domain(arguments.registered_as)
    if entry is None:
        raise InputError(
            hinted(
                f"registered_as {arguments.registered_as!r} is not a registered domain",
                arguments.registered_as,
                domain_entries(),
            )
        )
    return entry


@dataclass(frozen=True, eq=False)
class Published:
    """A dataset's splits as published, undecoded.

    Attributes:
        found: the Hub commit that all of them come from; None for local files.
        is_whole: whether rows and columns are exactly those of the files.
        expected_sizes: for splits whose rows can be counted only by reading them.
        files, left_out, labels_from, remarks: as in `LoadedSplits`.
    """

    splits: DatasetDict | IterableDatasetDict
    found: HubDataset | None
    is_whole: bool = True
    expected_sizes: dict[str, ExpectedSize] = field(default_factory=dict)
    files: PictureFiles = BYTES_ONLY
    left_out: tuple[LeftOut, ...] = ()
    labels_from: str | None = None
    remarks: tuple[str, ...] = ()

    def column(self, split: str, column: str) -> Iterator[Any]:
        """Return one column's values, in order; from streamed parquet files only that column is read."""
        rows = self.splits[split]
        if isinstance(rows, Dataset):
            return iter(rows[column])
        narrow = rows.select_columns([column])
        if self.found is not None and rows.info.builder_name == "parquet" and self.is_whole:
            narrow = stream_column(self.found, split, column)
        return (row[column] for row in stored_order(narrow, None, self.found))


def load_splits(arguments: DomainArguments, entry: DomainEntry | None) -> Published:
    """Load all splits of a dataset, undecoded, keeping only the rows that belong to the domain.

    Pictures stay undecoded from the start, because a stream that filters or renames decoded pictures re-encodes them.

    Args:
        entry: the registry row, if its sizes and row filter apply to the loaded dataset.

    Raises:
        InputError: the dataset can't be loaded, or its size differs from the registry's.
        HubError: the Hub does not provide the dataset.
    """
    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
    data, found = _load(arguments, entry)
    splits = data.splits
    label = arguments.label_column_name or (entry.label_column if entry is not None else None)
    if isinstance(splits, DatasetDict):
        whole = splits
        splits = _undecoded(_with_field(whole, label))  # `flatten` would split undecoded pictures into columns
    else:
        whole = _undecoded(splits)
        splits = _with_field(whole, label)
    told = (data.files, data.left_out, data.labels_from, data.remarks)
    loaded = Published(splits, found, splits is whole, {}, *told)
    if entry is None:
        return loaded
    uncounted = _check_sizes(entry, splits)
    if entry.row_filter:  # leaves fewer rows than the registry states
        return replace(loaded, splits=_filtered(splits, entry), is_whole=False)
    return replace(loaded, expected_sizes=uncounted)


def find_source(arguments: DomainArguments) -> Path | HubDataset:
    """Return the folder or file that a dataset is read from, or its commit on the Hub; nothing is read.

    Raises:
        InputError: no dataset can have that name, or it has two meanings.
        HubError: the Hub does not tell the commit.
    """
    name = arguments.dataset_name
    named = find_domain(name)
    if named is not None:
        _refuse_two_meanings(name, named)
    if named is not None and named.format == "embedded":
        return EMBEDDED_FOLDER / named.name
    location = named.id if named is not None and named.id is not None else name
    if Path(location).exists():
        return Path(location)
    revision = arguments.dataset_revision or (named.revision if named else None)
    try:
        return resolve_dataset(location, _configuration(arguments, named), revision, arguments.streaming)
    except (InputError, HubError) as error:
        raise _hub_load_error(name, error) from error


def _configuration(arguments: DomainArguments, named: DomainEntry | None) -> str | None:
    return arguments.dataset_config_name or (named.config if named else None)


def _load(arguments: DomainArguments, entry: DomainEntry | None) -> tuple[LoadedSplits, HubDataset | None]:
    name, source = arguments.dataset_name, find_source(arguments)
    named = find_domain(name)
    if isinstance(source, HubDataset):
        if source.id in known_bad_domains():
            logger.warning("%s is known to be flawed: %s", source.id, known_bad_domains()[source.id])
        try:
            splits = load_from_hub(source, arguments.streaming)
            are_files = all(rows.info.builder_name == "imagefolder" for rows in splits.values())
            return LoadedSplits(splits, listed_on_hub(source.id) if are_files else BYTES_ONLY), source
        except (InputError, HubError) as error:
            raise _hub_load_error(name, error) from error
    try:
        if named is not None and named.format == "embedded":
            files = {split: [str(path)] for split, path in embedded_files(named).items()}
            return LoadedSplits(load_files("parquet", files, arguments.streaming)), None
        return load_local(source, _configuration(arguments, named), arguments, entry), None
    except InputError as error:
        raise _load_error(name, error, "") from error


def _hub_load_error(name: str, error: InputError | HubError) -> InputError | HubError:
    found_on_hub = find_domain(name) is not None or (name.count("/") == 1 and name[0] not in "./~")
    return _load_error(name, error, "" if found_on_hub else KINDS_OF_NAMES)


def _refuse_two_meanings(name: str, entry: DomainEntry) -> None:
    """Raise InputError if a registered name or id is also the name of a local folder or file."""
    if name.startswith(REGISTERED) or Path(name).is_absolute() or not Path(name).exists():
        return
    raise InputError(
        f"dataset_name {name!r} is a registered domain and also a {'folder' if Path(name).is_dir() else 'file'} here; "
        f"write ./{name} for the local one, or {REGISTERED}{entry.name} for the domain"
    )


def _load_error(name: str, reason: InputError | HubError, advice: str) -> InputError | HubError:
    """Return an error of the same kind that names the dataset."""
    failed = f"dataset_name {name!r} could not be loaded: {reason}"
    if find_domain(name) is None:
        failed = hinted(failed, name, domain_entries())
    if advice:
        failed += f"{' ' if failed.endswith('?') else '. '}{advice}"
    return reworded(reason, failed)


def _undecoded(splits: Any) -> Any:
    for name, feature in (next(iter(splits.values())).features or {}).items():
        if isinstance(feature, Image):
            splits = splits.cast_column(name, Image(decode=False))
    return splits


def _with_field(splits: Any, column: str | None) -> Any:
    """Add a column such as `json.label` for the field `label` of the column `json`, as in WebDataset files."""
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
    """Check the splits whose sizes are known without reading; returns the expected sizes of the others."""
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
    """Keep only the rows that belong to the domain, for a dataset that holds several domains."""
    for column, wanted in entry.row_filter.items():
        for split, rows in list(splits.items()):
            feature = rows.features[column]
            value = feature.str2int(wanted) if isinstance(feature, ClassLabel) else wanted
            splits[split] = rows.filter(lambda found, value=value: found == value, input_columns=column)
    return splits
