"""Push files to a repository on the Hub in one commit, completely or not at all.

A push that is repeated after a failure sends what is missing: content that the Hub has already stored is not sent
twice, and a push without changes makes no commit.
"""

import fnmatch
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from huggingface_hub import CommitInfo, CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError
from huggingface_hub.utils import get_token, validate_repo_id

from hf_sslgen.errors import HubError, InputError
from hf_sslgen.hub_access.exchange import warned_where_it_may_pass
from hf_sslgen.hub_access.faults import EXCHANGE_ERRORS, Fault
from hf_sslgen.hub_access.refusals import PUSHING_MODEL, hub_sentence, refusal
from hf_sslgen.hub_access.retries import asked, with_retries

logger = logging.getLogger(__name__)

Operation = CommitOperationAdd | CommitOperationDelete

FRESH = {".gitattributes", "README.md"}
"""Files that a newly created repository may contain."""


@dataclass(frozen=True)
class PushRequest:
    """Where to push, following the Trainer's `hub_*` arguments; a model, or a Gradio Space.

    Attributes:
        model_id: `owner/name`, or only a name, which belongs to the owner of the token.
        revision: the branch, created if it does not exist; None is `main`.
        private: visibility of a new repository; an existing one is unchanged.
        token: None uses the token of HF_TOKEN or `hf auth login`.
    """

    model_id: str
    revision: str | None = None
    private: bool | None = None
    token: str | None = field(default=None, repr=False)
    kind: Literal["model", "space"] = "model"


@dataclass(frozen=True)
class Pushed:
    """Result of a push: the repository's page, its commit, and whether the commit is new."""

    url: str
    commit: str
    changed: bool


def hub_client(request: PushRequest) -> HfApi:
    """Return a client with the request's token.

    Raises:
        HubError: there is no token, or it contains invalid characters (the client's own error would reveal it).
    """
    token = (request.token or get_token() or "").strip()
    if not token:
        raise HubError(refusal(Fault.NO_TOKEN, request.model_id, situation=PUSHING_MODEL))
    if not re.fullmatch(r"[!-~]+", token):
        raise HubError(refusal(Fault.UNUSABLE_TOKEN, request.model_id, situation=PUSHING_MODEL))
    return HfApi(token=token)


def full_name(api: HfApi, model_id: str) -> str:
    """Return `owner/name` of a repository; without an owner, the Hub is asked for the owner of the token."""
    return model_id if "/" in model_id else f"{api.whoami()['name']}/{model_id}"


def check_access(api: HfApi, model_id: str) -> None:
    """Check before training whether the push can succeed; nothing is created or changed on the Hub.

    An unreachable Hub is only logged, because it may be reachable again when training ends.

    Raises:
        HubError: the token is unknown or lacks write access.
        InputError: the name is not a valid repository name.
    """
    try:
        validate_repo_id(model_id)
    except HFValidationError as error:
        raise InputError(f"hub_model_id {model_id!r} is not a valid repository name: {error}") from error
    with warned_where_it_may_pass(model_id, model_id, "The push will be attempted after training"):
        owner = asked(api.whoami)
        repository = model_id if "/" in model_id else f"{owner['name']}/{model_id}"
        try:
            api.auth_check(repository, write=True)
        except RepositoryNotFoundError as error:
            writable = {owner["name"], *(each["name"] for each in owner["orgs"] if each.get("roleInOrg") != "read")}
            role = owner["auth"]["accessToken"].get("role")
            if role == "read" or repository.split("/")[0] not in writable:
                said = refusal(Fault.NO_RIGHT, repository, situation=PUSHING_MODEL)
                raise HubError(said) from error


def push_files(
    api: HfApi,
    request: PushRequest,
    files: Mapping[str, Path | bytes],
    message: str,
    replaced: Sequence[str] = (),
) -> Pushed:
    """Write `files` to the repository, which is created if it does not exist.

    Temporary failures are retried, by huggingface_hub internally and by `with_retries` as a whole.

    Args:
        files: local file or content by path in the repository.
        replaced: patterns of paths from an earlier push, deleted unless `files` contains them; `*` does not match a
            slash.

    Raises:
        HubError: the Hub refuses the push or can't be reached, or another push came first.
    """
    try:
        return with_retries(lambda: push_once(api, request, files, message, replaced), request.model_id)
    except EXCHANGE_ERRORS as error:
        raise HubError(hub_sentence(error, request.model_id, situation=PUSHING_MODEL)) from error
    except ValueError as error:  # raised by huggingface_hub if the Hub rejects a card
        raise HubError(f"{request.model_id} can't be pushed: {' '.join(str(error).split())}") from error


def push_once(
    api: HfApi, request: PushRequest, files: Mapping[str, Path | bytes], message: str, replaced: Sequence[str]
) -> Pushed:
    """Attempt `push_files` once, with the client's own exceptions.

    Raises:
        HfHubHTTPError: 412 if there was another commit in the meantime; other statuses if the Hub refuses the push.
    """
    repository = full_name(api, request.model_id)
    sdk = "gradio" if request.kind == "space" else None
    api.create_repo(repository, private=request.private, repo_type=request.kind, space_sdk=sdk, exist_ok=True)
    if request.revision is not None and request.revision != "main":
        api.create_branch(repository, branch=request.revision, exist_ok=True)
    look = api.space_info if request.kind == "space" else api.model_info
    before = look(repository, revision=request.revision)
    present = {sibling.rfilename for sibling in before.siblings or ()}
    gone = [path for path in sorted(present - files.keys()) if any(_matches(path, each) for each in replaced)]
    operations: list[Operation] = [CommitOperationAdd(path, content) for path, content in files.items()]
    operations += map(CommitOperationDelete, gone)
    commit = commit_on(before.sha, api, repository, operations, message, request.kind, request.revision)
    page = f"{api.endpoint}/{'spaces/' if request.kind == 'space' else ''}{repository}"
    return Pushed(page, commit.oid, commit.oid != before.sha)


def _matches(path: str, pattern: str) -> bool:
    return path.count("/") == pattern.count("/") and fnmatch.fnmatchcase(path, pattern)


def commit_on(
    parent: str | None,
    api: HfApi,
    repository: str,
    operations: Sequence[Operation],
    message: str,
    kind: str = "model",
    revision: str | None = None,
) -> CommitInfo:
    """Commit, unless the branch has moved on from `parent`, because that would undo another push."""
    try:
        return api.create_commit(
            repository,
            operations,
            commit_message=message,
            repo_type=kind,
            revision=revision,
            parent_commit=parent,
        )
    except RuntimeError as error:  # wraps any failure with one of several large files
        if isinstance(error.__cause__, EXCHANGE_ERRORS):
            raise error.__cause__ from None  # from `error` would make a cycle of causes
        raise
