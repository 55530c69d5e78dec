"""Exchanges about studies and metrics: again where somebody else was quicker, one sentence where they fail."""

import logging
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from huggingface_hub.errors import HfHubHTTPError, HFValidationError, HTTPError, OfflineModeIsEnabled
from huggingface_hub.utils import httpx

from hf_sslgen.errors import InputError
from hf_sslgen.hub.refusals import AGAIN, push_sentence
from hf_sslgen.hub_access import hub_sentence, with_retries
from hf_sslgen.tokens import without_tokens

logger = logging.getLogger(__name__)

Answer = TypeVar("Answer")

NO_RIGHT, STALE_PARENT = 403, 412
OVERTAKEN_TRIES = 20
"""How often others may commit between our look and our commit; each time somebody got on."""

BAD_CARD = "Invalid metadata in README.md."


def patiently(step: Callable[[], Answer], page: str) -> Answer:
    """What `step` returns, called again where the Hub failed for a moment or somebody else committed first.

    Args:
        step: looks at the Hub afresh each time, so that what an earlier call achieved is not done again.
        page: the repository as `hub_sentence` takes it.
    """
    for _ in range(OVERTAKEN_TRIES):
        try:
            return with_retries(step, page)
        except HfHubHTTPError as error:
            if error.response.status_code != STALE_PARENT:
                raise
            logger.info("somebody else committed to %s in the meantime; trying again on top of that", page)
            time.sleep(random.uniform(0, 0.5))
    return with_retries(step, page)


@contextmanager
def in_one_sentence(repository: str, kind: str, writing: bool) -> Iterator[None]:
    """Turn what the client raises inside the block into an InputError that says what to do.

    Args:
        kind: `dataset` or `space`.
        writing: whether the block writes to it.
    """
    page = f"{kind}s/{repository}"
    try:
        yield
    except InputError:
        raise
    except HFValidationError as error:
        raise InputError(
            f"{repository!r} can't be a repository on the Hub; give it as owner/name, of letters, digits, '-', '_' "
            "and '.'"
        ) from error
    except UnicodeError as error:  # a token that no header can hold
        raise InputError(hub_sentence(error, page)) from error
    except (HTTPError, OSError) as error:  # before ValueError, which a refusal with 400 is too
        if isinstance(error, OSError) and error.errno is not None:  # of this machine, such as a full disk
            raise
        raise InputError(without_tokens(_sentence(error, page, writing))) from error
    except ValueError as error:  # of the client, which asks the Hub about a card before it sends anything
        if not str(error).startswith(BAD_CARD):
            raise
        said = " ".join(without_tokens(str(error)).removeprefix(BAD_CARD).split())
        raise InputError(f"the Hub refuses the card of {page}: {said}") from error


def _sentence(error: HTTPError | OSError, page: str, writing: bool) -> str:
    if isinstance(error, OfflineModeIsEnabled) and not writing:
        return f"HF_HUB_OFFLINE is set, so nothing can be pulled; unset it and {AGAIN}"
    if not writing or isinstance(error, httpx.LocalProtocolError):  # the latter's text holds the token
        return hub_sentence(error, page)
    if isinstance(error, HfHubHTTPError) and error.response.status_code == NO_RIGHT:
        return (
            f"the token has no right to write to {page}: it needs the role 'write', and its owner a place there; give "
            "another repository, or another token by `hf auth login` or HF_TOKEN"
        )
    return push_sentence(error, page)
