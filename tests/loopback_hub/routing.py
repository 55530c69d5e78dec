"""What a route is given: one request, and the site that it came to."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, unquote

from tests.loopback_hub import access
from tests.loopback_hub.body import Body
from tests.loopback_hub.replies import Reply
from tests.loopback_hub.store import Repository, Store


@dataclass
class Site:
    """What all requests share. Pages of listings hold `page_size` entries; uploads larger than `part_size` bytes are
    asked for in parts of that size."""

    store: Store
    organizations: tuple[str, ...]
    endpoint: str = ""
    page_size: int = 1000
    part_size: int = 1_000_000_000
    _secret: bytes = field(default_factory=lambda: secrets.token_bytes(16))

    @classmethod
    def at(cls, root: Path, organizations: tuple[str, ...]) -> "Site":
        return cls(Store(root), organizations)

    def sign(self, text: str) -> str:
        """A proof that we made an address: uploads of large files come without a token."""
        return hmac.new(self._secret, text.encode(), hashlib.sha256).hexdigest()

    def page(self, repository: Repository) -> str:
        """The address of a repository for people."""
        prefix = "" if repository.kind == "models" else f"{repository.kind}/"
        return f"{self.endpoint}/{prefix}{quote(repository.name)}"


@dataclass
class Request:
    """`path` is still quoted; `range` is the header of that name, empty without one."""

    method: str
    path: str
    query: Mapping[str, list[str]]
    range: str
    body: Body
    role: access.Role | None
    site: Site

    def first(self, name: str, default: str = "") -> str:
        """The first value of a query's parameter."""
        return self.query.get(name, [default])[0]

    def flag(self, name: str) -> bool:
        return self.first(name).lower() in ("1", "true")

    def repository(self, kind: str | None, name: str, write: bool = False) -> Repository:
        """The repository of that name, if the visitor may see it (or write to it)."""
        site = self.site
        return access.open_repository(site.store, self.role, kind or "models", name, site.organizations, write)

    def require_writer(self, namespace: str) -> access.Role:
        return access.require_writer(self.role, namespace, self.site.organizations)


@dataclass(frozen=True)
class Route:
    """A function for the requests of one method whose path matches; named groups become its arguments, unquoted."""

    method: str
    pattern: str
    answer: Callable[..., Reply]

    def match(self, method: str, path: str) -> dict[str, str | None] | None:
        found = re.fullmatch(self.pattern, path) if method == self.method else None
        if found is None:
            return None
        return {name: None if text is None else unquote(text) for name, text in found.groupdict().items()}


API = r"/api/(?P<kind>models|datasets|spaces)/(?P<name>[^/]+/[^/]+)"
PAGE = r"/(?:(?P<kind>datasets|spaces)/)?(?P<name>[^/]+/[^/]+)"
REVISION = r"/(?P<revision>[^/]+)"
