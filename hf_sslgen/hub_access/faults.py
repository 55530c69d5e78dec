"""Classify the clients' errors as faults of the Hub or of the connection to it."""

from collections.abc import Iterator
from enum import Enum, auto

from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import httpx

from hf_sslgen.errors import HubError

EXCHANGE_ERRORS = (HTTPError, OfflineModeIsEnabled)
"""Exceptions for a refusal (HfHubHTTPError is an HTTPError), a failed connection, and HF_HUB_OFFLINE."""

INCOMPLETE = "Consistency check failed"
"""Message of a client if a file is shorter than announced."""

LASTING = (httpx.LocalProtocolError, httpx.ProxyError, httpx.UnsupportedProtocol)
"""Permanent connection errors."""


class DamagedFileError(HubError):
    """A file differs from the Hub's description; it is removed from the cache before this is raised."""


class Fault(Enum):
    """What went wrong."""

    OFFLINE = auto()
    NO_TOKEN = auto()
    UNUSABLE_TOKEN = auto()
    UNKNOWN_TOKEN = auto()
    GATED = auto()
    NOT_FOUND = auto()
    HIDDEN = auto()
    NO_REVISION = auto()
    NO_RIGHT = auto()
    BAD_REQUEST = auto()
    MISSING = auto()
    OVERTAKEN = auto()
    TOO_MANY_REQUESTS = auto()
    TROUBLE = auto()
    OTHER_STATUS = auto()
    DAMAGED = auto()
    INCOMPLETE = auto()
    BROKEN_CONNECTION = auto()
    UNSENDABLE = auto()
    NO_CONNECTION = auto()
    NOT_CACHED = auto()
    OTHER = auto()


BY_STATUS = {
    400: Fault.BAD_REQUEST,
    401: Fault.UNKNOWN_TOKEN,
    403: Fault.NO_RIGHT,
    404: Fault.MISSING,
    409: Fault.OVERTAKEN,
    412: Fault.OVERTAKEN,
    429: Fault.TOO_MANY_REQUESTS,
}


def chain(error: BaseException) -> Iterator[BaseException]:
    """Iterate over the error and its causes, because the clients wrap the Hub's response."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        seen = seen.__cause__


def refusal_in(error: BaseException) -> HfHubHTTPError | None:
    """Return the Hub's response behind an error; None if there was none."""
    return next((each for each in chain(error) if isinstance(each, HfHubHTTPError)), None)


def response_in(error: BaseException) -> httpx.Response | None:
    """Return the response behind an error, the Hub's or another server's; None if there was none."""
    answered = (HfHubHTTPError, httpx.HTTPStatusError)
    return next((each.response for each in chain(error) if isinstance(each, answered)), None)


def status_of(error: BaseException) -> int | None:
    """Return the HTTP status behind an error."""
    response = response_in(error)
    return None if response is None else int(response.status_code)


def is_broken_connection(error: BaseException) -> bool:
    """Whether a connection failed or broke, in a way that may be temporary."""
    return any(isinstance(each, httpx.TransportError) and not isinstance(each, LASTING) for each in chain(error))


def is_incomplete(error: BaseException) -> bool:
    """Whether a file arrived differently from the Hub's announcement."""
    return any(isinstance(each, DamagedFileError) or INCOMPLETE in str(each) for each in chain(error))


def fault_of(error: BaseException) -> Fault:
    """Classify a client's error."""
    status, errors = status_of(error), list(chain(error))

    def has(kind: type[BaseException]) -> bool:
        return any(isinstance(each, kind) for each in errors)

    if has(OfflineModeIsEnabled):
        return Fault.OFFLINE
    if has(GatedRepoError):
        return Fault.GATED
    if has(RepositoryNotFoundError):
        return Fault.HIDDEN if status == 401 else Fault.NOT_FOUND
    if has(RevisionNotFoundError):
        return Fault.NO_REVISION
    if status is not None:
        return Fault.TROUBLE if status >= 500 else BY_STATUS.get(status, Fault.OTHER_STATUS)
    if has(DamagedFileError):
        return Fault.DAMAGED
    if is_incomplete(error):
        return Fault.INCOMPLETE
    if is_broken_connection(error):
        return Fault.BROKEN_CONNECTION
    if has(UnicodeError):
        return Fault.UNUSABLE_TOKEN
    if has(LocalEntryNotFoundError):
        return Fault.NOT_CACHED
    if has(httpx.LocalProtocolError):
        return Fault.UNSENDABLE
    return Fault.NO_CONNECTION if has(HTTPError) else Fault.OTHER
