"""Routes that write: which way a file should come, large files, commits."""

import base64
import hashlib
import json
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from tests.loopback_hub import benchmarks, cards
from tests.loopback_hub.replies import HubError, Reply, as_json, entry_not_found
from tests.loopback_hub.routing import API, PAGE, REVISION, Request, Route
from tests.loopback_hub.store import LFS_SIZE, Commit, Repository, StoredFile, is_large


def choose_ways(request: Request, kind: str, name: str, revision: str) -> Reply:
    """For each file that is to come: as large file or inside the commit, and what is there under its path."""
    commit = request.repository(kind, name, write=True).commit(revision)
    answers = []
    for file in request.body.json()["files"]:
        stored = commit.files.get(file["path"])
        mode = "lfs" if is_large(file["path"], file["size"]) else "regular"
        answer = {"path": file["path"], "uploadMode": mode, "shouldIgnore": False}
        answers.append(answer | ({"oid": stored.etag} if stored is not None else {}))
    return as_json({"files": answers, "commitOid": commit.oid})


def _signed(request: Request, repository: Repository, oid: str, size: int, part: int = 0) -> str:
    path = f"/_large/{repository.kind}/{repository.name}/{oid}"
    query = {"size": size, "part": part, "signature": request.site.sign(f"{path} {size} {part}")}
    return f"{request.site.endpoint}{quote(path)}?{urlencode(query)}"


def _upload_action(request: Request, repository: Repository, oid: str, size: int) -> dict[str, Any]:
    """Where to put a large file: in one piece, or in numbered parts and then a POST to join them."""
    part_size = request.site.part_size
    if size <= part_size:
        return {"href": _signed(request, repository, oid, size)}
    starts = range(0, size, part_size)
    parts = {
        str(number): _signed(request, repository, oid, min(part_size, size - start), number)
        for number, start in enumerate(starts, start=1)
    }
    return {
        "href": _signed(request, repository, oid, size),
        "header": {"chunk_size": str(part_size), **parts},
    }


def offer_uploads(request: Request, kind: str | None, name: str) -> Reply:
    """The LFS batch: where to put each object; nowhere when it is already stored."""
    repository = request.repository(kind, name, write=True)
    verify = f"{request.site.page(repository)}.git/info/lfs/verify"
    objects = []
    for wanted in request.body.json()["objects"]:
        oid, size = wanted["oid"], wanted["size"]
        offer: dict[str, Any] = {"oid": oid, "size": size}
        if repository.large_file(oid) is None:
            upload = _upload_action(request, repository, oid, size)
            offer["actions"] = {"upload": upload, "verify": {"href": verify}}
        objects.append(offer)
    return as_json({"transfer": "basic", "objects": objects})


def _check_signature(request: Request) -> tuple[int, int]:
    """Size and part number of a signed address."""
    size, part = int(request.first("size")), int(request.first("part"))
    if request.first("signature") != request.site.sign(f"{request.path} {size} {part}"):
        raise HubError(403, "The signature of the upload address is wrong")
    return size, part


def _keep(pieces: Iterable[bytes], size: int, oid: str | None, target: Path) -> str:
    """Writes what arrives, and gives it its name only if size and SHA-256 are right."""
    target.parent.mkdir(parents=True, exist_ok=True)
    digest, received = hashlib.sha256(), 0
    with tempfile.NamedTemporaryFile(dir=target.parent, suffix=".unfinished", delete=False) as stream:
        unfinished = Path(stream.name)
        try:
            for piece in pieces:
                digest.update(piece)
                received += len(piece)
                stream.write(piece)
            if received != size or (oid is not None and digest.hexdigest() != oid):
                raise HubError(400, f"Content of {received} bytes is not what {target.name} of {size} bytes should be")
            stream.flush()
            unfinished.replace(target)
        finally:
            unfinished.unlink(missing_ok=True)
    return digest.hexdigest()


def receive(request: Request, kind: str, name: str, oid: str) -> Reply:
    size, part = _check_signature(request)
    folder = request.site.store.root / kind / name / "large"
    target = folder / f"{oid}.{part}.part" if part else folder / oid
    digest = _keep(request.body.pieces(), size, None if part else oid, target)
    return Reply(headers={"ETag": f'"{digest}"'})


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def join(request: Request, kind: str, name: str, oid: str) -> Reply:
    size, _ = _check_signature(request)
    folder = request.site.store.root / kind / name / "large"
    wanted = request.body.json()["parts"]
    parts = [folder / f"{oid}.{part['partNumber']}.part" for part in wanted]
    for part, path in zip(wanted, parts, strict=True):
        if not path.is_file() or _digest(path) != part["etag"].strip('"'):
            raise HubError(400, f"Part {part['partNumber']} of {oid} is missing or another")
    _keep((path.read_bytes() for path in parts), size, oid, folder / oid)
    for path in parts:
        path.unlink()
    return as_json({})


def verify(request: Request, kind: str | None, name: str) -> Reply:
    repository = request.repository(kind, name, write=True)
    wanted = request.body.json()
    stored = repository.large_file(wanted["oid"])
    if stored is None or stored.size != wanted["size"]:
        raise HubError(404, f"Object not found: {wanted['oid']}")
    return as_json({})


def _added(repository: Repository, key: str, value: dict[str, Any]) -> StoredFile:
    if key == "lfsFile":
        stored = repository.large_file(value["oid"])
        if stored is None:
            raise HubError(400, f"Your push was rejected: large file {value['path']} ({value['oid']}) never arrived")
        return stored
    content = base64.b64decode(value["content"])
    if len(content) > LFS_SIZE:
        raise HubError(400, f"Your push was rejected: {value['path']} is larger than 10 MB and not a large file")
    if value["path"] == "README.md":
        errors, _ = cards.validate(content.decode(), repository.kind.removesuffix("s"))
        if errors:
            raise HubError(400, f"Your push was rejected: invalid metadata in README.md: {'; '.join(errors)}")
    if value["path"] == benchmarks.FILE and repository.kind == "datasets":
        wrong = benchmarks.errors_in(content)
        if wrong:
            raise HubError(400, f"Your push was rejected: invalid {benchmarks.FILE}: {'; '.join(wrong)}")
    return repository.add_blob(content)


def _changed(repository: Repository, before: Commit, operations: list[dict[str, Any]]) -> dict[str, StoredFile]:
    """The files after the operations, in their order."""
    files = dict(before.files)
    for operation in operations:
        key, value = operation["key"], operation["value"]
        path = value["path"].rstrip("/")
        if key in ("file", "lfsFile"):
            files[path] = _added(repository, key, value)
        elif key == "deletedFile":
            if path not in files:
                raise entry_not_found(path, before.oid, "A file with this name doesn't exist")
            del files[path]
        elif key == "deletedFolder":
            inside = [name for name in files if name.startswith(f"{path}/")]
            if not inside:
                raise entry_not_found(path, before.oid, "A folder with this name doesn't exist")
            for name in inside:
                del files[name]
        else:
            raise HubError(501, f"Operation {key} is not known to this Hub")
    return files


def commit(request: Request, kind: str, name: str, revision: str) -> Reply:
    """All operations or none; refused when the branch has moved on from the parent that the client knew."""
    repository = request.repository(kind, name, write=True)
    role = request.require_writer(name.split("/")[0])
    if request.flag("create_pr"):
        raise HubError(501, "Pull requests are not known to this Hub")
    operations = [json.loads(line) for line in request.body.read().splitlines() if line.strip()]
    header = next(operation["value"] for operation in operations if operation["key"] == "header")
    with request.site.store.lock:
        before = repository.commit(revision)
        if revision not in repository.references["branches"]:
            raise HubError(400, f"{revision} is not a branch")
        if header.get("parentCommit") not in (None, before.oid):
            raise HubError(412, "A commit has happened since. Please refresh and try again.")
        files = _changed(repository, before, [item for item in operations if item["key"] != "header"])
        made = repository.add_commit(
            revision, before.oid, files, header["summary"], header.get("description", ""), role.name
        )
    url = f"{request.site.page(repository)}/commit/{made.oid}"
    return as_json({"success": True, "commitOid": made.oid, "commitUrl": url, "hookOutput": ""})


LARGE = r"/_large/(?P<kind>models|datasets|spaces)/(?P<name>[^/]+/[^/]+)/(?P<oid>[0-9a-f]{64})"

ROUTES = (
    Route("POST", API + "/preupload" + REVISION, choose_ways),
    Route("POST", API + "/commit" + REVISION, commit),
    Route("POST", PAGE + r"\.git/info/lfs/objects/batch", offer_uploads),
    Route("POST", PAGE + r"\.git/info/lfs/verify", verify),
    Route("PUT", LARGE, receive),
    Route("POST", LARGE, join),
)
