"""Find the image column and the label column of a dataset."""

from collections.abc import Collection
from typing import Any

from datasets import ClassLabel, Features, Image, LargeList, List, Value

from hf_sslgen.domains.picture_arrays import array_objection, array_of
from hf_sslgen.errors import InputError, hinted

PICTURE_TYPES = ("string", "large_string", "binary", "large_binary")
"""Types of plain columns that can hold pictures: paths, or the bytes of files."""

WEBDATASET_KEY, WEBDATASET_LABEL = "__key__", "cls"
"""Conventional WebDataset columns: the sample's name and its class."""


def listed(features: Features) -> str:
    """List the columns with their types, for errors."""
    kinds = {name: type(feature).__name__ for name, feature in features.items()}
    return ", ".join(f"{name} ({features[name].dtype if kind == 'Value' else kind})" for name, kind in kinds.items())


def require_column(features: Features, column: str, argument: str) -> str:
    """Return the column a user named; raises InputError, listing the columns, if it does not exist."""
    if column not in features:
        raise InputError(
            hinted(
                f"{argument} {column!r} is not a column of the dataset; its columns: {listed(features)}",
                column,
                features,
            )
        )
    return column


def _no_pictures(feature: Any) -> str | None:
    """Describe what a column holds instead of pictures; None if it may hold pictures."""
    if isinstance(feature, Image) or (isinstance(feature, Value) and feature.dtype in PICTURE_TYPES):
        return None
    if isinstance(feature, dict):
        return None if {"bytes", "path"} & set(feature) else "no pictures: a struct needs a field bytes or path"
    if array_of(feature) is not None:
        return array_objection(feature)
    if isinstance(feature, (List, LargeList)):
        return "lists; it needs one image per row"
    return "no pictures"


def find_columns(
    features: Features, image_column: str | None, label_column: str | None, annotations: Collection[str] = ()
) -> tuple[str, str]:
    """Return the image and label columns: those named, or else the only candidates.

    Args:
        annotations: columns already named for another purpose.

    Raises:
        InputError: a named column does not exist, or there are no or several candidates; lists the columns.
    """
    free = {name: feature for name, feature in features.items() if name not in annotations}
    if image_column is None:
        candidates = [name for name, feature in free.items() if isinstance(feature, Image)]
        if len(candidates) != 1:
            raise InputError(
                f"the image column is ambiguous; name it with --image_column_name. Columns: {listed(features)}"
            )
        image_column = candidates[0]
    feature = features[require_column(features, image_column, "image_column_name")]
    if (reason := _no_pictures(feature)) is not None:
        raise InputError(f"image_column_name {image_column!r} holds {reason}. Columns: {listed(features)}")
    if label_column is None:
        candidates = [name for name, feature in free.items() if isinstance(feature, ClassLabel)]
        others = [name for name in free if name != image_column and not name.startswith("__")]
        if not others:
            raise InputError(
                f"there is no label column besides the images (columns: {listed(features)}); a folder of images needs "
                "one folder per class, and at least two classes"
            )
        if len(candidates) != 1 and len(others) == 1:
            candidates = others
        if len(candidates) != 1 and WEBDATASET_KEY in features and WEBDATASET_LABEL in others:
            candidates = [WEBDATASET_LABEL]
        if len(candidates) != 1:
            raise InputError(
                f"the label column is ambiguous; name it with --label_column_name. Columns: {listed(features)}"
            )
        label_column = candidates[0]
    return image_column, require_column(features, label_column, "label_column_name")
