"""Exchanges with the Hub: what fails for a moment is tried again, and what fails for good ends as one sentence."""

import logging
import random
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    HTTPError,
    LocalTokenNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import get_token

from hf_sslgen.errors import InputError

logger = logging.getLogger(__name__)

Answer = TypeVar("Answer")

MOMENTARY = (408, 429, 500, 502, 503, 504)
"""Answers of a Hub that may be well again in a moment."""

STALE_PARENT = 412
BAD_CARD = "Invalid metadata in README.md."
WAITS = (1.0, 3.0)
"""Seconds before the second and the third try."""

OVERTAKEN_TRIES = 20
"""How often others may commit between our look and our commit; each time somebody got on."""

TOKEN = re.compile(r"\b(?:hf_oauth_[\w.-]+|(?:hf|api_org)_[A-Za-z0-9]{16,})")


class DamagedFileError(OSError):
    """A file that arrived with another content than the Hub says it has."""


def without_tokens(text: str) -> str:
    """Text in which every access token is blotted out."""
    return TOKEN.sub("(token)", text)


def _status(error: BaseException) -> int | None:
    return error.response.status_code if isinstance(error, HfHubHTTPError) else None


def _is_ours(error: BaseException) -> bool:
    """Whether an OSError comes from this machine, such as a full disk, and not from the exchange."""
    return isinstance(error, OSError) and not isinstance(error, HfHubHTTPError) and error.errno is not None


def _is_offline(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, OfflineModeIsEnabled):
            return True
        error = error.__cause__
    return False


def _is_momentary(error: BaseException) -> bool:
    if _is_ours(error) or _is_offline(error) or isinstance(error, LocalTokenNotFoundError):
        return False
    status = _status(error)
    return status is None or status in MOMENTARY


def patiently(step: Callable[[], Answer]) -> Answer:
    """What `step` returns, called again where the Hub failed for a moment or somebody else committed first.

    Args:
        step: looks at the Hub afresh each time, so that what an earlier call achieved is not done again.
    """
    failed = overtaken = 0
    while True:
        try:
            return step()
        except (HTTPError, OSError) as error:
            if _status(error) == STALE_PARENT and overtaken < OVERTAKEN_TRIES:
                overtaken += 1
                logger.info("somebody else committed in the meantime; trying again on top of that")
                time.sleep(random.uniform(0, 0.5))
                continue
            if not _is_momentary(error) or failed == len(WAITS):
                raise
            logger.info("%s; trying again in %g s", _reason(error), WAITS[failed])
            time.sleep(WAITS[failed])
            failed += 1


def _reason(error: BaseException) -> str:
    status = _status(error)
    if status is not None:
        return f"the Hub answers {status}"
    if isinstance(error, DamagedFileError):
        return without_tokens(str(error))
    return f"the connection to the Hub failed ({type(error.__cause__ or error).__name__})"


@contextmanager
def in_one_sentence(repository: str, kind: str, endpoint: str, writing: bool) -> Iterator[None]:
    """Turn what the client raises inside the block into an InputError that says what to do.

    Args:
        kind: of repository, as messages call it, such as `dataset`.
        writing: whether the block writes to it.
    """
    try:
        yield
    except HFValidationError as error:
        raise InputError(
            f"{repository!r} can't be a repository on the Hub; give it as owner/name, of letters, digits, '-', '_' "
            "and '.'"
        ) from error
    except InputError:
        raise
    except ValueError as error:  # of the client, which asks the Hub about a card before it sends anything
        if not str(error).startswith(BAD_CARD):
            raise
        said = " ".join(without_tokens(str(error)).removeprefix(BAD_CARD).split())
        raise InputError(f"the Hub refuses the card of {repository}: {said}") from error
    except (HTTPError, OSError) as error:
        if _is_ours(error) and not _is_offline(error):
            raise
        raise InputError(_sentence(error, repository, kind, endpoint, writing)) from error


def _sentence(error: BaseException, repository: str, kind: str, endpoint: str, writing: bool) -> str:
    status = _status(error)
    owner = repository.partition("/")[0]
    may = "write" if writing else "read"
    login = f"run `hf auth login`, or set HF_TOKEN to a token that may {may} {repository}"
    again = "nothing is lost: run the same command again to go on"
    if _is_offline(error):
        return f"HF_HUB_OFFLINE is set, so {repository} can't be reached: unset it and run the same command again"
    if get_token() is None and (status in (401, 403) or isinstance(error, LocalTokenNotFoundError)):
        return f"without a token {repository} can't be {'written' if writing else 'read'}: {login}"
    if status == 401 and "Invalid credentials" in str(error):
        return f"the Hub does not know the token: {login}"
    if isinstance(error, GatedRepoError):
        page = f"{endpoint}/{kind}s/{repository}"
        return f"access to {repository} is restricted: ask for it on {page}, then run the same command again"
    if isinstance(error, RevisionNotFoundError):
        return f"{repository} has no such revision"
    if isinstance(error, RepositoryNotFoundError):
        return (
            f"there is no {kind} {repository!r} on {endpoint} that you may {may}: check the name, and whether the "
            f"token is that of a member of {owner!r}"
        )
    if status in (401, 403):
        return (
            f"the token has no right to {may} {repository}: it needs the role {may!r}, and its owner a place in "
            f"{owner!r}"
        )
    if status == STALE_PARENT:
        return f"others keep committing to {repository}; run the same command again when they are done"
    if status is not None and status not in MOMENTARY and isinstance(error, HfHubHTTPError):
        said = without_tokens(error.server_message or f"answer {status}")
        return f"the Hub refuses {repository}: {said}"
    if status is None and not isinstance(error, DamagedFileError):
        return f"{_reason(error)} at {endpoint}; {again}"
    return f"{_reason(error)} for {repository}; {again}"
