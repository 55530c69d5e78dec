"""Who may do what, and the errors that the clients make of it."""

from collections.abc import Callable
from pathlib import Path

import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from tests.loopback_hub import ROLES, WRONG_TOKEN, Hub

ROLE_NAMES = ("owner", "reader", "nobody", None)


@pytest.fixture
def owner(hub_in_process: Hub) -> HfApi:
    api = hub_in_process.api("owner")
    for name in ("open", "private", "gated"):
        api.create_repo(f"org/{name}", private=name == "private")
        api.upload_file(path_or_fileobj=b"{}", path_in_repo="config.json", repo_id=f"org/{name}")
    api.update_repo_settings("org/gated", gated="manual")
    return api


def download(api: HfApi, name: str, tmp_path: Path) -> bytes:
    return Path(api.hf_hub_download(f"org/{name}", "config.json", local_dir=tmp_path)).read_bytes()


def test_the_clients_know_who_they_are(hub: Hub, owner: HfApi) -> None:
    for role in ("owner", "reader", "nobody"):
        answer = hub.api(role).whoami()
        assert answer["name"] == role
        assert [organization["name"] for organization in answer["orgs"]] == ([] if role == "nobody" else ["org"])
    assert hub.api("reader").whoami()["auth"]["accessToken"]["role"] == "read"


@pytest.mark.parametrize("role", ROLE_NAMES)
def test_open_repositories_are_for_all(hub: Hub, owner: HfApi, tmp_path: Path, role: str | None) -> None:
    assert download(hub.api(role), "open", tmp_path) == b"{}"


@pytest.mark.parametrize("role", ROLE_NAMES)
def test_private_ones_are_not_there_for_strangers(hub: Hub, owner: HfApi, tmp_path: Path, role: str | None) -> None:
    api = hub.api(role)
    if role in ("owner", "reader"):
        assert download(api, "private", tmp_path) == b"{}"
        assert api.model_info("org/private").private
        return
    calls: list[Callable[[], object]] = [
        lambda: download(api, "private", tmp_path),
        lambda: api.model_info("org/private"),
        lambda: api.list_repo_files("org/private"),
        lambda: api.auth_check("org/private"),
    ]
    for call in calls:
        with pytest.raises(RepositoryNotFoundError) as raised:
            call()
        assert raised.value.response.status_code == (401 if role is None else 404)


@pytest.mark.parametrize("role", ROLE_NAMES)
def test_gated_ones_show_their_names_and_keep_their_contents(
    hub: Hub, owner: HfApi, tmp_path: Path, role: str | None
) -> None:
    api = hub.api(role)
    assert api.model_info("org/gated").gated == "manual"
    assert "config.json" in api.list_repo_files("org/gated")
    if role in ("owner", "reader"):
        api.auth_check("org/gated")
        assert download(api, "gated", tmp_path) == b"{}"
        return
    for call in (lambda: download(api, "gated", tmp_path), lambda: api.auth_check("org/gated")):
        with pytest.raises(GatedRepoError, match="is restricted") as raised:
            call()
        assert raised.value.response.status_code == (401 if role is None else 403)


@pytest.mark.parametrize(("role", "status"), [("reader", 403), ("nobody", 403), (None, 401)])
def test_only_the_owner_writes(hub: Hub, owner: HfApi, role: str | None, status: int) -> None:
    api = hub.api(role)
    before = owner.model_info("org/open").sha
    calls: list[Callable[[], object]] = [
        lambda: api.create_repo("org/another"),
        lambda: api.upload_file(path_or_fileobj=b"x", path_in_repo="x.txt", repo_id="org/open"),
        lambda: api.delete_file("config.json", "org/open"),
        lambda: api.create_tag("org/open", tag="v1"),
        lambda: api.create_branch("org/open", branch="side"),
        lambda: api.update_repo_settings("org/open", private=True),
        lambda: api.delete_repo("org/open"),
        lambda: api.auth_check("org/open", write=True),
    ]
    for call in calls:
        with pytest.raises(HfHubHTTPError) as raised:
            call()
        assert raised.value.response.status_code == status
    assert owner.model_info("org/open").sha == before
    assert not owner.repo_exists("org/another")


def test_a_stranger_has_a_place_of_its_own(hub: Hub, owner: HfApi) -> None:
    api = hub.api("nobody")
    assert api.create_repo("mine", private=True).repo_id == "nobody/mine"
    with pytest.raises(RepositoryNotFoundError):
        owner.model_info("nobody/mine")


def test_a_wrong_token_is_an_error_even_where_none_is_needed(owner: HfApi, tmp_path: Path) -> None:
    api = HfApi(endpoint=owner.endpoint, token=WRONG_TOKEN)
    calls: list[Callable[[], object]] = [
        api.whoami,
        lambda: api.model_info("org/open"),
        lambda: download(api, "open", tmp_path),
        lambda: api.create_repo("org/another"),
    ]
    for call in calls:
        with pytest.raises(HfHubHTTPError) as raised:
            call()
        assert raised.value.response.status_code == 401
        assert not isinstance(raised.value, RepositoryNotFoundError)


def test_what_is_missing_is_named(hub: Hub, owner: HfApi) -> None:
    for role in ROLE_NAMES:
        api = hub.api(role)
        with pytest.raises(RepositoryNotFoundError):
            api.hf_hub_download("org/missing", "config.json")
        with pytest.raises(RevisionNotFoundError):
            api.hf_hub_download("org/open", "config.json", revision="v9")
        with pytest.raises(RevisionNotFoundError):
            api.model_info("org/open", revision="0" * 40)
        with pytest.raises(RemoteEntryNotFoundError):
            api.hf_hub_download("org/open", "missing.json")


def test_no_token_is_written_down(hub: Hub, owner: HfApi) -> None:
    log = "\n".join(str(visit) for visit in hub.visits)
    written = b"".join(path.read_bytes() for path in hub.root.rglob("*") if path.is_file())
    assert "org/open" in log
    for role in ROLES.values():
        assert role.token not in log
        assert role.token.encode() not in written
    assert "signature" not in log
