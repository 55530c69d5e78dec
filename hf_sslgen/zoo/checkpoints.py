"""Opening a checkpoint: where it is, its configuration, its weights in float32, and what identifies them."""

import hashlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForImageClassification
from transformers.utils import logging as transformers_logging

from hf_sslgen.errors import InputError, nearest_names
from hf_sslgen.zoo.registry import excluded_reason, find_backbone, known_backbone_ids
from hf_sslgen.zoo.timm_folder import WEIGHTS_FILE

logger = logging.getLogger(__name__)

TWINS = Path(__file__).parent / "twins"


def resolve_location(name: str) -> str:
    """Where a backbone's files are: a folder, or the Hub id itself.

    Raises:
        InputError: neither a folder, nor registered, nor of the form `owner/name`; names the nearest known ones.
    """
    row = find_backbone(name)
    if row is not None and row.package_folder is not None:
        return str(TWINS / row.package_folder)
    excluded = excluded_reason(name)
    if excluded is not None:
        logger.warning("%s: %s", name, excluded)
    if Path(name).is_dir():
        return name
    if row is not None and row.library == "conversion":
        raise InputError(f"model_name_or_path {name!r} is published in another format and must be converted first")
    hub_id = name.removeprefix("hf-hub:").removeprefix("hf_hub:")
    if hub_id.count("/") != 1 or hub_id.startswith((".", "/", "~")):
        hint = nearest_names(name, known_backbone_ids())
        raise InputError(
            f"model_name_or_path {name!r} is no folder, no known backbone and no Hub id (owner/name). {hint}".rstrip()
        )
    return hub_id


def load_config(name: str, location: str, revision: str | None) -> Any:
    """The checkpoint's configuration; `name` is what errors call it."""
    try:
        return AutoConfig.from_pretrained(location, revision=revision, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise _load_error(name, error) from error


def _load_error(name: str, error: Exception) -> InputError:
    lines = [line.strip() for line in str(error).strip().splitlines() if line.strip()]
    reason = lines[0] if lines else type(error).__name__
    if "trust_remote_code" in str(error):
        reason = (
            "it needs code from its repository, which is never run here; convert it to a timm or transformers model"
        )
    elif "model.safetensors" in str(error) or "safetensors" in reason:
        reason += " (only safetensors weights are loaded; convert a .bin checkpoint first)"
    hint = nearest_names(name, known_backbone_ids())
    return InputError(f"model_name_or_path {name!r} could not be loaded: {reason} {hint}".rstrip())


def weights_identity(location: str, config: Any) -> str:
    """The Hub commit, or a hash of the files of a folder."""
    folder = Path(location)
    if not folder.is_dir():
        return str(config._commit_hash)
    whole = folder / WEIGHTS_FILE
    digest = hashlib.sha256()
    for path in [whole] if whole.is_file() else sorted(folder.glob("*.safetensors")):
        with path.open("rb") as file:
            hashlib.file_digest(file, lambda: digest)
    return digest.hexdigest()[:16]


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


def load_weights(name: str, location: str, config: Any, revision: str | None) -> tuple[Any, set[str]]:
    """The model and the names of parameters that the checkpoint did not bring."""
    try:
        with _quiet_transformers():
            model, info = AutoModelForImageClassification.from_pretrained(
                location,
                config=config,
                revision=revision,
                dtype=torch.float32,
                ignore_mismatched_sizes=True,
                use_safetensors=True,
                trust_remote_code=False,
                output_loading_info=True,
            )
    except (OSError, ValueError, ImportError, RuntimeError, SafetensorError) as error:
        raise _load_error(name, error) from error
    mismatched = {key if isinstance(key, str) else key[0] for key in info["mismatched_keys"]}
    return model, set(info["missing_keys"]) | mismatched
