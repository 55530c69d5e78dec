"""Datasets on the Hub: pin the whole dataset to one commit, and explain why one can't be loaded."""

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
    """One commit of a dataset, in one configuration.

    Attributes:
        config: None if the dataset has only one.
        commit: None if only the cache was available and does not know it.
    """

    id: str
    config: str | None
    commit: str | None

    @property
    def repository(self) -> str:
        """The repository's description, as used by `hub_sentence`."""
        return f"datasets/{self.id}"

    def __str__(self) -> str:
        return f"{self.id}@{self.commit}"


def resolve_dataset(hub_id: str, config: str | None, revision: str | None, streaming: bool) -> HubDataset:
    """Resolve a revision to its current commit.

    With HF_HUB_OFFLINE set, the cache's last known commit is used. The same happens, with a warning, if the Hub can't
    be reached, unless the data is to be streamed.

    Args:
        revision: branch, tag or commit; None is the default branch.

    Raises:
        InputError: no dataset can have that name.
        HubError: states what is unavailable and what to do.
        DiskFullError: the disk has no room for it.
    """
    repository = f"datasets/{hub_id}"
    words = path_refusal(hub_id) if find_domain(hub_id) is None else ""
    if words:
        raise InputError(words)
    try:
        validate_repo_id(hub_id)
    except HFValidationError:
        raise InputError("it is neither a local folder or file nor a valid name of a dataset on the Hub") from None
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
            raise HubError(sentence) from None  # the client's own error may contain the token
        logger.warning("%s; continuing with the cached commit %s", sentence.partition("; ")[0], cached)
        return HubDataset(hub_id, config, cached)
    return HubDataset(hub_id, config, commit)


def _ask(hub_id: str, revision: str | None) -> str:
    information = HfApi().dataset_info(hub_id, revision=revision)
    commit = information.sha
    assert commit is not None
    if commit != revision and any(each.rfilename in SMALL_FILES for each in information.siblings or []):
        # The cache records a branch's commit only for files that were requested by the branch's name.
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
    """Load all splits of that commit with `datasets`.

    Raises:
        InputError: the dataset lacks the configuration, or `datasets` can't read it without running code.
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
    """Read a single column of a split from its parquet files."""
    options = {"revision": found.commit, "streaming": True, "split": split, "columns": [column]}
    stream = from_hub(lambda: datasets.load_dataset(found.id, found.config, **options), found)
    assert isinstance(stream, datasets.IterableDataset)
    return stream


def _leave_retries_to_the_clients() -> None:
    """Limit the retries of `datasets`, which would be 20: huggingface_hub already retries each request for 20 s."""
    for kind in ("READ", "OPEN"):
        setattr(datasets.config, f"STREAMING_{kind}_MAX_RETRIES", 1)
    for kind in ("READ", "READ_SERVER_UNAVAILABLE", "READ_RATE_LIMIT", "OPEN"):
        setattr(datasets.config, f"STREAMING_{kind}_RETRY_INTERVAL", 0)


def _check_commit(found: HubDataset, loaded: Any) -> None:
    """Raise InputError if `datasets`, unable to reach the Hub, would load another commit than the requested one."""
    for split in loaded.values():
        for file in split.cache_files:
            commit = Path(file["filename"]).parent.name
            if COMMIT.fullmatch(commit) and commit != found.commit:
                raise InputError(
                    f"{found.repository} at commit {found.commit} is not in the cache, which has {commit}; load it "
                    f"once online, or give --dataset_revision {commit}"
                )


def from_hub(action: Callable[[], Result], found: HubDataset) -> Result:
    """Run `action`, which reads from the Hub, and retry after temporary faults.

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
            f"{found.repository} needs code from its repository, which is never run; use a copy in parquet format"
        )
    return HubError(hub_sentence(error, found.repository, found.commit))
