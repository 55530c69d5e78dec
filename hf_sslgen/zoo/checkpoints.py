"""Open a checkpoint: its location, its configuration, its float32 weights and their identity."""

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
from hf_sslgen.zoo.hub_files import cached_checkpoint, fetch_checkpoint
from hf_sslgen.zoo.locations import resolve_location, split_revision, wanted_revision
from hf_sslgen.zoo.same_padding import obey_padding
from hf_sslgen.zoo.tensor_fit import LoadReport, check_report, check_stored, check_values
from hf_sslgen.zoo.timm_folder import WEIGHTS_FILE
from hf_sslgen.zoo.to_safetensors import conversion_advice
from hf_sslgen.zoo.weight_files import content_identity, stored_tensors

logger = logging.getLogger(__name__)

NEEDS_CODE = "it needs code from its repository, which is never run; convert it to a timm or transformers model"


ADAPTER_FILE = "adapter_config.json"

WITH_TEACHER = "WithTeacher"
"""Suffix of transformers' class names for distilled networks."""


@dataclass(frozen=True)
class Checkpoint:
    """A backbone's files, available locally.

    Attributes:
        name: as the user gave it, for errors.
        folder: contains the configuration and, if requested, the weights.
        commit: the Hub commit that the files come from; None for a folder.
        pinned: a name that keeps referring to these files even if a branch or tag moves.
    """

    name: str
    folder: Path
    commit: str | None
    pinned: str

    @property
    def weights_identity(self) -> str:
        """The Hub commit, or a hash of all files in a folder that affect results."""
        if self.commit is not None:
            return self.commit
        return content_identity(self.folder)


def open_checkpoint(name: str, model_revision: str | None, with_weights: bool) -> Checkpoint:
    """Locate a backbone's files, downloading them from the Hub if necessary.

    Args:
        name: as for `load_backbone`, without `untrained:`.

    Raises:
        InputError: the files are unavailable.
        HubError: the Hub does not provide them.
    """
    location, revision = resolve_location(name), wanted_revision(name, model_revision)
    if Path(location).is_dir():
        return Checkpoint(name, Path(location), None, name)
    try:
        folder = fetch_checkpoint(location, revision, with_weights)
    except (InputError, HubError) as error:
        raise reworded(error, _load_words(name, str(error))) from error
    return Checkpoint(name, folder, folder.name, f"{location}@{folder.name}")


def checkpoint_at_hand(name: str, with_weights: bool) -> Path | None:
    """Return the folder of a backbone's files if they are on this machine; the Hub is not asked.

    Args:
        name: as for `load_backbone`, without `untrained:`.
        with_weights: whether the weights are needed too.
    """
    try:
        location, revision = resolve_location(name), wanted_revision(name, None)
    except InputError:
        return None
    return Path(location) if Path(location).is_dir() else cached_checkpoint(location, revision, with_weights)


def load_config(name: str, folder: Path) -> Any:
    """Load the checkpoint's configuration; `name` is its name in errors."""
    try:
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        if isinstance(config, TimmWrapperConfig):
            config.pretrained_cfg = stated_pretrained_cfg(folder, config)
        return config
    except UNREADABLE as error:
        raise load_error(name, _reason(error, folder)) from error


def check_channels(name: str, config: Any) -> None:
    """Require a network with three input channels, like all images in this package.

    Raises:
        InputError: it has another number of input channels.
    """
    if isinstance(config, TimmWrapperConfig):
        size = config.pretrained_cfg.get("input_size")
        found = size[0] if isinstance(size, (list, tuple)) and size else 3
        found = (config.model_args or {}).get("in_chans", found)
        key = "input_size and in_chans"
    else:
        found, key = config.to_dict().get("num_channels", 3), "num_channels"
    if found != 3:
        raise load_error(name, f"it takes images with {found} channels ({key}), but images here have 3 (RGB)")


def _reason(error: Exception, folder: Path) -> str:
    """Explain why a library can't load a folder, with better advice than the library's if there is any."""
    if "trust_remote_code" in str(error):
        return NEEDS_CODE
    if not (folder / "config.json").is_file():
        return f"there is no config.json in {folder}, so it is not a transformers or timm model"
    lines = [line.strip() for line in str(error).strip().splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def _without_weights(folder: Path) -> str:
    return f"there is no {WEIGHTS_FILE}; {conversion_advice(path.name for path in folder.iterdir())}"


def load_error(name: str, reason: str) -> InputError:
    """Build the error that a backbone can't be loaded, with similar known names unless it is itself known."""
    return InputError(_load_words(name, reason))


def _load_words(name: str, reason: str) -> str:
    base, _ = split_revision(name)
    known = known_backbone_ids()
    hint = "" if base in known else nearest_names(base, known)
    return f"model_name_or_path {name!r} could not be loaded: {'; '.join(filter(None, (reason, hint)))}"


@contextmanager
def _quiet_transformers() -> Iterator[None]:
    """Silence progress bars and load reports, since missing weights are checked and reported here."""
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
    """Load the model; also returns the names of its classifier's parameters that the checkpoint lacks.

    Raises:
        InputError: the folder has no safetensors weights, the weights are damaged, quantised or not finite, or tensors
            of the trunk are missing or superfluous.
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
    # TypeError: the configuration passes arguments that the network does not accept.
    except (*UNREADABLE, SafetensorError) as error:
        raise load_error(name, _reason(error, folder)) from error
    check_stored(name, model, stored)
    mismatched = {key if isinstance(key, str) else key[0] for key in info["mismatched_keys"]}
    missing = {key for key in info["missing_keys"] | mismatched if not key.endswith(".num_batches_tracked")}
    check_report(name, model, LoadReport(frozenset(missing), frozenset(info["unexpected_keys"])))
    check_values(name, model)
    try:
        obey_padding(model)
    except InputError as error:
        raise load_error(name, str(error)) from error
    return model, missing


def _refuse_weights_elsewhere(name: str, folder: Path, config: Any) -> None:
    """Reject weights that would be loaded from files other than those that identify the checkpoint, or not at all."""
    elsewhere = config.to_dict().get("transformers_weights")
    if elsewhere is not None:
        raise load_error(
            name,
            f"its config.json refers to other weights, {str(elsewhere)[:80]!r}, as transformers_weights; remove it",
        )
    if (folder / ADAPTER_FILE).is_file():
        raise load_error(name, f"according to its {ADAPTER_FILE} it is an adapter; merge it into its base model first")


def _take_one_classifier(name: str, config: Any) -> None:
    """Replace a distilled architecture that averages two classifiers by its form with one.

    The measurements need the single linear layer that produces the logits.
    """
    stated = config.architectures if isinstance(config.architectures, list) else []
    architectures = [each for each in stated if isinstance(each, str)]
    if any(each.endswith(WITH_TEACHER) for each in architectures):
        logger.warning("%s averages the logits of two classifiers; they are replaced by a single new one", name)
        config.architectures = [each.removesuffix(WITH_TEACHER) for each in architectures]
