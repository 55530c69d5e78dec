"""Run exchanges with the Hub, turning failures into one-sentence errors."""

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
    """Raise HubError if there is no token, which every push needs."""
    if get_token() is None:
        raise HubError(refusal(Fault.NO_TOKEN, repository, situation=Situation.PUSHING))


@contextmanager
def in_one_sentence(repository: str, kind: str, writing: bool) -> Iterator[None]:
    """Convert the client's exceptions in the block to an error that says what to do.

    Args:
        kind: `dataset` or `space`.
        writing: whether the block writes to it.

    Raises:
        InputError: the name is not a valid repository name.
        HubError: the Hub refuses or can't be reached.
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
            f"{repository!r} is not a valid repository name; give owner/name, with letters, digits, '-', '_' and '.' "
            "only"
        ) from error
    except (HTTPError, OSError, UnicodeError) as error:  # before ValueError, which a 400 response also is
        if isinstance(error, OSError) and error.errno is not None:  # a local error, such as a full disk
            raise
        raise HubError(hub_sentence(error, page, None, situation)) from error
    except ValueError as error:  # raised by the client, which validates a card with the Hub first
        if not str(error).startswith(BAD_CARD):
            raise
        said = " ".join(without_tokens(str(error)).removeprefix(BAD_CARD).split())
        raise HubError(f"the Hub rejects the card of {page}: {said}") from error


@contextmanager
def warned_where_it_may_pass(repository: str, what: str, later: str) -> Iterator[None]:
    """Check a precondition of a model's push before training; temporary faults are only logged.

    Args:
        repository: as in `hub_sentence`.
        what: what is being checked, in words.
        later: what happens after training, in a sentence.

    Raises:
        HubError: the fault is permanent.
    """
    try:
        yield
    except EXCHANGE_ERRORS as error:
        said = hub_sentence(error, repository, situation=Situation.PUSHING_MODEL)
        if not may_pass(error):
            raise HubError(said) from error
        logger.warning("%s can't be checked now: %s. %s", what, said, later)
