"""The files of a checkpoint on the Hub: one commit's, whole, in the cache that all Hugging Face libraries share."""

import functools
import logging
import re
from pathlib import Path

from huggingface_hub import HfApi, constants, snapshot_download
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
    """The folder of one commit's configuration, preprocessing and safetensors weights; its name is the commit.

    A commit that is in the cache is taken from there without asking the Hub. So is the last known state of a branch or
    tag where the Hub can't be reached, with a warning, or where HF_HUB_OFFLINE is set.

    Args:
        revision: branch, tag or commit; None is the default branch.
        with_weights: whether weights are wanted too.

    Raises:
        HubError: a sentence on what can't be had and what to do.
        DiskFullError: no room is left for it.
    """
    offline = constants.is_offline_mode()
    if offline or COMMIT.fullmatch(revision or ""):
        cached = _cached(hub_id, revision, with_weights)
        if cached is not None:
            return cached
    if offline:
        raise HubError(refusal(Fault.OFFLINE, hub_id, revision))
    try:
        return with_retries(lambda: _download(hub_id, revision, with_weights), hub_id, revision)
    except (DamagedFileError, OSError, httpx.HTTPError, UnicodeError, HFValidationError) as error:
        raise_shortage(error)
        sentence = hub_sentence(error, hub_id, revision)
        cached = _cached(hub_id, revision, with_weights) if is_unreachable(error) else None
        if cached is None:
            raise HubError(sentence) from None  # what a client says of its request may hold the token
    logger.warning("%s; going on with what the cache has of it, commit %s", sentence.partition("; ")[0], cached.name)
    return cached


def _download(hub_id: str, revision: str | None, with_weights: bool) -> Path:
    # Asked first, because a snapshot quietly falls back to what is cached.
    information = HfApi().model_info(hub_id, revision=revision)
    published = [each.rfilename for each in information.siblings or []]
    if "config.json" not in published:
        raise InputError(f"{hub_id} has no config.json, so it is no model of transformers or timm; check the name")
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


def _cached(hub_id: str, revision: str | None, with_weights: bool) -> Path | None:
    """The folder in the cache, or None where something of it is missing or damaged."""
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
    """Compare large files with their checksum: the clients check only their size.

    Raises:
        DamagedFileError: names a file that is not what the Hub announced; it is removed from the cache.
    """
    for path in sorted(folder.glob("*.safetensors")):
        if not path.is_symlink():
            continue  # where the file system knows no links, nothing says what was announced
        blob = path.readlink()
        state = path.stat()
        if SHA256.fullmatch(blob.name) and _sha256(str(path), state.st_size, state.st_mtime_ns) != blob.name:
            (path.parent / blob).unlink(missing_ok=True)
            path.unlink(missing_ok=True)
            raise DamagedFileError(
                f"{path.name} in the cache was damaged (its sha256 is not the one that the Hub states) and is removed"
            )


@functools.lru_cache(maxsize=1024)
def _sha256(path: str, size: int, modified: int) -> str:
    """Of a file that had this size and time of change."""
    return file_sha256(Path(path))
