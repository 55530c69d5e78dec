"""Names that can only mean something on this machine, so that nobody asks the Hub for a misspelt folder."""

import re
from pathlib import Path

from hf_sslgen.errors import nearest_names

DRIVE = re.compile(r"[A-Za-z]:")
FILE_ENDING = re.compile(
    r"\.(parquet|arrow|csv|tsv|jsonl?|zip|tar|gz|tgz|npz|safetensors|bin|pth?|ckpt|png|jpe?g|ya?ml)", re.IGNORECASE
)


def path_refusal(name: str) -> str:
    """Why a name that can't be loaded here can't be a Hub id either; empty where it may be one.

    A path has a `.`, `/` or `~` in front, a drive, a backslash, more than one `/` or one at its end, the ending of a
    file, or begins with a folder that is here.

    >>> path_refusal("owner/name"), path_refusal("cifar10")
    ('', '')
    >>> path_refusal("./my_images")
    'there is no such folder or file'
    """
    path = Path(name)
    if path.exists():
        kind = "folder" if path.is_dir() else "file"
        return f"it is a {kind} here, which can't be used for this"
    owner = name.partition("/")[0]
    is_below_a_folder = name.count("/") == 1 and Path(owner).is_dir()
    is_path = name.startswith((".", "/", "~")) or name.endswith("/") or "\\" in name or name.count("/") > 1
    if not (is_path or is_below_a_folder or DRIVE.match(name) or FILE_ENDING.fullmatch(path.suffix)):
        return ""
    at_home = _at_home(path)
    if at_home is not None and at_home.exists():
        return f"~ is not replaced here; give it as {str(at_home)!r}"
    words = ["there is no such folder or file", _near(at_home or path)]
    if is_below_a_folder and not is_path:
        words.append(f"the Hub is not asked, because {owner!r} is a folder here")
    return "; ".join(word for word in words if word)


def _at_home(path: Path) -> Path | None:
    try:
        return path.expanduser() if path.parts and path.parts[0].startswith("~") else None
    except RuntimeError:  # of a user that is not known
        return None


def _near(path: Path) -> str:
    """What is there instead: names beside it, or the first folder on the way that is missing."""
    try:
        missing = next(each for each in (*reversed(path.parents), path) if not each.exists())
        beside = nearest_names(missing.name, sorted(each.name for each in missing.parent.iterdir()))
    except (OSError, StopIteration, ValueError):
        return ""
    if missing == path:
        return f"in {str(path.parent)!r}: {beside}" if beside else ""
    return f"{str(missing)!r} is not there either{f': {beside}' if beside else ''}"
