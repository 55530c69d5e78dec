"""Check the names in WebDataset archives: files with the same name up to the first dot are fields of one sample."""

import re
import tarfile
from collections.abc import Iterable, Iterator

from hf_sslgen.domains.local.file_survey import FoundFile, picture_suffixes
from hf_sslgen.errors import InputError

SAMPLE_AND_FIELD = re.compile(r"(?P<sample>(?:.*/)?[^./]+)\.(?P<field>[^/]*)")


def check_webdataset_names(archives: Iterable[FoundFile]) -> None:
    """Check the names in archives.

    Raises:
        InputError: an archive can't be read, its samples have no field that could be a label, or no field is the
            picture of every sample, for example because names contain further dots.
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
                f"{archive.name} holds pictures without label files such as 0001.cls or 0001.json; unpack it and give "
                "the folder"
            )
        if len(common) != 1 and "." in example.rpartition("/")[2].removesuffix(f".{example.rpartition('.')[2]}"):
            stem, _, rest = example.rpartition("/")[2].partition(".")
            raise InputError(
                f"{archive.name} holds {example!r}, which WebDataset reads as the field {rest!r} of the sample "
                f"{stem!r}, because it splits names at the first dot; remove all other dots from the names"
            )
        if not common:
            raise InputError(
                f"{archive.name} has no field that is the picture of every sample; give each sample one picture, all "
                "with the same suffix"
            )


def _members(archive: FoundFile) -> Iterator[str]:
    try:
        with tarfile.open(archive.path) as opened:
            for member in opened:
                if member.isfile():
                    yield member.name
    except (tarfile.TarError, OSError, EOFError) as error:
        raise InputError(f"{archive.name} can't be read: {error}") from error
