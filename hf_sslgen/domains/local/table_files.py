"""Assign the parquet, Arrow, CSV, JSON or WebDataset files of a local folder to splits."""

import re
from collections.abc import Sequence
from pathlib import Path

from hf_sslgen.domains.local.file_survey import FoundFile, Survey
from hf_sslgen.domains.split_roles import ROLE_NAMES, role_of
from hf_sslgen.errors import InputError

BUILDERS = {
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".tar": "webdataset",
    ".csv": "csv",
    ".jsonl": "json",
    ".json": "json",
}
"""The builder of `datasets` for each suffix; in a folder with several kinds, the first in this order is used."""

SHARD = re.compile(r"(?P<split>\w+(?:\.\w+)*)-(?P<index>\d{5})-of-(?P<count>\d{5})(?:-[0-9a-f]+)?")
"""Pattern of file names on the Hub, without their suffix."""

WORDS = re.compile(r"[^\W\d_]+")


def table_files(survey: Survey) -> tuple[str, list[FoundFile]] | None:
    """Return the suffix and files of the kind to use; None if there are none."""
    for suffix in BUILDERS:
        files = [file for file in survey.others if file.suffix == suffix and not _describes(file)]
        if files:
            return suffix, files
    return None


def _describes(file: FoundFile) -> bool:
    """Whether a file describes a dataset rather than containing it."""
    return file.parts[-1].lower() in ("dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json")


def split_files(files: Sequence[FoundFile], suffix: str) -> dict[str, list[FoundFile]]:
    """Group files by split: by the Hub's naming scheme, by first-level folder (also within `data`), or by name.

    Raises:
        InputError: a file's split is unknown while others have one, a shard is missing, or two folders hold files
            with the same name, as configurations do.
    """
    splits: dict[str, list[FoundFile]] = {}
    without = []
    for file in files:
        split = _split_of(file)
        if split is None:
            without.append(file)
        else:
            splits.setdefault(split, []).append(file)
    if splits and without:
        raise InputError(
            f"{without[0].name!r} is not named after a split, while others are ({', '.join(splits)}); name it after "
            f"its split, such as train-2{suffix}, or move it elsewhere"
        )
    if without:
        splits["train"] = without
    for split, shards in splits.items():
        _require_every_shard(split, shards)
    roles = [*ROLE_NAMES]  # `datasets` uses the column types of the first split
    return dict(sorted(splits.items(), key=lambda item: roles.index(role_of(item[0]) or roles[-1])))


def _split_of(file: FoundFile) -> str | None:
    stem = Path(file.parts[-1]).stem
    if (shard := SHARD.fullmatch(stem)) is not None:
        return shard["split"]
    folders = file.parts[:-1]
    for folder in folders[:2] if folders[:1] == ("data",) else folders[:1]:
        if role_of(folder) is not None:
            return folder
    roles = {role_of(word): word for word in WORDS.findall(stem) if role_of(word) is not None}
    if len(roles) > 1:
        raise InputError(f"the name of {file.name!r} contains {' and '.join(roles.values())}; name it after one split")
    return next(iter(roles.values()), None)


def _require_every_shard(split: str, files: Sequence[FoundFile]) -> None:
    """Raise InputError unless each of a split's numbered files exists exactly once."""
    numbered = [match for file in files if (match := SHARD.fullmatch(Path(file.parts[-1]).stem)) is not None]
    if not numbered:
        return
    found = [int(match["index"]) for match in numbered]
    if len(set(found)) < len(found):
        folders = sorted({"/".join(file.parts[:-1]) for file in files})
        raise InputError(
            f"split {split!r} has files with the same number in several places ({', '.join(map(repr, folders[:3]))}), "
            "as several configurations do; give the folder of one of them"
        )
    missing = sorted(set(range(int(numbered[0]["count"]))) - set(found))
    if missing:
        raise InputError(
            f"split {split!r} should have {int(numbered[0]['count'])} files, but number {missing[0]:05d}"
            f"{f' and {len(missing) - 1} more are' if len(missing) > 1 else ' is'} missing; download the missing files"
        )
