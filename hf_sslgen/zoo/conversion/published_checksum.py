"""Published checksums, of which publishers state all digits or only the first ones."""

import hashlib
import re
from pathlib import Path
from typing import NamedTuple

from hf_sslgen.errors import InputError

STATED = re.compile(r"(?P<algorithm>md5|sha256):(?P<digits>[0-9a-f]{6,64})")


class PublishedChecksum(NamedTuple):
    """An algorithm of hashlib and the first hexadecimal digits of a file's digest."""

    algorithm: str
    digits: str


def read_checksum(stated: str) -> PublishedChecksum:
    """Read `md5:` or `sha256:` and at least six digits.

    Raises:
        InputError: it is written otherwise.
    """
    found = STATED.fullmatch(stated.strip().lower())
    if found is None:
        raise InputError(
            f"checksum {stated!r} is not understood; give md5: or sha256: and the first digits (six or more)"
        )
    return PublishedChecksum(*found.groups())


def difference(path: Path, checksum: str | None, size: int | None) -> str | None:
    """Describe how a file differs from what its publisher states; None if it does not.

    Args:
        checksum: as for `read_checksum`; None if none is published.
        size: bytes; None if unknown.
    """
    if size is not None and (found := path.stat().st_size) != size:
        return f"it has {found:,} bytes instead of the published {size:,}"
    if checksum is None:
        return None
    stated = read_checksum(checksum)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, stated.algorithm).hexdigest()
    if digest.startswith(stated.digits):
        return None
    return (
        f"its {stated.algorithm} begins with {digest[: len(stated.digits)]} instead of the published {stated.digits}"
    )
