"""Download a checkpoint's files from the Hub, complete and from one commit, into the shared Hugging Face cache."""

import functools
import logging
import re
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, constants, hf_hub_download, snapshot_download
from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError
from huggingface_hub.utils import httpx

from hf_sslgen.checksums import file_sha256
from hf_sslgen.errors import HubError, InputError
from hf_sslgen.hub_access.faults import DamagedFileError, Fault
from hf_sslgen.hub_access.refusals import hub_sentence, refusal
from hf_sslgen.hub_access.retries import NoBar, is_unreachable, with_retries
from hf_sslgen.shortages import raise_shortage
from hf_sslgen.zoo.timm_folder import WEIGHTS_FILE
from hf_sslgen.zoo.to_safetensors import conversion_advice
from hf_sslgen.zoo.weight_files import CONFIG_FILES, INDEX_FILE, shard_names

logger = logging.getLogger(__name__)

COMMIT = re.compile(r"[0-9a-f]{40}")
SHA256 = re.compile(r"[0-9a-f]{64}")


def fetch_checkpoint(hub_id: str, revision: str | None, with_weights: bool) -> Path:
    """Return the folder with one commit's configuration, preprocessing and safetensors weights, named by the commit.

    A cached commit is used without contacting the Hub. The last known state of a branch or tag is taken from the cache
    if HF_HUB_OFFLINE is set or, with a warning, if the Hub can't be reached.

    Args:
        revision: branch, tag or commit; None is the default branch.
        with_weights: whether to include the weights.

    Raises:
        HubError: states what is unavailable and what to do.
        DiskFullError: the disk has no room for it.
    """
    offline = constants.is_offline_mode()
    if offline or COMMIT.fullmatch(revision or ""):
        cached = cached_checkpoint(hub_id, revision, with_weights)
        if cached is not None:
            return cached
    if offline:
        raise HubError(refusal(Fault.OFFLINE, hub_id, revision))
    try:
        return with_retries(lambda: _download(hub_id, revision, with_weights), hub_id, revision)
    except (DamagedFileError, OSError, httpx.HTTPError, UnicodeError, HFValidationError) as error:
        raise_shortage(error)
        sentence = hub_sentence(error, hub_id, revision)
        cached = cached_checkpoint(hub_id, revision, with_weights) if is_unreachable(error) else None
        if cached is None:
            raise HubError(sentence) from None  # the client's own error may contain the token
    logger.warning("%s; continuing with the cached commit %s", sentence.partition("; ")[0], cached.name)
    return cached


def fetch_file(hub_id: str, revision: str | None, filename: str) -> Path:
    """Return one file of a model's repository in the shared cache.

    Raises:
        HubError: states what is unavailable and what to do.
        DiskFullError: the disk has no room for it.
    """
    try:
        return Path(with_retries(lambda: hf_hub_download(hub_id, filename, revision=revision), hub_id, revision))
    except (OSError, httpx.HTTPError, UnicodeError, HFValidationError) as error:
        raise_shortage(error)
        raise HubError(hub_sentence(error, hub_id, revision)) from None  # the client's own error may contain the token


def current_commit(hub_id: str, revision: str | None) -> str | None:
    """Return the commit that `fetch_checkpoint` would take; None if it can't be told, which fetching then explains."""
    if COMMIT.fullmatch(revision or ""):
        return revision
    try:
        if not constants.is_offline_mode():
            return HfApi().model_info(hub_id, revision=revision).sha
        options: dict[str, Any] = {"allow_patterns": ["config.json"], "local_files_only": True}
        return Path(snapshot_download(hub_id, revision=revision, **options)).name
    except (OSError, httpx.HTTPError, UnicodeError, HFValidationError):
        return None


def _download(hub_id: str, revision: str | None, with_weights: bool) -> Path:
    # Ask the Hub first, because a snapshot download silently falls back to the cache.
    information = HfApi().model_info(hub_id, revision=revision)
    published = [each.rfilename for each in information.siblings or []]
    if "config.json" not in published:
        raise InputError(f"{hub_id} has no config.json, so it is not a transformers or timm model; check the name")
    if with_weights and WEIGHTS_FILE not in published and INDEX_FILE not in published:
        raise InputError(f"{hub_id} has no {WEIGHTS_FILE}; {conversion_advice(published, hub_id, revision)}")
    folder = Path(snapshot_download(hub_id, revision=revision, allow_patterns=list(CONFIG_FILES), tqdm_class=NoBar))
    if with_weights and WEIGHTS_FILE in published:
        _complete(hub_id, folder, [WEIGHTS_FILE])
    elif with_weights:
        _complete(hub_id, folder, [INDEX_FILE])
        _complete(hub_id, folder, shard_names(folder))
    _verify(folder)
    return folder


def _complete(hub_id: str, folder: Path, names: list[str]) -> None:
    if not all((folder / name).is_file() for name in names):
        snapshot_download(hub_id, revision=folder.name, allow_patterns=names)


def cached_checkpoint(hub_id: str, revision: str | None, with_weights: bool) -> Path | None:
    """Return a checkpoint's folder in the cache, or None if a file is missing or damaged; arguments as above."""
    try:
        folder = Path(
            snapshot_download(hub_id, revision=revision, allow_patterns=["config.json"], local_files_only=True)
        )
    except LocalEntryNotFoundError:
        return None
    wanted = ["config.json"]
    if with_weights and (folder / INDEX_FILE).is_file() and not (folder / WEIGHTS_FILE).is_file():
        wanted += shard_names(folder)
    elif with_weights:
        wanted.append(WEIGHTS_FILE)
    if not all((folder / name).is_file() for name in wanted):
        return None
    try:
        _verify(folder)
    except DamagedFileError as error:
        logger.warning("%s", error)
        return None
    return folder


def _verify(folder: Path) -> None:
    """Verify the checksums of large files, of which the clients check only the size.

    Raises:
        DamagedFileError: names a file that differs from the Hub's checksum; it is removed from the cache.
    """
    for path in sorted(folder.glob("*.safetensors")):
        if not path.is_symlink():
            continue  # without symbolic links the announced checksum is unknown
        blob = path.readlink()
        state = path.stat()
        if SHA256.fullmatch(blob.name) and _sha256(str(path), state.st_size, state.st_mtime_ns) != blob.name:
            (path.parent / blob).unlink(missing_ok=True)
            path.unlink(missing_ok=True)
            raise DamagedFileError(
                f"{path.name} in the cache was damaged (its sha256 differs from the Hub's) and has been removed"
            )


@functools.lru_cache(maxsize=1024)
def _sha256(path: str, size: int, modified: int) -> str:
    """Hash a file of the given size and modification time."""
    return file_sha256(Path(path))
