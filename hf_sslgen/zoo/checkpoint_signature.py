"""When a backbone's files may have changed, without reading them."""

import functools
from pathlib import Path

from hf_sslgen.file_signatures import UNKNOWN, Signature, file_signature
from hf_sslgen.zoo.hub_files import current_commit
from hf_sslgen.zoo.locations import UNTRAINED_PREFIX, resolve_location, wanted_revision


def checkpoint_signature(name: str) -> Signature:
    """Return the signature of a backbone's files: names, sizes and times of a folder, or a commit on the Hub.

    The Hub is asked once per process.

    Args:
        name: as for `load_backbone`.

    Raises:
        InputError: no backbone can have that name.
    """
    found = _place(name.removeprefix(UNTRAINED_PREFIX))
    return file_signature(found) if isinstance(found, Path) else found


@functools.cache
def _place(name: str) -> Path | Signature:
    """Return the folder, or the signature of the commit."""
    location, revision = resolve_location(name), wanted_revision(name, None)
    if Path(location).is_dir():
        return Path(location)
    commit = current_commit(location, revision)
    return UNKNOWN if commit is None else Signature(commit, is_final=True)
