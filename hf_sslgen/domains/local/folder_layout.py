"""Derive the split and the class of each picture in a local folder from the folders that contain it.

If first-level folders are named after splits, they are the splits and the next level is the classes; otherwise the
first level is the classes. Only these levels count: a class may have any name, even `train`, and pictures
in deeper folders belong to the class folder above them.
"""

import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from hf_sslgen.domains.local.file_survey import FoundFile
from hf_sslgen.domains.split_roles import role_of
from hf_sslgen.errors import InputError

ONLY_SPLIT = "train"
"""Name of the split for a folder without split folders."""


@dataclass(frozen=True)
class PlacedPicture:
    """A picture of a split.

    Attributes:
        class_name: None if it is not in a class folder.
        is_below: whether it is in a subfolder of its class folder.
    """

    file: FoundFile
    class_name: str | None
    is_below: bool


@dataclass(frozen=True)
class FolderLayout:
    """The pictures of a folder by split, ordered by name.

    Attributes:
        wrapping: the folders that enclose all splits or classes; usually none.
        has_split_folders: whether the splits are folders; otherwise `ONLY_SPLIT` holds everything.
        outside: number of pictures outside the split folders, by first-level folder ("" for none).
    """

    splits: Mapping[str, tuple[PlacedPicture, ...]]
    wrapping: tuple[str, ...]
    has_split_folders: bool
    outside: Mapping[str, int]

    def class_names(self, splits: Iterable[str]) -> tuple[str, ...]:
        """Return the sorted names of the class folders that hold pictures in these splits."""
        names = {each.class_name for split in splits for each in self.splits[split] if each.class_name is not None}
        return tuple(sorted(names))


def class_name(folder: str) -> str:
    """Return a folder's class name in canonical Unicode form, because file systems change the form."""
    return unicodedata.normalize("NFC", folder)


def read_layout(
    pictures: Sequence[FoundFile], stated: Collection[str], described: Collection[str], tables_label: bool
) -> FolderLayout:
    """Assign every picture to a split and a class.

    Args:
        pictures: ordered by name.
        stated: split names given by the user.
        described: paths of pictures with a row in a metadata table, which need no class folder.
        tables_label: whether these tables have a column named as labels.

    Raises:
        InputError: the meaning of a folder is ambiguous.
    """
    stated = {name.casefold() for name in stated}
    wrapping = _wrapping(pictures, stated)
    depth = len(wrapping)
    folders: dict[str, list[FoundFile]] = {}
    for picture in pictures:
        first = picture.parts[depth] if len(picture.parts) > depth + 1 else ""
        folders.setdefault(first, []).append(picture)
    named = [name for name in folders if name and _names_split(name, stated)]
    others = [name for name in folders if name and name not in named]
    needs_no_classes = described if tables_label or not others else ()
    splits = [
        name
        for name in named
        if any(len(picture.parts) > depth + 2 or picture.path in needs_no_classes for picture in folders[name])
    ]
    if splits:
        if len(splits) == 1 and splits[0].casefold() not in stated:
            _refuse_one_split_beside_classes(splits[0], others)
        outside = {name: len(inside) for name, inside in folders.items() if name not in splits}
        placed = {name: tuple(_placed(picture, depth + 1) for picture in folders[name]) for name in splits}
        return FolderLayout(placed, wrapping, True, outside)
    if named:
        _refuse_flat_splits(named, others)
    if not all(picture.path in described for picture in pictures):
        _refuse_splits_further_down(pictures, depth, stated)
    everything = tuple(_placed(picture, depth) for picture in pictures)
    return FolderLayout({ONLY_SPLIT: everything} if everything else {}, wrapping, False, {})


def _names_split(name: str, stated: Collection[str]) -> bool:
    return role_of(name) is not None or name.casefold() in stated


def _placed(picture: FoundFile, depth: int) -> PlacedPicture:
    below = len(picture.parts) - depth - 1
    return PlacedPicture(picture, class_name(picture.parts[depth]) if below else None, below > 1)


def _wrapping(pictures: Sequence[FoundFile], stated: Collection[str]) -> tuple[str, ...]:
    """Find the folders that enclose everything, each alone on its level and not a split, as in unpacked archives."""
    wrapping: tuple[str, ...] = ()
    while True:
        depth = len(wrapping)
        names = {picture.parts[depth] for picture in pictures if len(picture.parts) > depth + 2}
        # A single folder can't be the classes, but the folders in it may be.
        if len(names) != 1 or any(len(picture.parts) <= depth + 2 for picture in pictures):
            return wrapping
        (name,) = names
        if _names_split(name, stated):
            return wrapping
        wrapping = (*wrapping, name)


def _refuse_one_split_beside_classes(split: str, others: Sequence[str]) -> None:
    if len(others) > 1:
        option = f"--{role_of(split)}_split_name {split}"
        raise InputError(
            f"the folder {split!r} could be a split or a class, because other folders next to it hold pictures "
            f"({_few(others)}); pass {option} if it is a split, or move it into a folder named train if it is a class"
        )


def _refuse_flat_splits(named: Sequence[str], others: Sequence[str]) -> None:
    flat = named[0]
    if others:
        raise InputError(
            f"the folder {flat!r} holds pictures but no class folders, and lies next to others ({_few(others)}), so "
            "it could be a class or a split; put the class folders into a folder named train, or move it elsewhere"
        )
    raise InputError(
        f"the folder {flat!r} has pictures but no class folders; put them into one folder per class "
        f"({flat}/CLASS/picture.png), or name their labels in {flat}/metadata.csv, with columns file_name and label"
    )


def _refuse_splits_further_down(pictures: Sequence[FoundFile], depth: int, stated: Collection[str]) -> None:
    for picture in pictures:
        below = picture.parts[depth + 1 : -1]
        if below and _names_split(below[0], stated):
            place = "/".join(picture.parts[depth : depth + 2])
            raise InputError(
                f"the folder {place!r} is named after a split but lies on the second level; splits come first and "
                f"classes below them ({below[0]}/CLASS/picture.png): give the folder that contains the splits, or "
                "move them"
            )


def _few(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:3])
    return f"{shown}, ..." if len(names) > 3 else shown
