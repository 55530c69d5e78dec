"""Exchanges with the Hub that end in one sentence where they fail."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from huggingface_hub import get_token
from huggingface_hub.errors import HFValidationError, HTTPError

from hf_sslgen.errors import HubError, InputError, SslgenError
from hf_sslgen.hub_access.faults import EXCHANGE_ERRORS, DamagedFileError, Fault
from hf_sslgen.hub_access.refusals import Situation, hub_sentence, refusal
from hf_sslgen.hub_access.retries import may_pass
from hf_sslgen.tokens import without_tokens

logger = logging.getLogger(__name__)

BAD_CARD = "Invalid metadata in README.md."


def require_token(repository: str) -> None:
    """Raise HubError where there is no token, without which nothing can be pushed."""
    if get_token() is None:
        raise HubError(refusal(Fault.NO_TOKEN, repository, situation=Situation.PUSHING))


@contextmanager
def in_one_sentence(repository: str, kind: str, writing: bool) -> Iterator[None]:
    """Turn what the client raises inside the block into an error that says what to do.

    Args:
        kind: `dataset` or `space`.
        writing: whether the block writes to it.

    Raises:
        InputError: no repository can have the name.
        HubError: the Hub refuses, or is away.
    """
    page = f"{kind}s/{repository}"
    situation = Situation.PUSHING if writing else Situation.PULLING
    try:
        yield
    except DamagedFileError as error:
        raise HubError(hub_sentence(error, page, None, situation)) from error
    except SslgenError:
        raise
    except HFValidationError as error:
        raise InputError(
            f"{repository!r} can't be a repository on the Hub; give it as owner/name, of letters, digits, '-', '_' "
            "and '.'"
        ) from error
    except (HTTPError, OSError, UnicodeError) as error:  # before ValueError, which a refusal with 400 is too
        if isinstance(error, OSError) and error.errno is not None:  # of this machine, such as a full disk
            raise
        raise HubError(hub_sentence(error, page, None, situation)) from error
    except ValueError as error:  # of the client, which asks the Hub about a card before it sends anything
        if not str(error).startswith(BAD_CARD):
            raise
        said = " ".join(without_tokens(str(error)).removeprefix(BAD_CARD).split())
        raise HubError(f"the Hub refuses the card of {page}: {said}") from error


@contextmanager
def warned_where_it_may_pass(repository: str, what: str, later: str) -> Iterator[None]:
    """Check something of a model's push before training; a fault that may pass until it ends is only logged.

    Args:
        repository: as in `hub_sentence`.
        what: is being checked, in words.
        later: what happens after training, in a sentence.

    Raises:
        HubError: a fault that would be the same later.
    """
    try:
        yield
    except EXCHANGE_ERRORS as error:
        said = hub_sentence(error, repository, situation=Situation.PUSHING_MODEL)
        if not may_pass(error):
            raise HubError(said) from error
        logger.warning("%s can't be checked now: %s. %s", what, said, later)
