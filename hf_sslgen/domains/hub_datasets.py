"""A data set on the Hub: the one commit that all of it is taken from, and what to do where it can't be had."""

import logging
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import datasets
from datasets.exceptions import DatasetGenerationError, DatasetNotFoundError
from huggingface_hub import HfApi, constants, snapshot_download
from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError
from huggingface_hub.utils import httpx, validate_repo_id

from hf_sslgen.domains.domain_registry import find_domain
from hf_sslgen.domains.own_classes import load_with_own_classes
from hf_sslgen.errors import HubError, InputError, SslgenError
from hf_sslgen.hub_access.faults import DamagedFileError, Fault
from hf_sslgen.hub_access.refusals import Situation, hub_sentence, refusal
from hf_sslgen.hub_access.retries import NoBar, is_unreachable, with_retries
from hf_sslgen.local_paths import path_refusal
from hf_sslgen.shortages import raise_shortage

logger = logging.getLogger(__name__)

COMMIT = re.compile(r"[0-9a-f]{40}")
SMALL_FILES = ["README.md", ".gitattributes"]

NOT_LOADED = (
    DamagedFileError,
    DatasetNotFoundError,
    DatasetGenerationError,
    OSError,
    httpx.HTTPError,
    RuntimeError,
    ValueError,
)
"""What loading a data set raises where the Hub does not provide it, or the clients do not understand it."""

Result = TypeVar("Result")


@dataclass(frozen=True)
class HubDataset:
    """One commit of a data set, in one of its configurations.

    Attributes:
        config: None where it has one.
        commit: None where only the cache could be asked, and does not know it.
    """

    id: str
    config: str | None
    commit: str | None

    @property
    def repository(self) -> str:
        """As `hub_sentence` calls it."""
        return f"datasets/{self.id}"

    def __str__(self) -> str:
        return f"{self.id}@{self.commit}"


def resolve_dataset(hub_id: str, config: str | None, revision: str | None, streaming: bool) -> HubDataset:
    """The commit that a revision is now.

    Where HF_HUB_OFFLINE is set it is what the cache last knew it to be. So it is, with a warning, where the Hub can't
    be reached, unless the data is to be streamed.

    Args:
        revision: branch, tag or commit; None is the default branch.

    Raises:
        InputError: no data set can have that name.
        HubError: a sentence on what can't be had and what to do.
        DiskFullError: no room is left for it.
    """
    repository = f"datasets/{hub_id}"
    words = path_refusal(hub_id) if find_domain(hub_id) is None else ""
    if words:
        raise InputError(words)
    try:
        validate_repo_id(hub_id)
    except HFValidationError:
        raise InputError("it is no folder or file here, and no data set on the Hub can have this name") from None
    if constants.is_offline_mode():
        if streaming:
            raise HubError(refusal(Fault.OFFLINE, repository, situation=Situation.STREAMING))
        return HubDataset(hub_id, config, _cached_commit(hub_id, revision))
    try:
        commit = with_retries(lambda: _ask(hub_id, revision), repository, revision)
    except (OSError, httpx.HTTPError, UnicodeError) as error:
        raise_shortage(error)
        sentence = hub_sentence(error, repository, revision)
        cached = None if streaming or not is_unreachable(error) else _cached_commit(hub_id, revision)
        if cached is None:
            raise HubError(sentence) from None  # what a client says of its request may hold the token
        logger.warning("%s; going on with what the cache has of it, commit %s", sentence.partition("; ")[0], cached)
        return HubDataset(hub_id, config, cached)
    return HubDataset(hub_id, config, commit)


def _ask(hub_id: str, revision: str | None) -> str:
    information = HfApi().dataset_info(hub_id, revision=revision)
    commit = information.sha
    assert commit is not None
    if commit != revision and any(each.rfilename in SMALL_FILES for each in information.siblings or []):
        # The cache notes which commit a branch was only with a file that was asked for by the branch's name.
        snapshot_download(hub_id, repo_type="dataset", revision=revision, allow_patterns=SMALL_FILES, tqdm_class=NoBar)
    return commit


def _cached_commit(hub_id: str, revision: str | None) -> str | None:
    if COMMIT.fullmatch(revision or ""):
        return revision
    try:
        folder = snapshot_download(
            hub_id, repo_type="dataset", revision=revision, allow_patterns=SMALL_FILES, local_files_only=True
        )
    except LocalEntryNotFoundError:
        return None
    return Path(folder).name


def load_from_hub(found: HubDataset, streaming: bool) -> Any:
    """All splits of that commit, as `datasets` gives them.

    Raises:
        InputError: the configuration is none of the data set's, or there is nothing in it that `datasets` reads
            without running code.
        HubError, DiskFullError: as `resolve_dataset`.
    """
    if constants.is_offline_mode() and found.commit is None:
        raise HubError(refusal(Fault.OFFLINE, found.repository))
    if streaming:
        _leave_retries_to_the_clients()
    loaded = from_hub(lambda: load_with_own_classes(found.id, found.config, streaming, revision=found.commit), found)
    if not streaming:
        _check_commit(found, loaded)
    return loaded


def stream_column(found: HubDataset, split: str, column: str) -> datasets.IterableDataset:
    """One column of a split that is in parquet files, of which nothing else is read."""
    options = {"revision": found.commit, "streaming": True, "split": split, "columns": [column]}
    stream = from_hub(lambda: datasets.load_dataset(found.id, found.config, **options), found)
    assert isinstance(stream, datasets.IterableDataset)
    return stream


def _leave_retries_to_the_clients() -> None:
    """A request is tried for about 20 s by huggingface_hub and as a whole by us; `datasets` would do it 20 times."""
    for kind in ("READ", "OPEN"):
        setattr(datasets.config, f"STREAMING_{kind}_MAX_RETRIES", 1)
    for kind in ("READ", "READ_SERVER_UNAVAILABLE", "READ_RATE_LIMIT", "OPEN"):
        setattr(datasets.config, f"STREAMING_{kind}_RETRY_INTERVAL", 0)


def _check_commit(found: HubDataset, loaded: Any) -> None:
    """Where the Hub can't be asked, `datasets` takes the last prepared commit, whichever was asked for."""
    for split in loaded.values():
        for file in split.cache_files:
            commit = Path(file["filename"]).parent.name
            if COMMIT.fullmatch(commit) and commit != found.commit:
                raise InputError(
                    f"{found.repository} at commit {found.commit} is not in the cache, which has {commit}; load it "
                    f"once with the Hub in reach, or give --dataset_revision {commit}"
                )


def from_hub(action: Callable[[], Result], found: HubDataset) -> Result:
    """What `action` gets from the Hub, tried again where a fault may pass.

    Raises:
        InputError, HubError, DiskFullError: as `load_from_hub`.
    """
    try:
        return with_retries(action, found.repository, found.commit)
    except InputError:
        raise
    except NOT_LOADED as error:
        raise_shortage(error)
        raise _refused(error, found) from None


def _refused(error: Exception, found: HubDataset) -> SslgenError:
    text = str(error)
    if "BuilderConfig" in text or text.startswith("Config name is missing"):
        names = ", ".join(from_hub(lambda: datasets.get_dataset_config_names(found.id, revision=found.commit), found))
        missing = "needs a configuration" if found.config is None else f"has no configuration {found.config!r}"
        return InputError(f"{found.repository} {missing}; give --dataset_config_name, one of: {names}")
    if "gated dataset" in text:
        return HubError(refusal(Fault.GATED, found.repository))
    if isinstance(error, RuntimeError) and "script" in text.lower():
        return InputError(
            f"{found.repository} needs code from its repository, which is never run here; name a copy in parquet"
        )
    return HubError(hub_sentence(error, found.repository, found.commit))
