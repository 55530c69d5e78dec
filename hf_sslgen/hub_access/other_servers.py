"""Messages for faults of servers other than the Hub, from which published checkpoints are downloaded."""

from urllib.parse import urlsplit

from hf_sslgen.hub_access.faults import is_broken_connection, status_of
from hf_sslgen.hub_access.retries import may_pass
from hf_sslgen.tokens import without_tokens

BY_HAND = "download the file by hand and give it to `hf-sslgen convert FILE`"
LATER = "run the same command again later, what has arrived is kept"

GONE = (404, 410)
REFUSED = (401, 403)


def shown_address(url: str) -> str:
    """Return an address without its query and user, which may be secret."""
    parts = urlsplit(url)
    return without_tokens(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}")


def server_sentence(error: BaseException, url: str) -> str:
    """State what went wrong with a download and, after a semicolon, what to do."""
    address, status = shown_address(url), status_of(error)
    if status in GONE:
        return (
            f"{address} does not exist (the server answers {status}); look for the file's present address, or "
            f"{BY_HAND}"
        )
    if status in REFUSED:
        return f"the server refuses {address} (it answers {status}); {BY_HAND}"
    if status is not None and may_pass(error):
        return f"the server is busy or failing and answers {status} for {address}; {LATER}"
    if status is not None:
        return f"the server answers {status} for {address}; {BY_HAND}"
    reason = " ".join(without_tokens(str(error)).split()) or type(error).__name__
    if is_broken_connection(error):
        return f"the server of {address} is unreachable, or the connection broke ({reason}); {LATER}"
    return f"{address} could not be downloaded ({reason}); {BY_HAND}"
