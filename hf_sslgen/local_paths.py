"""Recognise names that can only be local paths, so that the Hub is not asked for a misspelt folder."""

import re
from pathlib import Path

from hf_sslgen.errors import nearest_names

DRIVE = re.compile(r"[A-Za-z]:")
FILE_ENDING = re.compile(
    r"\.(parquet|arrow|csv|tsv|jsonl?|zip|tar|gz|tgz|npz|safetensors|bin|pth?|ckpt|png|jpe?g|ya?ml)", re.IGNORECASE
)


def path_refusal(name: str) -> str:
    """Explain why a name that is not a loadable path can't be a Hub id either; empty if it may be one.

    A path starts with `.`, `/`, `~`, a drive or an existing folder, contains a backslash or more than one `/`, or ends
    with `/` or a file suffix.

    >>> path_refusal("owner/name"), path_refusal("cifar10")
    ('', '')
    >>> path_refusal("./my_images")
    'there is no such folder or file'
    """
    path = Path(name)
    if path.exists():
        kind = "folder" if path.is_dir() else "file"
        return f"it is a local {kind}, which can't be used here"
    owner = name.partition("/")[0]
    is_below_a_folder = name.count("/") == 1 and Path(owner).is_dir()
    is_path = name.startswith((".", "/", "~")) or name.endswith("/") or "\\" in name or name.count("/") > 1
    if not (is_path or is_below_a_folder or DRIVE.match(name) or FILE_ENDING.fullmatch(path.suffix)):
        return ""
    at_home = _at_home(path)
    if at_home is not None and at_home.exists():
        return f"~ is not expanded; give the path as {str(at_home)!r}"
    words = ["there is no such folder or file", _near(at_home or path)]
    if is_below_a_folder and not is_path:
        words.append(f"the Hub is not asked, because {owner!r} is a local folder")
    return "; ".join(word for word in words if word)


def _at_home(path: Path) -> Path | None:
    try:
        return path.expanduser() if path.parts and path.parts[0].startswith("~") else None
    except RuntimeError:  # an unknown user
        return None


def _near(path: Path) -> str:
    """Suggest similar names next to a missing path, or name the first missing folder on the way to it."""
    try:
        missing = next(each for each in (*reversed(path.parents), path) if not each.exists())
        beside = nearest_names(missing.name, sorted(each.name for each in missing.parent.iterdir()))
    except (OSError, StopIteration, ValueError):
        return ""
    if missing == path:
        return f"in {str(path.parent)!r}: {beside}" if beside else ""
    return f"{str(missing)!r} does not exist either{f': {beside}' if beside else ''}"
