"""What goes wrong between us and the Hub, in a sentence that says what to do."""

import json

from huggingface_hub.errors import HfHubHTTPError, HTTPError, OfflineModeIsEnabled

EXCHANGE_ERRORS = (HTTPError, OfflineModeIsEnabled, json.JSONDecodeError)
"""A refusal (HfHubHTTPError is an HTTPError), a connection that broke or never came about, HF_HUB_OFFLINE, and an
answer that is no JSON where a Hub would send some."""

PASSING_STATUSES = (408, 429, 500, 502, 503, 504)

WRONG_TOKEN = (
    "the Hub does not know the token; make one at https://huggingface.co/settings/tokens and run `hf auth login`, or "
    "set HF_TOKEN"
)
ANOTHER_PUSH = (
    "somebody else pushed to {repository} in the meantime, and nothing of this push was kept; look at what is there "
    "and run the same command again"
)
SENTENCES = {
    400: "the Hub refuses what was to be pushed to {repository}: {said}",
    401: WRONG_TOKEN,
    403: (
        "the token has no right to write to {repository}: it needs the role 'write', and its owner a place there; "
        "give another --hub_model_id or another token"
    ),
    404: "there is no {repository}, or no such revision of it, that this token may see",
    409: ANOTHER_PUSH,
    412: ANOTHER_PUSH,
    429: "the Hub asks for patience (429, too many requests); wait some minutes and run the same command again",
}


def passes(error: Exception) -> bool:
    """Whether the same exchange may succeed a little later."""
    if isinstance(error, HfHubHTTPError):
        return error.response.status_code in PASSING_STATUSES
    return not isinstance(error, OfflineModeIsEnabled)


def sentence(error: Exception, repository: str, endpoint: str) -> str:
    """One line for a person, without the request's headers, in which the token is.

    Args:
        error: one of `EXCHANGE_ERRORS`.
        repository: `owner/name`, or what else was asked for.
    """
    if isinstance(error, HfHubHTTPError):
        status = error.response.status_code
        said = " ".join((error.server_message or f"status {status}").split())
        found = SENTENCES.get(status, "the Hub answers {status} ({said}); run the same command again later")
        return found.format(repository=repository, said=said, status=status)
    if isinstance(error, OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE is set, so nothing can be pushed; unset it and run the same command again"
    reason = type(error).__name__ if isinstance(error, json.JSONDecodeError) else " ".join(str(error).split())
    return f"the Hub can't be reached at {endpoint}, or the connection broke ({reason}); run the same command again"
