"""What a route answers, and the Hub's own refusals as exceptions."""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Reply:
    """A response: bytes in memory, or `length` bytes of a file from `start`.

    The body of a reply to HEAD is left out, its Content-Length isn't.
    """

    content: bytes = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    file: Path | None = None
    start: int = 0
    length: int = 0

    @property
    def size(self) -> int:
        return len(self.content) if self.file is None else self.length

    def read(self) -> bytes:
        if self.file is None:
            return self.content
        with self.file.open("rb") as stream:
            stream.seek(self.start)
            return stream.read(self.length)


def as_json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Reply:
    return Reply(
        json.dumps(value).encode(), status, {"Content-Type": "application/json; charset=utf-8", **(headers or {})}
    )


class HubError(Exception):
    """A refusal that the clients understand: they read the status and two headers, a person the message."""

    def __init__(
        self, status: int, message: str, code: str = "", headers: dict[str, str] | None = None, **fields: Any
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.headers = {"X-Error-Message": message} | ({"X-Error-Code": code} if code else {}) | (headers or {})
        self.fields = fields

    def reply(self) -> Reply:
        return as_json({"error": self.message, **self.fields}, self.status, self.headers)


def revision_not_found(revision: str) -> HubError:
    return HubError(404, f"Invalid rev id: {revision}", "RevisionNotFound")


def entry_not_found(path: str, commit: str, message: str = "Entry not found") -> HubError:
    return HubError(404, f"{message}: {path}", "EntryNotFound", {"X-Repo-Commit": commit})
