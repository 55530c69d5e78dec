"""Opening a checkpoint: where it is, its configuration, its weights in float32, and what identifies them."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForImageClassification
from transformers.models.timm_wrapper.configuration_timm_wrapper import TimmWrapperConfig
from transformers.utils import logging as transformers_logging

from hf_sslgen.errors import HubError, InputError, nearest_names, reworded
from hf_sslgen.zoo.backbone_registry import known_backbone_ids
from hf_sslgen.zoo.checkpoint_preprocessing import UNREADABLE, stated_pretrained_cfg
from hf_sslgen.zoo.hub_files import fetch_checkpoint
from hf_sslgen.zoo.locations import resolve_location, split_revision, wanted_revision
from hf_sslgen.zoo.tensor_fit import LoadReport, check_report, check_stored, check_values
from hf_sslgen.zoo.timm_folder import WEIGHTS_FILE
from hf_sslgen.zoo.to_safetensors import conversion_advice
from hf_sslgen.zoo.weight_files import content_identity, stored_tensors

logger = logging.getLogger(__name__)

NEEDS_CODE = "it needs code from its repository, which is never run here; convert it to a timm or transformers model"


ADAPTER_FILE = "adapter_config.json"

WITH_TEACHER = "WithTeacher"
"""End of the names of transformers' classes for distilled networks."""


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
        """The Hub commit, or a hash of everything in a folder that decides numbers."""
        if self.commit is not None:
            return self.commit
        return content_identity(self.folder)


def open_checkpoint(name: str, model_revision: str | None, with_weights: bool) -> Checkpoint:
    """The files of a backbone, fetched from the Hub where they are there.

    Args:
        name: as `load_backbone` takes it, without `untrained:`.

    Raises:
        InputError, HubError: they can't be had.
    """
    location, revision = resolve_location(name), wanted_revision(name, model_revision)
    if Path(location).is_dir():
        return Checkpoint(name, Path(location), None, name)
    try:
        folder = fetch_checkpoint(location, revision, with_weights)
    except (InputError, HubError) as error:
        raise reworded(error, _load_words(name, str(error))) from error
    return Checkpoint(name, folder, folder.name, f"{location}@{folder.name}")


def load_config(name: str, folder: Path) -> Any:
    """The checkpoint's configuration; `name` is what errors call it."""
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        if isinstance(config, TimmWrapperConfig):
            config.pretrained_cfg = stated_pretrained_cfg(folder, config)
        return config
    except UNREADABLE as error:
        raise load_error(name, _reason(error, folder)) from error


def check_channels(name: str, config: Any) -> None:
    """Require a network that takes pictures of three channels, as all of this package's are.

    Raises:
        InputError: it takes another number.
    """
    if isinstance(config, TimmWrapperConfig):
        size = config.pretrained_cfg.get("input_size")
        found = size[0] if isinstance(size, (list, tuple)) and size else 3
        found = (config.model_args or {}).get("in_chans", found)
        key = "input_size and in_chans"
    else:
        found, key = config.to_dict().get("num_channels", 3), "num_channels"
    if found != 3:
        raise load_error(name, f"it takes pictures of {found} channels ({key}), but those measured here have 3 (RGB)")


def _reason(error: Exception, folder: Path) -> str:
    """What a library says of a folder that it can't load, or better advice where there is any."""
    if "trust_remote_code" in str(error):
        return NEEDS_CODE
    if not (folder / "config.json").is_file():
        return f"there is no config.json in {folder}, so it is no model of transformers or timm"
    lines = [line.strip() for line in str(error).strip().splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def _without_weights(folder: Path) -> str:
    return f"there is no {WEIGHTS_FILE}; {conversion_advice(path.name for path in folder.iterdir())}"


def load_error(name: str, reason: str) -> InputError:
    """That a backbone can't be loaded and why; with the nearest known ones, unless it is one of them."""
    return InputError(_load_words(name, reason))


def _load_words(name: str, reason: str) -> str:
    base, _ = split_revision(name)
    known = known_backbone_ids()
    hint = "" if base in known else nearest_names(base, known)
    return f"model_name_or_path {name!r} could not be loaded: {'; '.join(filter(None, (reason, hint)))}"


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
    """The model, and the names of the parameters of its classifier that the checkpoint did not bring.

    Raises:
        InputError: no safetensors weights in the folder, weights that are damaged, quantised or not finite, or a trunk
            of which tensors are missing or left over.
    """
    _refuse_weights_elsewhere(name, folder, config)
    try:
        stored = stored_tensors(folder)
    except InputError as error:
        raise load_error(name, str(error)) from error
    if not stored:
        raise load_error(name, _without_weights(folder))
    _take_one_classifier(name, config)
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
    except (*UNREADABLE, SafetensorError) as error:
        raise load_error(name, _reason(error, folder)) from error
    check_stored(name, model, stored)
    mismatched = {key if isinstance(key, str) else key[0] for key in info["mismatched_keys"]}
    missing = {key for key in info["missing_keys"] | mismatched if not key.endswith(".num_batches_tracked")}
    check_report(name, model, LoadReport(frozenset(missing), frozenset(info["unexpected_keys"])))
    check_values(name, model)
    return model, missing


def _refuse_weights_elsewhere(name: str, folder: Path, config: Any) -> None:
    """Weights that would be loaded from other files than those that identify the checkpoint, or not at all."""
    elsewhere = config.to_dict().get("transformers_weights")
    if elsewhere is not None:
        raise load_error(
            name,
            f"its config.json names other weights, {str(elsewhere)[:80]!r} as transformers_weights; remove the key",
        )
    if (folder / ADAPTER_FILE).is_file():
        raise load_error(name, f"its {ADAPTER_FILE} says that it is an adapter; merge it into its base model first")


def _take_one_classifier(name: str, config: Any) -> None:
    """Of a network that was distilled and averages two classifiers, take the form that has one.

    What this package measures needs the one linear layer that made the logits.
    """
    stated = config.architectures if isinstance(config.architectures, list) else []
    architectures = [each for each in stated if isinstance(each, str)]
    if any(each.endswith(WITH_TEACHER) for each in architectures):
        logger.warning("%s has two classifiers, whose logits it averages; it gets a new one instead", name)
        config.architectures = [each.removesuffix(WITH_TEACHER) for each in architectures]
