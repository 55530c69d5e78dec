"""Names inside WebDataset archives: files named the same up to the first dot are the fields of one sample."""

import re
import tarfile
from collections.abc import Iterable, Iterator

from hf_sslgen.domains.local.file_survey import FoundFile, picture_suffixes
from hf_sslgen.errors import InputError

SAMPLE_AND_FIELD = re.compile(r"(?P<sample>(?:.*/)?[^./]+)\.(?P<field>[^/]*)")


def check_webdataset_names(archives: Iterable[FoundFile]) -> None:
    """Look at the names in archives.

    Raises:
        InputError: an archive can't be read, its pictures have nothing beside them that could be a label, or no field
            is the picture of every sample, as where dots in names cut them apart.
    """
    for archive in archives:
        common: set[str] | None = None
        has_others, last, pictures, example = False, "", set[str](), ""
        for name in _members(archive):
            if (match := SAMPLE_AND_FIELD.fullmatch(name)) is None:
                continue
            if match["sample"] != last and last:
                common = pictures if common is None else common & pictures
                pictures = set()
            last = match["sample"]
            if f".{match['field'].rpartition('.')[2].lower()}" in picture_suffixes():
                pictures.add(match["field"])
                example = name if "." in match["field"] else example or name
            else:
                has_others = True
        if not last:
            raise InputError(f"{archive.name} holds no samples; name them like 0001.png and 0001.cls")
        common = pictures if common is None else common & pictures
        if not has_others:
            raise InputError(
                f"{archive.name} holds pictures without labels beside them, such as 0001.cls or 0001.json; "
                "unpack it and give the folder"
            )
        if len(common) != 1 and "." in example.rpartition("/")[2].removesuffix(f".{example.rpartition('.')[2]}"):
            stem, _, rest = example.rpartition("/")[2].partition(".")
            raise InputError(
                f"{archive.name} holds {example!r}, which WebDataset takes for the field {rest!r} of the sample "
                f"{stem!r}, because it cuts names at their first dot; use no other dots in the names"
            )
        if not common:
            raise InputError(
                f"no field of {archive.name} is the picture of every sample; give each sample one picture, all with "
                "the same suffix"
            )


def _members(archive: FoundFile) -> Iterator[str]:
    try:
        with tarfile.open(archive.path) as opened:
            for member in opened:
                if member.isfile():
                    yield member.name
    except (tarfile.TarError, OSError, EOFError) as error:
        raise InputError(f"{archive.name} can't be read: {error}") from error
