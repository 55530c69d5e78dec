"""Why a push did not work, in a sentence that says what to do; `hub_access` has those of loading."""

from huggingface_hub import constants
from huggingface_hub.errors import HfHubHTTPError, HTTPError, OfflineModeIsEnabled

EXCHANGE_ERRORS = (HTTPError, OfflineModeIsEnabled)
"""A refusal (HfHubHTTPError is an HTTPError), a connection that broke or never came about, HF_HUB_OFFLINE."""

AGAIN = "run the same command again"
NO_RIGHT = (
    "the token has no right to write to {repository}: it needs the role 'write', and its owner a place there; "
    "give another --hub_model_id or another token"
)
ANOTHER_PUSH = (
    "somebody else pushed to {repository} in the meantime, and nothing of this push was kept; look at what is there "
    f"and {AGAIN}"
)
SENTENCES = {
    400: "the Hub refuses what was to be pushed to {repository}: {said}",
    401: (
        "the Hub does not know the token; make one at {endpoint}/settings/tokens and run `hf auth login`, or set "
        "HF_TOKEN"
    ),
    403: NO_RIGHT,
    404: "there is no {repository}, or no such revision of it, that this token may see; check both names",
    409: ANOTHER_PUSH,
    412: ANOTHER_PUSH,
    429: f"the Hub asks for patience (429, too many requests); wait some minutes and {AGAIN}",
}
OTHER = f"the Hub answers {{status}} ({{said}}); {AGAIN} later"


def push_sentence(error: Exception, repository: str) -> str:
    """One line for a person, without the request's headers, in which the token is.

    Args:
        error: one of `EXCHANGE_ERRORS`.
        repository: `owner/name`, or what else was asked for.
    """
    if isinstance(error, HfHubHTTPError):
        status = error.response.status_code
        said = " ".join((error.server_message or f"status {status}").split())
        found = SENTENCES.get(status, OTHER)
        return found.format(repository=repository, said=said, status=status, endpoint=constants.ENDPOINT)
    if isinstance(error, OfflineModeIsEnabled):
        return f"HF_HUB_OFFLINE is set, so nothing can be pushed; unset it and {AGAIN}"
    reason = " ".join(str(error).split()) or type(error).__name__
    return f"the Hub can't be reached at {constants.ENDPOINT}, or the connection broke ({reason}); {AGAIN}"
