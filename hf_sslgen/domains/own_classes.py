"""Load a dataset so that each split keeps the class names stated in its own files.

`datasets` reads the names from one file and applies them to the numbers in all others, whatever those state.
"""

import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any

import datasets
import pyarrow.parquet as pq
from datasets import ClassLabel, Features, Value
from datasets.packaged_modules.folder_based_builder.folder_based_builder import FolderBasedBuilderConfig
from huggingface_hub import HfFileSystem, hf_hub_download

from hf_sslgen.errors import InputError
from hf_sslgen.names import listed_names

logger = logging.getLogger(__name__)

HUB = "hf://"
PINNED_FILE = re.compile(r"hf://datasets/(?P<repo>[^@]+)@(?P<commit>[0-9a-f]{40})/(?P<path>.+)")


def load_with_own_classes(path: str, name: str | None = None, streaming: bool = False, **options: Any) -> Any:
    """Load all splits like `datasets.load_dataset`, but with the class names that each split's files state.

    Raises:
        InputError: the files of one split state different names.
    """
    builder = datasets.load_dataset_builder(path, name, **options)
    if isinstance(builder.config, FolderBasedBuilderConfig):
        builder.config.decode_num_threads = 0  # threads would decode remote pictures even if none are needed
    if streaming:
        splits: Any = builder.as_streaming_dataset()
    else:
        builder.download_and_prepare()
        splits = builder.as_dataset()
    if builder.name != "parquet":
        return splits
    files = {split: list(paths) for split, paths in builder.config.data_files.items() if split in splits}
    stated = {split: _stated_features(str(split), paths, streaming) for split, paths in files.items()}
    for column in sorted({name for features in stated.values() for name in features}):
        if any(features.get(column) != next(iter(stated.values())).get(column) for features in stated.values()):
            for split, features in stated.items():
                splits[split] = _with_own(splits[split], str(split), column, features.get(column))
    return splits


def _stated_features(split: str, files: Sequence[str], streaming: bool) -> Mapping[str, Any]:
    """Return the scalar columns of a split with the features that its files state.

    For a stream from the Hub, where every file costs a request, only the first file is read.
    """
    asked = files[:1] if streaming and files[0].startswith(HUB) else files
    found: dict[str, Any] = {}
    for file in asked:
        for column, feature in _read_features(file, streaming).items():
            known = found.setdefault(column, feature)
            if known != feature and isinstance(known, ClassLabel) and isinstance(feature, ClassLabel):
                raise InputError(
                    f"files of split {split!r} name the classes of column {column!r} differently: "
                    f"{listed_names(known.names)} and {listed_names(feature.names)}; give them the same list of names"
                )
    return {column: each for column, each in found.items() if isinstance(each, (ClassLabel, Value))}


def _read_features(file: str, streaming: bool) -> Features:
    place = PINNED_FILE.fullmatch(file)
    if place is not None and not streaming:  # it is in the cache
        file = hf_hub_download(place["repo"], place["path"], repo_type="dataset", revision=place["commit"])
    if not file.startswith(HUB):
        return Features.from_arrow_schema(pq.read_schema(file))
    with HfFileSystem().open(file) as opened:
        return Features.from_arrow_schema(pq.read_schema(opened))


def _with_own(rows: Any, split: str, column: str, feature: Any) -> Any:
    """Give a column the class names that the split's own files state."""
    loaded = rows.features[column]
    if isinstance(feature, ClassLabel) and feature != loaded:
        if isinstance(loaded, Value) and loaded.dtype != "int64":  # numbers converted to text
            rows = rows.cast_column(column, Value("int64"))
        return rows.cast_column(column, feature)
    if isinstance(loaded, ClassLabel) and isinstance(feature, Value) and "int" in feature.dtype:
        logger.warning(
            "column %r of split %r holds numbers without names; they are read as indices into the classes %s",
            column,
            split,
            listed_names(loaded.names),
        )
    return rows
