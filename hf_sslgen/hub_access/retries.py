"""Retry requests to the Hub, and to servers of published files: which, how often and after how long."""

import json
import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils import httpx
from tqdm.auto import tqdm

from hf_sslgen.hub_access.faults import is_broken_connection, is_incomplete, response_in, status_of
from hf_sslgen.hub_access.refusals import hub_sentence

logger = logging.getLogger(__name__)

STALE_PARENT = 412

Result = TypeVar("Result")


@dataclass(frozen=True)
class RetryPolicy:
    """The retry policy.

    Attributes:
        waits: seconds before the second, third and fourth attempt.
        longest_wait: the longest pause, in seconds, that the Hub may request.
        passing: statuses after which the same request may succeed later.
        overtaken_tries: how often other commits may intervene between reading and committing before giving up.
        overtaken_wait: the longest pause, in seconds, before reading again; drawn at random.
    """

    waits: tuple[float, ...] = (1.0, 2.0, 4.0)
    longest_wait: float = 30.0
    passing: tuple[int, ...] = (408, 429, 500, 502, 503, 504)
    overtaken_tries: int = 20
    overtaken_wait: float = 0.5


POLICY = RetryPolicy()


class NoBar(tqdm):
    """A disabled progress bar, for small files."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{**kwargs, "disable": True})


def may_pass(error: BaseException) -> bool:
    """Whether the same request may succeed later."""
    return status_of(error) in POLICY.passing or is_broken_connection(error) or is_incomplete(error)


def is_unreachable(error: BaseException) -> bool:
    """Whether the Hub did not respond, or only that it is temporarily unavailable."""
    return not is_incomplete(error) and may_pass(error)


def _wait(error: BaseException, planned: float) -> float:
    """Return the pause before the next attempt, which is longer if the Hub requests it."""
    answer = response_in(error)
    wanted = answer.headers.get("Retry-After", "") if answer is not None else ""
    return min(max(planned, float(wanted)), POLICY.longest_wait) if wanted.isdigit() else planned


def asked(action: Callable[[], Result]) -> Result:
    """Run `action`, treating a response that is not JSON, from a proxy or truncated, as a broken connection."""
    try:
        return action()
    except json.JSONDecodeError as error:
        raise httpx.RemoteProtocolError("a response that is not JSON") from error


def with_retries(action: Callable[[], Result], repository: str, revision: str | None = None) -> Result:
    """Run `action`, retrying with a log message if the Hub was busy, unreachable or dropped the connection.

    The clients retry uploads and queries by themselves, but not a download that is answered with 503.

    Args:
        repository: as in `hub_sentence`.
    """
    return repeated(action, lambda error: hub_sentence(error, repository, revision))


def repeated(action: Callable[[], Result], sentence: Callable[[BaseException], str]) -> Result:
    """Run `action` under the same policy for any server.

    Args:
        sentence: states what went wrong and, after a semicolon, what to do.
    """
    waits = POLICY.waits
    for attempt, planned in enumerate(waits, start=2):
        try:
            return asked(action)
        except Exception as error:  # the clients wrap it in their own errors
            if not may_pass(error):
                raise
            wait = _wait(error, planned)
            reason = sentence(error).partition("; ")[0]
            logger.warning("%s; attempt %d of %d follows in %g s", reason, attempt, len(waits) + 1, wait)
            time.sleep(wait)
    return asked(action)


def patiently(step: Callable[[], Result], repository: str) -> Result:
    """Run `step`, repeating it if the Hub failed temporarily or another commit came first.

    Args:
        step: reads the Hub's state on every call, so that completed work is not repeated.
        repository: as in `hub_sentence`.
    """
    for _ in range(POLICY.overtaken_tries):
        try:
            return with_retries(step, repository)
        except HfHubHTTPError as error:
            if error.response.status_code != STALE_PARENT:
                raise
            logger.info("another commit to %s came first; trying again on top of it", repository)
            time.sleep(random.uniform(0, POLICY.overtaken_wait))
    return with_retries(step, repository)
