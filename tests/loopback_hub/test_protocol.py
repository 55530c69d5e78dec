"""What the clients never send, or send only to others: asked for by bare HTTP."""

import base64
import hashlib
import http.client
import json
from typing import Any

import pytest
from huggingface_hub import HfApi

from tests.loopback_hub import ROLES, Hub

CONTENT = bytes(range(100))


@pytest.fixture
def api(hub_in_process: Hub) -> HfApi:
    api = hub_in_process.api("owner")
    api.create_repo("org/thing")
    api.upload_file(path_or_fileobj=CONTENT, path_in_repo="a.bin", repo_id="org/thing")
    return api


def ask(
    hub: Hub, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
) -> tuple[int, bytes, http.client.HTTPMessage]:
    """Status, content and headers of the answer to a request of the owner."""
    connection = http.client.HTTPConnection(hub.endpoint.removeprefix("http://"), timeout=600)
    token = {"Authorization": f"Bearer {ROLES['owner'].token}"}
    connection.request(method, path, body, token | (headers or {}), encode_chunked=headers is not None)
    response = connection.getresponse()
    answer = response.status, response.read(), response.headers
    connection.close()
    return answer


@pytest.mark.parametrize(
    ("asked", "status", "first", "last"),
    [
        ("bytes=0-0", 206, 0, 0),
        ("bytes=10-19", 206, 10, 19),
        ("bytes=90-", 206, 90, 99),
        ("bytes=90-1000", 206, 90, 99),
        ("bytes=-7", 206, 93, 99),
        ("bytes=-1000", 206, 0, 99),
        ("bytes=100-", 416, None, None),
        ("bytes=-", 400, None, None),
        ("lines=1-2", 400, None, None),
    ],
)
def test_ranges(hub: Hub, api: HfApi, asked: str, status: int, first: int | None, last: int | None) -> None:
    got, content, headers = ask(hub, "GET", "/org/thing/resolve/main/a.bin", headers={"Range": asked})
    assert got == status
    if first is not None and last is not None:
        assert content == CONTENT[first : last + 1]
        assert headers["Content-Range"] == f"bytes {first}-{last}/100"
        assert headers["Content-Length"] == str(len(content))
    if status == 416:
        assert headers["Content-Range"] == "bytes */100"


def test_a_head_is_a_get_without_content(hub: Hub, api: HfApi) -> None:
    address = "/org/thing/resolve/main/a.bin"
    head, get = ask(hub, "HEAD", address), ask(hub, "GET", address)
    assert (head[1], get[1]) == (b"", CONTENT)
    for name in ("ETag", "X-Linked-Etag", "X-Linked-Size", "X-Repo-Commit", "Content-Length"):
        assert head[2][name] == get[2][name]
        assert get[2][name]
    assert head[2]["ETag"] == f'"{hashlib.sha256(CONTENT).hexdigest()}"'
    assert "X-Xet-Hash" not in get[2]


BAD_COMMITS = {
    "never arrived": {"key": "lfsFile", "value": {"path": "b.bin", "algo": "sha256", "oid": "0" * 64, "size": 1}},
    "larger than 10 MB": {"key": "file", "value": {"path": "b.txt", "content": b" " * 10_000_001}},
    "invalid metadata in README.md": {
        "key": "file",
        "value": {"path": "README.md", "content": b"---\ntags: x\n---\n"},
    },
}


@pytest.mark.parametrize("message", BAD_COMMITS)
def test_a_commit_that_breaks_the_rules_is_refused(hub: Hub, api: HfApi, message: str) -> None:
    before = api.model_info("org/thing").sha
    operation = BAD_COMMITS[message]
    value = {
        key: base64.b64encode(field).decode() if isinstance(field, bytes) else field
        for key, field in operation["value"].items()
    }
    lines = [
        {"key": "header", "value": {"summary": "s", "description": ""}},
        {"key": operation["key"], "value": value},
    ]
    body = b"\n".join(json.dumps(line).encode() for line in lines)
    status, content, _ = ask(hub, "POST", "/api/models/org/thing/commit/main", body)
    assert status == 400
    assert message in json.loads(content)["error"]
    assert api.model_info("org/thing").sha == before


def test_only_branches_take_commits(hub: Hub, api: HfApi) -> None:
    api.create_tag("org/thing", tag="v1")
    body = json.dumps({"key": "header", "value": {"summary": "s"}})
    assert ask(hub, "POST", "/api/models/org/thing/commit/v1", body)[0] == 400
    assert ask(hub, "POST", "/api/models/org/thing/commit/v2", body)[0] == 404


@pytest.mark.parametrize(
    ("kind", "name"), [("model", ".."), ("model", "a/b"), ("model", ""), ("model", "x" * 97), ("../model", "a")]
)
def test_no_name_leads_out_of_the_folder(hub: Hub, kind: str, name: str) -> None:
    body = json.dumps({"type": kind, "name": name, "organization": "org"})
    assert ask(hub, "POST", "/api/repos/create", body)[0] == 400
    assert not (hub.root / "repositories").exists()


def _address(hub: Hub, content: bytes, size: int) -> str:
    path = f"/_large/models/org/thing/{hashlib.sha256(content).hexdigest()}"
    return f"{path}?size={size}&part=0&signature={hub.site.sign(f'{path} {size} 0')}"


def test_a_large_file_is_taken_at_an_address_that_the_hub_made_for_it(hub: Hub, api: HfApi) -> None:
    content = b"new content"
    address = _address(hub, content, len(content))
    stored = hub.root / "repositories" / "models" / "org" / "thing" / "large"
    assert ask(hub, "PUT", address.replace("signature=", "signature=0"), content)[0] == 403
    assert ask(hub, "PUT", address, b"old content")[0] == 400
    assert ask(hub, "PUT", address, content + b".")[0] == 400
    assert len(list(stored.iterdir())) == 1
    assert ask(hub, "PUT", address, iter([content[:3], content[3:]]), {"Transfer-Encoding": "chunked"})[0] == 200
    assert (stored / hashlib.sha256(content).hexdigest()).read_bytes() == content
    assert len(list(stored.iterdir())) == 2


def test_a_connection_serves_many_requests_whatever_they_bring(hub: Hub, api: HfApi) -> None:
    """A refused request's body is read to its end, so that the next one is understood."""
    connection = http.client.HTTPConnection(hub.endpoint.removeprefix("http://"), timeout=600)
    for path, status in (("/api/models/org/none/commit/main", 401), ("/org/thing/resolve/main/a.bin", 200)) * 2:
        connection.request("POST" if status == 401 else "GET", path, b"x" * 100_000 if status == 401 else None)
        response = connection.getresponse()
        assert response.status == status
        assert response.read() == CONTENT or status == 401
    connection.close()
