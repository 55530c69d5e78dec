"""Splits of a local folder that are given by a column `split` in its metadata tables instead of by folders."""

from collections.abc import Collection
from dataclasses import replace

from hf_sslgen.domains.local.folder_layout import FolderLayout, PlacedPicture
from hf_sslgen.domains.local.folder_metadata import Metadata
from hf_sslgen.domains.split_roles import SPLIT_COLUMN, role_of


def split_by_column(
    layout: FolderLayout, metadata: Metadata, stated: Collection[str]
) -> tuple[FolderLayout, Metadata]:
    """Group the pictures by the split that their rows name, and drop that column from the metadata.

    Both are returned unchanged if the splits are folders, if there is no such column, or if the column names no
    training split and therefore means something else.

    Args:
        stated: split names given by the user.
    """
    column = next((name for name in metadata.columns if name.casefold() == SPLIT_COLUMN), None)
    if layout.has_split_folders or column is None:
        return layout, metadata
    splits: dict[str, list[PlacedPicture]] = {}
    unnamed = 0
    for picture in (each for pictures in layout.splits.values() for each in pictures):
        name = metadata.rows.get(picture.file.path, {}).get(column)
        if name is None:
            unnamed += 1
        else:
            splits.setdefault(str(name), []).append(picture)
    known = {name.casefold() for name in stated}
    if not any(role_of(name) == "train" or name.casefold() in known for name in splits):
        return layout, metadata
    by_name = {name: tuple(pictures) for name, pictures in splits.items()}
    outside = {"": unnamed} if unnamed else {}
    columns = tuple(name for name in metadata.columns if name != column)
    return replace(layout, splits=by_name, outside=outside), replace(metadata, columns=columns)
