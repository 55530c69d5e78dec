"""Check the parts of a zip file that torch wrote: stored as they are, each once, unchanged, within the file."""

import zipfile
import zlib


def require_plain_members(archive: zipfile.ZipFile, size: int) -> dict[str, int]:
    """Check an archive, including the checksum of every part, which torch does not verify.

    Args:
        size: bytes of the file.

    Returns:
        The bytes of each part.

    Raises:
        ValueError: the first thing that is wrong.
    """
    parts = archive.infolist()
    sizes = {part.filename: part.file_size for part in parts}
    if len(sizes) < len(parts):
        names = [part.filename for part in parts]
        raise ValueError(f"it has two parts {next(name for name in names if names.count(name) > 1)!r}")
    for part in parts:
        if part.compress_type != zipfile.ZIP_STORED or part.file_size != part.compress_size or part.flag_bits & 1:
            raise ValueError(f"its part {part.filename!r} is compressed or encrypted, which torch never does")
    if sum(sizes.values()) > size:
        raise ValueError(f"its parts declare {sum(sizes.values())} bytes and the file has {size}")
    try:
        damaged = archive.testzip()
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
        raise ValueError(str(error)) from error
    if damaged is not None:
        raise ValueError(f"its part {damaged!r} does not match its checksum")
    return sizes
