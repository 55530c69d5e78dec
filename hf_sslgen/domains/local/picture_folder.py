"""Load a local folder of pictures as a dataset, with a count of what is left out."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import PurePath

import pyarrow as pa
from datasets import ClassLabel, Dataset, DatasetDict, DatasetInfo, Features, Image, IterableDatasetDict

from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.domains.domain_registry import DomainEntry
from hf_sslgen.domains.loaded_splits import LoadedSplits
from hf_sslgen.domains.local.file_survey import ARCHIVE_SUFFIXES, FoundFile, Survey
from hf_sslgen.domains.local.folder_layout import FolderLayout, PlacedPicture, class_name
from hf_sslgen.domains.local.folder_metadata import Metadata
from hf_sslgen.domains.local.found_layout import LABEL, LABEL_WORDS, find_layout
from hf_sslgen.domains.picture_files import listed_in_folder
from hf_sslgen.domains.split_roles import split_names
from hf_sslgen.domains.taken import LeftOut
from hf_sslgen.errors import InputError

IMAGE = "image"

STREAM_SHARDS = 64
"""Shards of a streamed folder; a shuffled pass interleaves several, because files are ordered by class."""

HARMLESS_NAMES = frozenset({"thumbs.db", "desktop.ini"})


def load_picture_folder(survey: Survey, arguments: DomainArguments, entry: DomainEntry | None) -> LoadedSplits:
    """Load the splits with a role from a folder of pictures, with labels from its folders or tables.

    Raises:
        InputError: the meaning of the folders is ambiguous, a picture is in two splits or classes, or there are no
            labels.
    """
    layout, metadata = find_layout(survey, arguments, entry)
    if not layout.splits:
        raise InputError(f"it contains no pictures. {_unread_words(survey)}".rstrip())
    roles = split_names(arguments, entry, list(layout.splits))
    used = [name for name in roles if name is not None]
    from_folders = _labels_are_folders(layout, metadata, used, arguments)
    kept, left_out = {}, list(_not_taken(survey, layout, metadata, used))
    for name in used:
        placed = layout.splits[name]
        if from_folders:
            kept[name], lack = [each for each in placed if each.class_name is not None], "in no class folder"
        else:
            kept[name], lack = [each for each in placed if each.file.path in metadata.rows], "without metadata"
        if not kept[name]:
            raise InputError(f"split {name!r} has no labels: its pictures are all {lack}")
        if len(kept[name]) < len(placed):
            left_out.append(LeftOut(f"pictures of {name!r} {lack}", len(placed) - len(kept[name])))
    kept, twice = _once_each(kept)
    if twice:
        left_out.append(LeftOut("links to pictures that are there already", twice))
    class_names = layout.class_names(used) if from_folders else ()
    remarks: tuple[str, ...] = ()
    if from_folders:
        _require_common_classes(kept, roles)
        remarks = tuple(_below_classes(kept))
    built = {name: _dataset(pictures, metadata, class_names) for name, pictures in kept.items()}
    labels_from, files = "the names of folders" if from_folders else None, listed_in_folder(survey.root)
    if not arguments.streaming:
        return LoadedSplits(DatasetDict(built), files, tuple(left_out), labels_from, remarks)
    streams = {name: rows.to_iterable_dataset(min(STREAM_SHARDS, len(rows))) for name, rows in built.items()}
    return LoadedSplits(IterableDatasetDict(streams), files, tuple(left_out), labels_from, remarks)


def _below_classes(kept: Mapping[str, Sequence[PlacedPicture]]) -> Iterator[str]:
    """Report pictures in subfolders of a class: often unpacked one level too deep, and read differently elsewhere."""
    below = [each.file for pictures in kept.values() for each in pictures if each.is_below]
    if below:
        verb = "pictures lie" if len(below) > 1 else "picture lies"
        place = "/".join(below[0].parts[:-1])
        yield f"{len(below):,} {verb} in folders below their class's, such as {place!r}, and belong to that class"


def _labels_are_folders(
    layout: FolderLayout, metadata: Metadata, used: Sequence[str], arguments: DomainArguments
) -> bool:
    """Whether the folders are the labels: if there are several and metadata has no label column."""
    asked, tables = arguments.label_column_name, ", ".join(metadata.tables)
    num_folders = len(layout.class_names(used))
    if asked in metadata.columns or (asked is None and LABEL in metadata.columns):
        return False
    others = [column for column in metadata.columns if column.lower() in LABEL_WORDS]
    if num_folders > 1 and others and asked is None:
        raise InputError(
            f"the labels could be the folders or the column {others[0]!r} of {tables}; pass --label_column_name "
            f"{others[0]} for the column, or --label_column_name {LABEL} for the folders"
        )
    if num_folders > 1:
        return True
    if metadata.columns:
        return False
    found = f"one folder, {layout.class_names(used)[0]!r}" if num_folders else "no folders"
    raise InputError(
        f"a folder of pictures needs one folder per class and at least two of them, or a metadata.csv with columns "
        f"file_name and label; found {found}"
    )


def _once_each(kept: dict[str, list[PlacedPicture]]) -> tuple[dict[str, list[PlacedPicture]], int]:
    """Return each file once and the number of further links to them; raises InputError if these disagree."""
    first: dict[str, tuple[str, PlacedPicture]] = {}
    single: dict[str, list[PlacedPicture]] = {}
    for name, pictures in kept.items():
        single[name] = []
        for each in pictures:
            split, known = first.setdefault(each.file.real, (name, each))
            if known is each:
                single[name].append(each)
            elif split != name or known.class_name != each.class_name:
                what = "splits" if split != name else "classes"
                raise InputError(
                    f"{each.file.name} and {known.file.name} are one file in two {what}; remove one of the links"
                )
    return single, sum(map(len, kept.values())) - sum(map(len, single.values()))


def _require_common_classes(kept: dict[str, list[PlacedPicture]], roles: Sequence[str | None]) -> None:
    """Raise InputError if the classes of validation or test do not match the training classes."""
    train, *others = ({each.class_name for each in kept[name]} if name is not None else None for name in roles)
    assert train is not None
    for name, classes in zip(roles[1:], others, strict=True):
        if classes is None:
            continue
        if not classes & train:
            raise InputError(
                f"split {name!r} has no class in common with {roles[0]!r}: it has {_some(classes)}, not {_some(train)}"
            )
        by_case = {str(each).casefold().strip(): each for each in train - classes}
        for each in sorted(map(str, classes - train)):
            if (same := by_case.get(each.casefold().strip())) is not None:
                raise InputError(
                    f"the class {same!r} of {roles[0]!r} is called {each!r} in {name!r}; rename one of the folders"
                )


def _dataset(pictures: Sequence[PlacedPicture], metadata: Metadata, class_names: Sequence[str]) -> Dataset:
    """Build the rows, in table order and then by name; pictures are undecoded paths."""
    order = {path: row for row, path in enumerate(metadata.rows)}
    pictures = sorted(pictures, key=lambda each: order.get(each.file.path, len(order)))
    paths = [each.file.path for each in pictures]
    columns, features = {IMAGE: _picture_column(paths)}, {IMAGE: Image(decode=False)}
    if class_names:
        index = {name: position for position, name in enumerate(class_names)}
        columns[LABEL] = pa.array([index[str(each.class_name)] for each in pictures], pa.int64())
        features[LABEL] = ClassLabel(names=list(class_names))
    described = metadata.table(paths)
    for name, feature in Features.from_arrow_schema(described.schema).items():
        is_picture = name in metadata.picture_columns
        columns[name] = _picture_column(described[name].to_pylist()) if is_picture else described[name]
        features[name] = Image(decode=False) if is_picture else feature
    return Dataset(pa.table(columns), info=DatasetInfo(features=Features(features)))


def _picture_column(paths: Sequence[str | None]) -> pa.StructArray:
    missing = pa.array([path is None for path in paths])
    empty = pa.nulls(len(paths), pa.binary())
    return pa.StructArray.from_arrays([empty, pa.array(paths, pa.string())], names=["bytes", "path"], mask=missing)


def _not_taken(survey: Survey, layout: FolderLayout, metadata: Metadata, used: Sequence[str]) -> Iterator[LeftOut]:
    for name in layout.splits:
        if name not in used:
            yield LeftOut(f"pictures of split {name!r}, which has no role", len(layout.splits[name]))
    for folder, count in sorted(layout.outside.items()):
        yield LeftOut(
            f"pictures in {folder!r}, which is not a split" if folder else "pictures beside the splits", count
        )
    for folder, count in survey.hidden.items():
        yield LeftOut(f"pictures in the hidden folder {folder!r}" if folder else "hidden pictures", count)
    if metadata.missing:
        yield LeftOut("rows of metadata whose picture is not there", metadata.missing)
    for name in survey.repeated_folders:
        yield LeftOut(f"the link {name!r} to a folder around it", 1)
    yield from unread_files(survey, metadata.rows)
    empty = sorted("/".join(parts) for parts in _class_folders(survey, layout, used) - _filled(layout, used))
    if empty:
        yield LeftOut(f"class folders without pictures: {', '.join(empty[:5])}", len(empty))


def _class_folders(survey: Survey, layout: FolderLayout, used: Sequence[str]) -> set[tuple[str, ...]]:
    depth = len(layout.wrapping)
    inside = [parts[depth:] for parts in survey.folders if parts[:depth] == layout.wrapping]
    if not layout.has_split_folders:
        return {(class_name(parts[0]),) for parts in inside if len(parts) == 1}
    return {(parts[0], class_name(parts[1])) for parts in inside if len(parts) == 2 and parts[0] in used}


def _filled(layout: FolderLayout, used: Sequence[str]) -> set[tuple[str, ...]]:
    classes = {(name, each.class_name) for name in used for each in layout.splits[name] if each.class_name is not None}
    return {(name, folder) if layout.has_split_folders else (folder,) for name, folder in classes}


def unread_files(survey: Survey, read: Collection[str] = ()) -> Iterator[LeftOut]:
    """Count files that are not pictures by suffix, most frequent first.

    Args:
        read: paths of files that were read as data and are not counted.
    """
    others = [file for file in survey.others if file.path not in read and not _is_document(file)]
    for suffix, count in Counter(file.suffix for file in others).most_common():
        kind = "archives" if suffix in ARCHIVE_SUFFIXES else "files"
        yield LeftOut(f"{suffix or 'suffixless'} {kind}", count)


def _is_document(file: FoundFile) -> bool:
    """Whether the file is clearly not part of the data."""
    name = PurePath(file.parts[-1].lower())
    return name.name in HARMLESS_NAMES or name.stem in ("readme", "license", "licence")


def _unread_words(survey: Survey) -> str:
    found = [str(each) for each in unread_files(survey)]
    return f"It holds {', '.join(found[:5])}" if found else ""


def _some(names: set[str | None]) -> str:
    shown = sorted(map(str, names))
    return ", ".join(shown[:3]) + (", ..." if len(shown) > 3 else "")
