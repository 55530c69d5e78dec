"""Where the converted checkpoints of registered backbones lie on this machine."""

import os
from pathlib import Path
from typing import Final

from hf_sslgen.errors import InputError
from hf_sslgen.settings import shown
from hf_sslgen.zoo.backbone_registry import Backbone

ZOO_VARIABLE: Final = "HF_SSLGEN_ZOO"
"""Environment variable: the folder that holds the converted checkpoints."""

ORGANIZATION_VARIABLE: Final = "HF_SSLGEN_ZOO_ORGANIZATION"
"""Environment variable: the Hub organisation from which checkpoints converted elsewhere are loaded."""

CONVERTED_FILES: Final = ("config.json", "model.safetensors")


def converted_root() -> Path:
    """Return the folder of all converted checkpoints: $HF_SSLGEN_ZOO, else `hf-sslgen/zoo` in the Hub's cache folder.

    The environment is read at each call, so that a change takes effect without a restart.
    """
    own = os.environ.get(ZOO_VARIABLE)
    if own:
        return Path(own).expanduser()
    caches = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    hub_home = os.environ.get("HF_HOME") or f"{caches}/huggingface"
    return Path(os.path.expandvars(hub_home)).expanduser() / "hf-sslgen" / "zoo"


def converted_folder(row: Backbone) -> Path:
    """Return the folder in which a row's converted checkpoint lies, or would lie."""
    return converted_root() / row.id.replace("/", "--")


def is_converted(row: Backbone) -> bool:
    """Tell whether a row's converted checkpoint is on this machine; only the presence of its files is checked."""
    return holds_converted_files(converted_folder(row))


def holds_converted_files(folder: Path) -> bool:
    """Tell whether a folder holds a converted checkpoint; only the presence of its files is checked."""
    return all((folder / name).is_file() for name in CONVERTED_FILES)


def repository_name(row: Backbone) -> str:
    """Return the name that a row's converted checkpoint has in an organisation; the Hub refuses `--` in a name."""
    return row.id.replace("/", "-")


def converted_repository(row: Backbone) -> str | None:
    """Return the Hub repository of a row's converted checkpoint; None unless an organisation is set.

    Raises:
        InputError: the environment names something else than an organisation.
    """
    organization = os.environ.get(ORGANIZATION_VARIABLE)
    if not organization:
        return None
    if "/" in organization:
        raise InputError(
            f"{ORGANIZATION_VARIABLE} is {shown(organization)}; it must be the name of a Hub organisation or user"
        )
    return f"{organization}/{repository_name(row)}"
