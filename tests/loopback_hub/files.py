"""Routes that read files: listings of trees, information on paths, contents."""

import hashlib
import re
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import parse_qs, quote, urlencode

from tests.loopback_hub.access import require_past_gate
from tests.loopback_hub.replies import HubError, Reply, as_json, entry_not_found
from tests.loopback_hub.routing import API, PAGE, REVISION, Request, Route
from tests.loopback_hub.store import Commit, pointer


def _folders(commit: Commit) -> set[str]:
    return {str(parent) for path in commit.files for parent in PurePosixPath(path).parents} - {"."}


def _entry(commit: Commit, path: str, expand: bool) -> dict[str, Any] | None:
    """A file or folder as listings have it, None where there is neither."""
    stored = commit.files.get(path)
    entry: dict[str, Any]
    if stored is not None:
        entry = {"type": "file", "path": path, "size": stored.size, "oid": stored.oid}
        if stored.sha256:
            size = len(pointer(stored.sha256, stored.size))
            entry["lfs"] = {"oid": stored.sha256, "size": stored.size, "pointerSize": size}
    elif path in _folders(commit):
        inside = [(name, file.oid) for name, file in commit.files.items() if name.startswith(f"{path}/")]
        entry = {"type": "directory", "path": path, "size": 0, "oid": hashlib.sha1(repr(inside).encode()).hexdigest()}
    else:
        return None
    if expand:
        entry["lastCommit"] = {"id": commit.oid, "title": commit.title, "date": commit.date}
    return entry


def tree(request: Request, kind: str, name: str, revision: str, path: str | None) -> Reply:
    """A page of what is in a folder; the header Link leads to the next."""
    commit = request.repository(kind, name).commit(revision)
    folder = (path or "").strip("/")
    folders = _folders(commit)
    if folder and folder not in folders:
        raise entry_not_found(folder, commit.oid, f"{folder} does not exist on {revision}")
    prefix = f"{folder}/" if folder else ""
    recursive, expand = request.flag("recursive"), request.flag("expand")
    names = sorted(
        entry
        for entry in folders | set(commit.files)
        if entry.startswith(prefix) and (recursive or "/" not in entry[len(prefix) :])
    )
    start = int(request.first("cursor", "0"))
    stop = start + request.site.page_size
    headers = {}
    if stop < len(names):
        query = urlencode({"recursive": recursive, "expand": expand, "cursor": stop})
        headers["Link"] = f'<{request.site.endpoint}{request.path}?{query}>; rel="next"'
    return as_json([_entry(commit, entry, expand) for entry in names[start:stop]], headers=headers)


def paths_information(request: Request, kind: str, name: str, revision: str) -> Reply:
    """Of the paths that a form names; those that don't exist are left out."""
    commit = request.repository(kind, name).commit(revision)
    form = parse_qs(request.body.read().decode())
    expand = form.get("expand", [""])[0].lower() == "true"
    entries = [_entry(commit, path.strip("/"), expand) for path in form.get("paths", [])]
    return as_json([entry for entry in entries if entry is not None])


def _range(header: str, size: int) -> tuple[int, int]:
    """First byte and length of `bytes=a-b`, `bytes=a-` or `bytes=-n`."""
    found = re.fullmatch(r"bytes=(\d*)-(\d*)", header)
    if found is None or found.group(0) == "bytes=-":
        raise HubError(400, f"Range not understood: {header}")
    first, last = found.groups()
    if not first:
        length = min(int(last), size)
        return size - length, length
    start = int(first)
    if start >= size:
        raise HubError(416, "Range not satisfiable", headers={"Content-Range": f"bytes */{size}"})
    return start, (min(int(last), size - 1) if last else size - 1) - start + 1


def content(request: Request, kind: str | None, name: str, revision: str, path: str) -> Reply:
    """A file's bytes. A large one is served from here too, instead of by a redirect to other storage."""
    repository = request.repository(kind, name)
    commit = repository.commit(revision)
    require_past_gate(repository, request.role, request.site.organizations)
    stored = commit.files.get(path)
    if stored is None:
        raise entry_not_found(path, commit.oid)
    headers = {
        "X-Repo-Commit": commit.oid,
        "ETag": f'"{stored.etag}"',
        "Accept-Ranges": "bytes",
        "Content-Type": "application/octet-stream" if stored.sha256 else "text/plain; charset=utf-8",
        "Content-Disposition": f"inline; filename*=UTF-8''{quote(PurePosixPath(path).name)}",
    }
    if stored.sha256:
        headers |= {"X-Linked-Etag": f'"{stored.sha256}"', "X-Linked-Size": str(stored.size)}
    start, length, status = 0, stored.size, 200
    if request.range:
        start, length = _range(request.range, stored.size)
        headers["Content-Range"] = f"bytes {start}-{start + length - 1}/{stored.size}"
        status = 206
    return Reply(status=status, headers=headers, file=repository.content_path(stored), start=start, length=length)


ROUTES = (
    Route("GET", API + "/tree" + REVISION + "(?:/(?P<path>.*))?", tree),
    Route("POST", API + "/paths-info" + REVISION, paths_information),
    Route("GET", PAGE + "/resolve" + REVISION + "/(?P<path>.+)", content),
    Route("HEAD", PAGE + "/resolve" + REVISION + "/(?P<path>.+)", content),
)
