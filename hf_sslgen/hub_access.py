"""Talking to the Hub: what is tried again, and a sentence for what can't be had that says what to do."""

import json
import logging
import time
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from huggingface_hub import constants, get_token
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import httpx
from tqdm.auto import tqdm

logger = logging.getLogger(__name__)

WAITS = (1.0, 2.0, 4.0)
"""Seconds before the second, third and fourth attempt."""

LONGEST_WAIT = 30.0
"""The longest pause that the Hub may ask for."""

PASSING_STATUS = (408, 429, 500, 502, 503, 504)
INCOMPLETE = "Consistency check failed"

Result = TypeVar("Result")


class NoBar(tqdm):
    """A progress bar for files that are too small for one."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "disable": True})


class DamagedFileError(OSError):
    """A file that is not what the Hub says it is; it is removed from the cache before this is raised."""


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error and what led to it: the clients wrap what the Hub answered."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__


def _status(error: BaseException) -> int | None:
    for each in _chain(error):
        if isinstance(each, HfHubHTTPError):
            return int(each.response.status_code)
    return None


def _is_broken_connection(error: BaseException) -> bool:
    lasting = (httpx.LocalProtocolError, httpx.ProxyError, httpx.UnsupportedProtocol)
    return any(isinstance(each, httpx.TransportError) and not isinstance(each, lasting) for each in _chain(error))


def _is_incomplete(error: BaseException) -> bool:
    return any(isinstance(each, DamagedFileError) or INCOMPLETE in str(each) for each in _chain(error))


def may_pass(error: BaseException) -> bool:
    """Whether the same request may succeed a little later."""
    return _status(error) in PASSING_STATUS or _is_broken_connection(error) or _is_incomplete(error)


def is_unreachable(error: BaseException) -> bool:
    """Whether the Hub gave no answer, or none but that it can't give one now."""
    return not _is_incomplete(error) and may_pass(error)


def _wait(error: BaseException, planned: float) -> float:
    """The pause before the next attempt: longer where the Hub says so."""
    for each in _chain(error):
        if isinstance(each, HfHubHTTPError):
            asked = each.response.headers.get("Retry-After", "")
            if asked.isdigit():
                return min(max(planned, float(asked)), LONGEST_WAIT)
    return planned


def asked(action: Callable[[], Result]) -> Result:
    """What `action` returns; an answer that is no JSON, as of a proxy or one that was cut, is a broken connection."""
    try:
        return action()
    except json.JSONDecodeError as error:
        raise httpx.RemoteProtocolError("an answer that is no JSON") from error


def with_retries(action: Callable[[], Result], repository: str, revision: str | None = None) -> Result:
    """What `action` returns, tried again where the Hub was busy, away or broke off; says so each time.

    The clients try uploads and questions again by themselves, but not a download that is answered 503.

    Args:
        repository: as in `hub_sentence`.
    """
    for attempt, planned in enumerate(WAITS, start=2):
        try:
            return asked(action)
        except Exception as error:  # the clients wrap it in errors of their own
            if not may_pass(error):
                raise
            wait = _wait(error, planned)
            reason = hub_sentence(error, repository, revision).partition("; ")[0]
            logger.warning("%s; attempt %d of %d follows in %g s", reason, attempt, len(WAITS) + 1, wait)
            time.sleep(wait)
    return asked(action)


def repository_page(repository: str) -> str:
    """Address of a repository's page; `repository` is `owner/name`, behind `datasets/` or `spaces/` for those."""
    return f"{constants.ENDPOINT}/{repository}"


def hub_sentence(error: BaseException, repository: str, revision: str | None = None) -> str:
    """What went wrong with the Hub; then, behind a semicolon, what to do.

    Args:
        repository: `owner/name` of a model, behind `datasets/` or `spaces/` for those.
        revision: the one that was asked for.
    """
    page, status, chain = repository_page(repository), _status(error), list(_chain(error))
    token = get_token()
    identity = "the account whose token was sent" if token else "an anonymous visitor (nobody is logged in)"
    if any(isinstance(each, OfflineModeIsEnabled) for each in chain):
        return f"{repository} is not in the cache, and HF_HUB_OFFLINE is set; load it once without it"
    if any(isinstance(each, GatedRepoError) for each in chain):
        return (
            f"{repository} is gated and {identity} has not been let in; ask for access at {page}, then log in with "
            "`hf auth login` as who has it"
        )
    if any(isinstance(each, RepositoryNotFoundError) for each in chain):
        return (
            f"there is no {repository} on {constants.ENDPOINT}, or it is private and {identity} can't see it; check "
            "the name, or log in with `hf auth login` as somebody who has access"
        )
    if any(isinstance(each, RevisionNotFoundError) for each in chain):
        return f"{repository} has no branch, tag or commit {revision!r}; see {page}/tree/main for those it has"
    if status == 401:
        return (
            "the Hub does not know the token that was sent; log in again with `hf auth login`, or correct or unset "
            "HF_TOKEN"
        )
    if status == 403:
        return (
            f"the token that was sent has no right to this in {repository}; give it one at "
            f"{constants.ENDPOINT}/settings/tokens, or log in with `hf auth login` as somebody who has it"
        )
    if status == 429:
        return (
            f"the Hub gets too many requests from here and answers 429 for {repository}; wait some minutes and run "
            "this again (whoever is logged in with `hf auth login` may ask more often)"
        )
    if status is not None and status >= 500:
        return (
            f"the Hub is in trouble and answers {status} for {repository}; run this again later, what is downloaded "
            "stays"
        )
    if any(isinstance(each, DamagedFileError) for each in chain):
        return f"{error}; run this again, what is downloaded whole stays"
    if _is_incomplete(error):
        return f"a file of {repository} arrived incomplete; run this again, what is downloaded whole stays"
    if _is_broken_connection(error):
        return (
            f"the Hub at {constants.ENDPOINT} can't be reached or broke off while {repository} was asked for; run "
            "this again when the connection stands, what is downloaded whole stays"
        )
    if any(isinstance(each, UnicodeError) for each in chain):
        return "HF_TOKEN holds characters that no token has; correct it, or log in with `hf auth login`"
    if any(isinstance(each, LocalEntryNotFoundError) for each in chain):
        return f"{repository} is not in the cache; load it once with the Hub in reach"
    text = str(error).replace(token, "(token)") if token else str(error)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return f"{lines[0] if lines else type(error).__name__} (while {repository} was asked for)"
