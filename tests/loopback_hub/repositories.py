"""Routes about repositories as such: who am I, create, delete, settings, information, branches, tags, history."""

import json
from typing import Any

from tests.loopback_hub import benchmarks, cards
from tests.loopback_hub.access import require_past_gate
from tests.loopback_hub.replies import HubError, Reply, as_json
from tests.loopback_hub.routing import API, REVISION, Request, Route
from tests.loopback_hub.store import Commit, Repository, StoredFile, pointer


def who_am_i(request: Request) -> Reply:
    role = request.role
    if role is None:
        raise HubError(401, "Invalid username or password.")
    organizations = request.site.organizations if role.member else ()
    token = {"displayName": f"token of {role.name}", "role": "write" if role.can_write else "read"}
    return as_json(
        {
            "type": "user",
            "id": role.name,
            "name": role.name,
            "fullname": role.name,
            "isPro": False,
            "orgs": [
                {"type": "org", "name": name, "roleInOrg": "write" if role.can_write else "read"}
                for name in organizations
            ],
            "auth": {"type": "access_token", "accessToken": token},
        }
    )


def _named(request: Request) -> tuple[dict[str, Any], str, str, str]:
    """The JSON body of create and delete, with the kind, the namespace and the full name that it means."""
    wanted = request.body.json()
    namespace = wanted.get("organization") or (request.role.name if request.role else "")
    return wanted, wanted.get("type", "model") + "s", namespace, f"{namespace}/{wanted['name']}"


def create(request: Request) -> Reply:
    wanted, kind, namespace, name = _named(request)
    role = request.require_writer(namespace)
    if kind == "spaces" and wanted.get("sdk") not in cards.SPACE_SDKS:
        raise HubError(400, f"sdk must be one of {', '.join(cards.SPACE_SDKS)}")
    store = request.site.store
    with store.lock:
        existing = store.find(kind, name)
        if existing is not None:
            message = "You already created this repository"
            raise HubError(409, message, url=request.site.page(existing))
        private = wanted.get("visibility", "public") == "private"
        repository = store.create(kind, name, private, wanted.get("sdk"), role.name)
    return as_json({"url": request.site.page(repository), "name": name})


def delete(request: Request) -> Reply:
    _, kind, _, name = _named(request)
    repository = request.repository(kind, name, write=True)
    with request.site.store.lock:
        request.site.store.delete(repository)
    return as_json({})


def change_settings(request: Request, kind: str, name: str) -> Reply:
    repository = request.repository(kind, name, write=True)
    wanted = request.body.json()
    changes: dict[str, Any] = {"gated": wanted["gated"]} if "gated" in wanted else {}
    if "visibility" in wanted:
        changes["private"] = wanted["visibility"] == "private"
    with request.site.store.lock:
        repository.change_settings(**changes)
    return as_json(changes)


def check_access(request: Request, kind: str, name: str, write: str | None) -> Reply:
    repository = request.repository(kind, name, write=write is not None)
    require_past_gate(repository, request.role, request.site.organizations)
    return as_json({})


def _sibling(path: str, stored: StoredFile, with_blobs: bool) -> dict[str, Any]:
    sibling: dict[str, Any] = {"rfilename": path}
    if with_blobs:
        sibling |= {"size": stored.size, "blobId": stored.oid}
        if stored.sha256:
            size = len(pointer(stored.sha256, stored.size))
            sibling["lfs"] = {"sha256": stored.sha256, "size": stored.size, "pointerSize": size}
    return sibling


def information(request: Request, kind: str, name: str, revision: str | None = None) -> Reply:
    """All that we know, whatever `expand` asks for."""
    repository = request.repository(kind, name)
    commit = repository.commit(revision or "main")
    settings = repository.settings
    readme = commit.files.get("README.md")
    card = {} if readme is None else cards.front_matter(repository.content(readme).decode(errors="replace"))
    result: dict[str, Any] = {
        "_id": repository.folder.name,
        "id": name,
        "author": name.split("/")[0],
        "sha": commit.oid,
        "createdAt": settings["created"],
        "lastModified": commit.date,
        "private": settings["private"],
        "gated": settings["gated"],
        "disabled": False,
        "downloads": 0,
        "likes": 0,
        "tags": cards.tags(card),
        "cardData": card,
        "siblings": [_sibling(path, stored, request.flag("blobs")) for path, stored in commit.files.items()],
    }
    if kind == "models":
        result |= {key: card[key] for key in ("library_name", "pipeline_tag", "model-index") if key in card}
        result |= {"modelId": name, "evalResults": list(benchmarks.results_of(repository, commit))}
        result["config"] = _configuration(repository, commit)
    if kind == "spaces":
        result["sdk"] = card.get("sdk", settings["sdk"])
    return as_json(result)


def _configuration(repository: Repository, commit: Commit) -> dict[str, Any]:
    """What a model's page shows of its config.json; nothing where that can't be read."""
    stored = commit.files.get("config.json")
    try:
        written = {} if stored is None else json.loads(repository.content(stored))
    except ValueError:
        return {}
    return {key: written[key] for key in ("architectures", "model_type") if key in written}


def references(request: Request, kind: str, name: str) -> Reply:
    stored = request.repository(kind, name).references

    def listed(which: str, prefix: str) -> list[dict[str, str]]:
        return [{"name": ref, "ref": prefix + ref, "targetCommit": oid} for ref, oid in stored[which].items()]

    branches, tags = listed("branches", "refs/heads/"), listed("tags", "refs/tags/")
    return as_json({"branches": branches, "tags": tags, "converts": [], "pullRequests": []})


def history(request: Request, kind: str, name: str, revision: str) -> Reply:
    commits = request.repository(kind, name).history(revision)
    return as_json(
        [
            {
                "id": commit.oid,
                "title": commit.title,
                "message": commit.message,
                "date": commit.date,
                "authors": [{"user": commit.author}],
            }
            for commit in commits
        ]
    )


def _name_commit(request: Request, repository: Repository, which: str, ref: str, revision: str) -> Reply:
    if ref.startswith("refs/"):
        raise HubError(400, f"Invalid reference: {ref}")
    with request.site.store.lock:
        if ref in repository.references[which]:
            raise HubError(409, f"Reference already exists: {ref}")
        repository.change_references(which, ref, repository.commit(revision).oid)
    return as_json({})


def _forget(request: Request, repository: Repository, which: str, ref: str) -> Reply:
    with request.site.store.lock:
        if ref not in repository.references[which]:
            raise HubError(404, f"Reference doesn't exist: {ref}", "RevisionNotFound")
        repository.change_references(which, ref, None)
    return as_json({})


def create_branch(request: Request, kind: str, name: str, revision: str) -> Reply:
    repository = request.repository(kind, name, write=True)
    start = request.body.json().get("startingPoint", "main")
    return _name_commit(request, repository, "branches", revision, start)


def delete_branch(request: Request, kind: str, name: str, revision: str) -> Reply:
    return _forget(request, request.repository(kind, name, write=True), "branches", revision)


def create_tag(request: Request, kind: str, name: str, revision: str) -> Reply:
    repository = request.repository(kind, name, write=True)
    return _name_commit(request, repository, "tags", request.body.json()["tag"], revision)


def delete_tag(request: Request, kind: str, name: str, revision: str) -> Reply:
    return _forget(request, request.repository(kind, name, write=True), "tags", revision)


def discussions(request: Request, kind: str, name: str) -> Reply:
    """None: transformers looks for offers to convert weights among them."""
    request.repository(kind, name)
    return as_json({"discussions": [], "count": 0, "start": 0})


def harnesses(request: Request) -> Reply:
    """What the command `hf` asks before anything else; it takes an empty answer."""
    return as_json({"standardEnvVars": [], "harnesses": {}})


def validate_card(request: Request) -> Reply:
    wanted = request.body.json()
    errors, warnings = cards.validate(wanted["content"], wanted.get("repoType") or "model")
    found = {"errors": [{"message": text} for text in errors], "warnings": [{"message": text} for text in warnings]}
    return as_json(found, 400 if errors else 200)


ROUTES = (
    Route("GET", "/api/whoami-v2", who_am_i),
    Route("POST", "/api/repos/create", create),
    Route("DELETE", "/api/repos/delete", delete),
    Route("POST", "/api/validate-yaml", validate_card),
    Route("GET", "/api/agent-harnesses", harnesses),
    Route("GET", API, information),
    Route("GET", API + "/revision" + REVISION, information),
    Route("PUT", API + "/settings", change_settings),
    Route("GET", API + "/auth-check(?P<write>/write)?", check_access),
    Route("GET", API + "/refs", references),
    Route("GET", API + "/discussions", discussions),
    Route("GET", API + "/commits" + REVISION, history),
    Route("POST", API + "/branch" + REVISION, create_branch),
    Route("DELETE", API + "/branch" + REVISION, delete_branch),
    Route("POST", API + "/tag" + REVISION, create_tag),
    Route("DELETE", API + "/tag" + REVISION, delete_tag),
)
