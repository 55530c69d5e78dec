"""Who asks, and what they may do.

Four visitors: `owner` writes in its own namespace and in the organisations; `reader` is a member of the organisations
with a token that only reads; `nobody` has a good token and belongs nowhere; without a token one is anonymous.
"""

from dataclasses import dataclass

from tests.loopback_hub.replies import HubError
from tests.loopback_hub.store import Repository, Store


@dataclass(frozen=True)
class Role:
    """A user and its one token."""

    name: str
    token: str
    member: bool
    can_write: bool


ROLES = {
    role.name: role
    for role in (
        Role("owner", "hf_LoopbackTokenOfTheOwner", member=True, can_write=True),
        Role("reader", "hf_LoopbackTokenOfTheReader", member=True, can_write=False),
        Role("nobody", "hf_LoopbackTokenOfNobody", member=False, can_write=True),
    )
}

WRONG_TOKEN = "hf_LoopbackTokenThatIsWrong"
"""A token that nobody has."""


def identify(authorization: str | None) -> Role | None:
    """The role behind an Authorization header; None for anonymous."""
    if not authorization:
        return None
    for role in ROLES.values():
        if authorization == f"Bearer {role.token}":
            return role
    raise HubError(401, "Invalid credentials in Authorization header")


def _namespace(name: str) -> str:
    return name.split("/", 1)[0]


def _belongs(role: Role | None, namespace: str, organizations: tuple[str, ...]) -> bool:
    return role is not None and (namespace == role.name or (role.member and namespace in organizations))


def require_writer(role: Role | None, namespace: str, organizations: tuple[str, ...]) -> Role:
    if role is None:
        raise HubError(401, "Invalid username or password.")
    if not role.can_write or not _belongs(role, namespace, organizations):
        raise HubError(403, f"Forbidden: you don't have the rights to write under the namespace {namespace}")
    return role


def open_repository(
    store: Store, role: Role | None, kind: str, name: str, organizations: tuple[str, ...], write: bool = False
) -> Repository:
    """The repository, if `role` may see it; a private one looks to strangers like one that isn't there."""
    repository = store.find(kind, name)
    belongs = _belongs(role, _namespace(name), organizations)
    if repository is None or (repository.settings["private"] and not belongs):
        message = "Repository not found" if role is not None else "Invalid username or password."
        raise HubError(404 if role is not None else 401, message, "RepoNotFound")
    if write:
        require_writer(role, _namespace(name), organizations)
    return repository


def require_past_gate(repository: Repository, role: Role | None, organizations: tuple[str, ...]) -> None:
    """A gated repository shows its file names to all and its contents to members."""
    if repository.settings["gated"] and not _belongs(role, _namespace(repository.name), organizations):
        if role is None:
            message = f"Access to {repository.name} is restricted. You must be authenticated to access it."
            raise HubError(401, message, "GatedRepo")
        message = f"Access to {repository.name} is restricted and you are not in the authorized list."
        raise HubError(403, message, "GatedRepo")
