"""Messages for faults of the Hub: one table from fault and situation to sentence."""

from collections.abc import Mapping
from enum import Enum, auto

from huggingface_hub import constants, get_token

from hf_sslgen.hub_access.faults import Fault, fault_of, refusal_in, status_of
from hf_sslgen.tokens import without_tokens

AGAIN = "run the same command again"


class Situation(Enum):
    """The operation that failed; it falls back on another situation's sentence if the table has none for it."""

    LOADING = auto()
    STREAMING = auto()
    PULLING = auto()
    PUSHING = auto()
    PUSHING_MODEL = auto()


LOADING, PUSHING, PUSHING_MODEL = Situation.LOADING, Situation.PUSHING, Situation.PUSHING_MODEL

INSTEAD = {PUSHING_MODEL: PUSHING}
"""The situation whose sentences are tried first; after that, those of loading."""

NOT_FOUND = (
    "there is no {repository} on {endpoint}, or it is private and {identity} can't see it; check the name, or log in "
    "with `hf auth login` as a user with access"
)
NOT_FOUND_WITH_TOKEN = (
    "{repository}, or that revision of it, does not exist or is not visible to this token; check both names"
)
UNKNOWN_TOKEN = (
    "the Hub rejects the token; create one at {endpoint}/settings/tokens and run `hf auth login`, or set HF_TOKEN"
)
NO_WRITE = "the token has no write access to {repository}: it needs the role 'write', and its owner must be a member; "
NO_RIGHT = {
    PUSHING: f"{NO_WRITE}give another repository, or another token with `hf auth login` or HF_TOKEN",
    PUSHING_MODEL: f"{NO_WRITE}give another --hub_model_id or another token",
}
OTHER_STATUS = f"the Hub answers {{status}} ({{said}}); {AGAIN} later"
NO_CONNECTION = f"the Hub can't be reached at {{endpoint}}, or the connection broke ({{reason}}); {AGAIN}"
OTHER = "{line} (in a request for {repository})"

SENTENCES: Mapping[Fault, Mapping[Situation, str]] = {
    Fault.OFFLINE: {
        LOADING: (
            "{repository}{at} is missing from the cache or incomplete, and HF_HUB_OFFLINE is set; load it once online"
        ),
        Situation.STREAMING: (
            "{repository} can't be streamed, because HF_HUB_OFFLINE is set; unset it, or drop --streaming if the "
            "dataset is in the cache"
        ),
        Situation.PULLING: f"HF_HUB_OFFLINE is set, so nothing can be pulled; unset it and {AGAIN}",
        PUSHING: f"HF_HUB_OFFLINE is set, so nothing can be pushed; unset it and {AGAIN}",
    },
    Fault.NO_TOKEN: {
        PUSHING: "no token found: run `hf auth login`, or set HF_TOKEN to a token with write access",
        PUSHING_MODEL: (
            "no token to push with: run `hf auth login`, or set HF_TOKEN to a token with write access; or drop "
            "--push_to_hub"
        ),
    },
    Fault.UNUSABLE_TOKEN: {
        LOADING: "HF_TOKEN contains invalid characters; correct it, or log in with `hf auth login`",
        PUSHING_MODEL: "the token to push with contains spaces or other invalid characters; copy it again",
    },
    Fault.UNKNOWN_TOKEN: {
        LOADING: (
            "the Hub rejects the token that was sent; log in again with `hf auth login`, or correct or unset HF_TOKEN"
        ),
        PUSHING: UNKNOWN_TOKEN,
    },
    Fault.GATED: {
        LOADING: (
            "{repository} is gated, and {identity} does not have access; request it at {page}, then log in with "
            "`hf auth login` as the user who was granted it"
        ),
        **NO_RIGHT,
    },
    Fault.NOT_FOUND: {LOADING: NOT_FOUND, PUSHING: NOT_FOUND_WITH_TOKEN},
    Fault.HIDDEN: {LOADING: NOT_FOUND, PUSHING: UNKNOWN_TOKEN},
    Fault.NO_REVISION: {
        LOADING: "{repository} has no branch, tag or commit {revision!r}; see {page}/tree/main for the existing ones",
        PUSHING: NOT_FOUND_WITH_TOKEN,
    },
    Fault.NO_RIGHT: {
        LOADING: (
            "the token that was sent lacks permission for this in {repository}; grant it at "
            "{endpoint}/settings/tokens, or log in with `hf auth login` as a user with permission"
        ),
        **NO_RIGHT,
    },
    Fault.BAD_REQUEST: {LOADING: OTHER, PUSHING: "the Hub rejects the push to {repository}: {said}"},
    Fault.MISSING: {LOADING: OTHER, PUSHING: NOT_FOUND_WITH_TOKEN},
    Fault.OVERTAKEN: {
        LOADING: OTHER,
        PUSHING: (
            "another push to {repository} came first, so nothing of this push was kept; check what is there and "
            f"{AGAIN}"
        ),
    },
    Fault.TOO_MANY_REQUESTS: {
        LOADING: (
            "the Hub received too many requests and answers 429 for {repository}; wait a few minutes and run this "
            "again (users logged in with `hf auth login` have a higher limit)"
        ),
        PUSHING: f"the Hub received too many requests (429); wait a few minutes and {AGAIN}",
    },
    Fault.TROUBLE: {
        LOADING: (
            "the Hub has a fault and answers {status} for {repository}; run this again later, complete downloads "
            "are kept"
        ),
        PUSHING: OTHER_STATUS,
    },
    Fault.OTHER_STATUS: {LOADING: OTHER, PUSHING: OTHER_STATUS},
    Fault.DAMAGED: {LOADING: "{reason}; run this again, complete downloads are kept"},
    Fault.INCOMPLETE: {
        LOADING: "a file of {repository} arrived incomplete; run this again, complete downloads are kept"
    },
    Fault.BROKEN_CONNECTION: {
        LOADING: (
            "the Hub at {endpoint} can't be reached, or the connection broke, in a request for {repository}; run this "
            "again once it is reachable, complete downloads are kept"
        ),
        PUSHING: NO_CONNECTION,
    },
    Fault.UNSENDABLE: {LOADING: OTHER},
    Fault.NO_CONNECTION: {LOADING: OTHER, PUSHING: NO_CONNECTION},
    Fault.NOT_CACHED: {LOADING: "{repository} is not in the cache; load it once online"},
    Fault.OTHER: {LOADING: OTHER},
}


def repository_page(repository: str) -> str:
    """Return the address of a repository's page; `repository` is `owner/name`, prefixed for datasets and Spaces."""
    return f"{constants.ENDPOINT}/{repository}"


def hub_sentence(
    error: BaseException, repository: str, revision: str | None = None, situation: Situation = LOADING
) -> str:
    """State what went wrong with the Hub and, after a semicolon, what to do, without revealing a token.

    Args:
        repository: `owner/name` of a model, prefixed with `datasets/` or `spaces/` for those.
        revision: the requested revision.
    """
    return refusal(fault_of(error), repository, revision, situation, error)


def refusal(
    fault: Fault,
    repository: str,
    revision: str | None = None,
    situation: Situation = LOADING,
    error: BaseException | None = None,
) -> str:
    """Return the sentence for a fault, as in `hub_sentence`; the client's error may be absent if it is not needed."""
    sentences = SENTENCES[fault]
    wanted = (situation, INSTEAD.get(situation, situation), LOADING)
    template = next(sentences[each] for each in wanted if each in sentences)
    token, answer = get_token(), refusal_in(error) if error is not None else None
    text = str(error) if error is not None else ""
    text = text.replace(token, "(token)") if token else text
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    name = type(error).__name__
    status = status_of(error) if error is not None else None
    said = (answer.server_message if answer is not None else None) or f"status {status}"
    sentence = template.format(
        repository=repository,
        revision=revision,
        at=f" at {revision!r}" if revision is not None else "",
        page=repository_page(repository),
        endpoint=constants.ENDPOINT,
        identity="the account whose token was sent" if token else "an anonymous visitor (you are not logged in)",
        status=status,
        said=" ".join(said.split()),
        reason=" ".join(text.split()) or name,
        line=lines[0] if lines else name,
    )
    return without_tokens(sentence)
