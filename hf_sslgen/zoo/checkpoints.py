"""Opening a checkpoint: where it is, its configuration, its weights in float32, and what identifies them."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForImageClassification
from transformers.utils import logging as transformers_logging

from hf_sslgen.errors import InputError, nearest_names
from hf_sslgen.zoo.hub_files import fetch_checkpoint
from hf_sslgen.zoo.locations import resolve_location, split_revision, wanted_revision
from hf_sslgen.zoo.registry import known_backbone_ids
from hf_sslgen.zoo.timm_folder import WEIGHTS_FILE
from hf_sslgen.zoo.to_safetensors import conversion_advice

NEEDS_CODE = "it needs code from its repository, which is never run here; convert it to a timm or transformers model"


@dataclass(frozen=True)
class Checkpoint:
    """A backbone's files, all of them at hand.

    Attributes:
        name: as the user gave it; errors call it so.
        folder: has the configuration, and the weights where they were wanted.
        commit: of the Hub repository they are from, or None for a folder.
        pinned: a name that leads to these same files later, whatever becomes of a branch or tag.
    """

    name: str
    folder: Path
    commit: str | None
    pinned: str

    @property
    def weights_identity(self) -> str:
        """The Hub commit, or a hash of the files of a folder."""
        if self.commit is not None:
            return self.commit
        whole = self.folder / WEIGHTS_FILE
        digest = hashlib.sha256()
        for path in [whole] if whole.is_file() else sorted(self.folder.glob("*.safetensors")):
            with path.open("rb") as file:
                hashlib.file_digest(file, lambda: digest)
        return digest.hexdigest()[:16]


def open_checkpoint(name: str, model_revision: str | None, with_weights: bool) -> Checkpoint:
    """The files of a backbone, fetched from the Hub where they are there.

    Args:
        name: as `load_backbone` takes it, without `untrained:`.

    Raises:
        InputError: they can't be had.
    """
    location, revision = resolve_location(name), wanted_revision(name, model_revision)
    if Path(location).is_dir():
        return Checkpoint(name, Path(location), None, name)
    try:
        folder = fetch_checkpoint(location, revision, with_weights)
    except InputError as error:
        raise load_error(name, str(error)) from error
    return Checkpoint(name, folder, folder.name, f"{location}@{folder.name}")


def load_config(name: str, folder: Path) -> Any:
    """The checkpoint's configuration; `name` is what errors call it."""
    try:
        return AutoConfig.from_pretrained(folder, trust_remote_code=False)
    except (OSError, ValueError, KeyError, TypeError, StrictDataclassError) as error:
        raise load_error(name, _reason(error, folder)) from error


def _reason(error: Exception, folder: Path) -> str:
    """What a library says of a folder that it can't load, or better advice where there is any."""
    if "trust_remote_code" in str(error):
        return NEEDS_CODE
    if not (folder / "config.json").is_file():
        return f"there is no config.json in {folder}, so it is no model of transformers or timm"
    if not any(folder.glob("*.safetensors")):
        return f"there is no {WEIGHTS_FILE}; {conversion_advice(path.name for path in folder.iterdir())}"
    lines = [line.strip() for line in str(error).strip().splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def load_error(name: str, reason: str) -> InputError:
    """That a backbone can't be loaded and why; with the nearest known ones, unless it is one of them."""
    base, _ = split_revision(name)
    known = known_backbone_ids()
    hint = "" if base in known else nearest_names(base, known)
    return InputError(f"model_name_or_path {name!r} could not be loaded: {'; '.join(filter(None, (reason, hint)))}")


@contextmanager
def _quiet_transformers() -> Iterator[None]:
    """Without progress bars and load reports: what a checkpoint lacks is checked and said here."""
    verbosity, bar = transformers_logging.get_verbosity(), transformers_logging.is_progress_bar_enabled()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        if bar:
            transformers_logging.enable_progress_bar()


def load_weights(name: str, folder: Path, config: Any) -> tuple[Any, set[str]]:
    """The model and the names of parameters that the checkpoint did not bring."""
    try:
        with _quiet_transformers():
            model, info = AutoModelForImageClassification.from_pretrained(
                folder,
                config=config,
                dtype=torch.float32,
                ignore_mismatched_sizes=True,
                use_safetensors=True,
                trust_remote_code=False,
                output_loading_info=True,
            )
    # TypeError: of a network that is built with arguments it does not take.
    except (OSError, ValueError, KeyError, TypeError, ImportError, RuntimeError, SafetensorError) as error:
        raise load_error(name, _reason(error, folder)) from error
    mismatched = {key if isinstance(key, str) else key[0] for key in info["mismatched_keys"]}
    return model, set(info["missing_keys"]) | mismatched
