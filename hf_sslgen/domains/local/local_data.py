"""Load a local dataset: a folder of pictures, table files, or the output of `save_to_disk`."""

import glob
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import datasets
import yaml
from datasets import Dataset, DatasetDict, IterableDataset, IterableDatasetDict
from datasets.exceptions import DatasetGenerationError

from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.domains.domain_registry import DomainEntry
from hf_sslgen.domains.loaded_splits import LoadedSplits
from hf_sslgen.domains.local.file_survey import ARCHIVE_SUFFIXES, FoundFile, Survey, picture_suffixes, survey_folder
from hf_sslgen.domains.local.found_layout import find_layout
from hf_sslgen.domains.local.picture_folder import STREAM_SHARDS, load_picture_folder, unread_files
from hf_sslgen.domains.local.table_files import BUILDERS, split_files, table_files
from hf_sslgen.domains.local.webdataset_names import check_webdataset_names
from hf_sslgen.domains.own_classes import load_with_own_classes
from hf_sslgen.domains.picture_files import PictureFiles, listed_in_folder
from hf_sslgen.domains.taken import LeftOut
from hf_sslgen.errors import InputError
from hf_sslgen.shortages import raise_shortage

SAVED_DATASET, SAVED_DATASETS = "state.json", "dataset_dict.json"
"""Files that `save_to_disk` writes for a single dataset and for a dataset with splits."""


def load_local(path: Path, config: str | None, arguments: DomainArguments, entry: DomainEntry | None) -> LoadedSplits:
    """Load all splits of a local dataset that may have a role.

    Raises:
        InputError: the dataset can't be read, or its layout is ambiguous.
    """
    if not path.is_dir():
        return LoadedSplits(_load_file(path, arguments.streaming), PictureFiles(path.parent))
    within = PictureFiles(path)
    if (path / SAVED_DATASETS).is_file() or (path / SAVED_DATASET).is_file():
        return LoadedSplits(_load_saved(path, arguments.streaming), within)
    if _states_configurations(path):
        splits = _read(str(path), name=config, streaming=arguments.streaming)
        are_files = all(rows.info.builder_name == "imagefolder" for rows in splits.values())
        return LoadedSplits(splits, listed_in_folder(path) if are_files else within)
    if config not in (None, "default"):
        raise InputError(f"a local dataset has no configurations such as {config!r}; drop --dataset_config_name")
    survey = survey_folder(path)
    tables = table_files(survey)
    if tables is None or _is_picture_folder(survey, tables[0], arguments, entry):
        if not survey.pictures:
            raise InputError(_empty_words(survey))
        return load_picture_folder(survey, arguments, entry)
    suffix, files = tables
    by_split = split_files(files, suffix)
    if suffix == ".tar":
        check_webdataset_names(files)
    paths = {split: [file.path for file in each] for split, each in by_split.items()}
    loaded = load_files(BUILDERS[suffix], paths, arguments.streaming)
    return LoadedSplits(loaded, within, tuple(_beside(survey, {file.path for file in files})))


def load_files(builder: str, files: Mapping[str, Sequence[str]], streaming: bool) -> Any:
    """Read files, grouped by split, with a builder of `datasets`."""
    escaped = {split: [glob.escape(path) for path in paths] for split, paths in files.items()}
    return _read(builder, data_files=escaped, streaming=streaming)


def _read(path: str, **options: Any) -> Any:
    try:
        return load_with_own_classes(path, **options)
    except InputError:
        raise
    except (DatasetGenerationError, OSError, RuntimeError, ValueError) as error:
        raise_shortage(error)
        raise InputError(str(error.__cause__ or error).strip().split("\n")[0].rstrip(".")) from error


def _load_file(path: Path, streaming: bool) -> Any:
    suffix = path.suffix.lower()
    if suffix in (".parquet", ".arrow", ".tar"):
        if suffix == ".tar":
            check_webdataset_names([FoundFile((path.name,), str(path), str(path))])
        return load_files(BUILDERS[suffix], {"train": [str(path)]}, streaming)
    if suffix in ARCHIVE_SUFFIXES:
        raise InputError("it is an archive; unpack it and give the folder")
    if suffix in (".csv", ".tsv", ".json", ".jsonl", ".xlsx", ".txt"):
        raise InputError(
            "it is a table; put it next to the pictures as metadata.csv or metadata.jsonl, with columns file_name and "
            "label, and give their folder"
        )
    if suffix in picture_suffixes():
        raise InputError("it is a single picture; give the folder that holds one folder of pictures per class")
    raise InputError("it is not a dataset file; give a folder, or a .parquet, .arrow or WebDataset .tar file")


def _load_saved(path: Path, streaming: bool) -> Any:
    """Load the output of `save_to_disk`; a single dataset becomes the training split."""
    try:
        saved = datasets.load_from_disk(str(path))
    except (OSError, RuntimeError, ValueError, KeyError) as error:
        raise InputError(f"it was saved by `save_to_disk` but can't be read: {str(error).splitlines()[0]}") from error
    splits = DatasetDict({"train": saved}) if isinstance(saved, Dataset) else saved
    return IterableDatasetDict({name: _streamed(rows) for name, rows in splits.items()}) if streaming else splits


def _streamed(rows: Dataset) -> IterableDataset:
    return rows.to_iterable_dataset(min(STREAM_SHARDS, max(1, len(rows))))


def _states_configurations(path: Path) -> bool:
    """Whether a folder's README.md lists the files of each configuration, as repositories on the Hub do."""
    readme = path / "README.md"
    if not readme.is_file():
        return False
    match = re.match(r"\ufeff?---\n(.*?)\n---", readme.read_text(encoding="utf-8", errors="replace"), re.DOTALL)
    try:
        header = yaml.safe_load(match[1]) if match is not None else None
    except yaml.YAMLError:
        return False
    return isinstance(header, dict) and bool(header.get("configs"))


def _is_picture_folder(survey: Survey, suffix: str, arguments: DomainArguments, entry: DomainEntry | None) -> bool:
    """Whether to use the pictures of a folder with both: they have classes, or the tables hold no pictures."""
    if not survey.pictures:
        return False
    if suffix in (".csv", ".json", ".jsonl"):
        return True
    try:
        layout, metadata = find_layout(survey, arguments, entry)
    except InputError:
        return False
    return len(layout.class_names(layout.splits)) > 1 or bool(metadata.rows)


def _empty_words(survey: Survey) -> str:
    found = [str(each) for each in unread_files(survey)]
    holds = f"it holds {', '.join(found[:5])}" if found else "it is empty"
    unpack = "; unpack the archives first" if any(file.suffix in ARCHIVE_SUFFIXES for file in survey.others) else ""
    return f"it contains no pictures, parquet, Arrow or WebDataset files: {holds}{unpack}"


def _beside(survey: Survey, read: set[str]) -> Iterator[LeftOut]:
    """List the files that are not part of the data."""
    if survey.pictures:
        yield LeftOut("pictures beside the tables", len(survey.pictures))
    yield from unread_files(survey, read)
