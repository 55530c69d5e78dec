"""Splits of a local folder that its tables of metadata tell, by a column `split`, where no folders do."""

from collections.abc import Collection
from dataclasses import replace

from hf_sslgen.domains.local.folder_layout import FolderLayout, PlacedPicture
from hf_sslgen.domains.local.folder_metadata import Metadata
from hf_sslgen.domains.split_roles import SPLIT_COLUMN, role_of


def split_by_column(
    layout: FolderLayout, metadata: Metadata, stated: Collection[str]
) -> tuple[FolderLayout, Metadata]:
    """The pictures by the split that their rows name, and the other columns.

    Both are as given where folders are the splits, where there is no such column, or where it names no training split:
    then it means something else.

    Args:
        stated: names that are splits because the user says so.
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
