"""Pushing against a Hub that breaks: what passes is waited for, what does not is said, and nothing is sent twice."""

import os
import random
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import warm_python
from huggingface_hub import CommitOperationAdd, HfApi, constants

from hf_sslgen.errors import HubError, InputError
from hf_sslgen.hub.pushing import Pushed, PushRequest, check_access, hub_client, push_files
from hf_sslgen.hub_access.retries import RetryPolicy
from tests.loopback_hub import ROLES, WRONG_TOKEN, Hub

WEIGHTS = random.Random(0).randbytes(100_000)
CARD = b"---\nlicense: mit\n---\n\n# A model\n"
REQUEST = PushRequest("org/model", token=ROLES["owner"].token)

PUSH = """
import sys
from pathlib import Path
from hf_sslgen.hub.pushing import PushRequest, hub_client, push_files
request = PushRequest("org/model")
files = {"model.safetensors": Path(sys.argv[1]), "config.json": b"{}"}
print(push_files(hub_client(request), request, files, "Push").changed)
"""


@pytest.fixture(autouse=True)
def no_failure_of_the_hub(hub: Hub) -> Iterator[None]:
    yield
    assert [str(visit) for visit in hub.visits if visit.status == 501] == []


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hf_sslgen.hub_access.retries.POLICY", RetryPolicy(waits=(0.0, 0.0)))


@pytest.fixture
def files(tmp_path: Path) -> dict[str, Path | bytes]:
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(WEIGHTS)
    return {"model.safetensors": weights, "config.json": b"{}", "README.md": CARD}


@pytest.fixture
def api(hub_in_process: Hub) -> HfApi:
    return hub_in_process.api("owner")


def push(files: dict[str, Path | bytes], request: PushRequest = REQUEST, **options: Any) -> Pushed:
    return push_files(hub_client(request), request, files, "Push", **options)


def assert_whole(api: HfApi, files: dict[str, Path | bytes]) -> None:
    """All of the files are there, and came with one commit after that which made the repository."""
    assert set(api.list_repo_files("org/model")) == {".gitattributes", *files}
    assert len(api.list_repo_commits("org/model")) == 2
    stored = api.hf_hub_download("org/model", "model.safetensors", force_download=True)
    assert Path(stored).read_bytes() == WEIGHTS


def test_one_commit_brings_everything_and_a_second_push_nothing(
    hub: Hub, api: HfApi, files: dict[str, Path | bytes]
) -> None:
    first = push(files)
    assert first.changed
    assert first.url == f"{hub.endpoint}/org/model"
    again = push(files)
    assert (again.changed, again.commit) == (False, first.commit)
    assert_whole(api, files)
    assert hub.uploaded_bytes() == len(WEIGHTS)


def test_only_what_changed_is_sent_and_what_is_replaced_goes(
    hub: Hub, api: HfApi, files: dict[str, Path | bytes]
) -> None:
    push({**files, "model-00001-of-00002.safetensors": b"a shard of before"})
    mine = {"notes.txt", "adapter/weights.safetensors"}
    for path in mine:
        api.upload_file(path_or_fileobj=b"mine", path_in_repo=path, repo_id="org/model")
    sent = hub.uploaded_bytes()
    push({**files, "config.json": b'{"more": 1}'}, replaced=("*.safetensors",))
    assert set(api.list_repo_files("org/model")) == {".gitattributes", *mine, *files}
    assert hub.uploaded_bytes() == sent


def test_branch_privacy_and_a_name_without_owner(hub: Hub, api: HfApi, files: dict[str, Path | bytes]) -> None:
    pushed = push(files, PushRequest("model", "trial", True, ROLES["owner"].token))
    assert pushed.url == f"{hub.endpoint}/owner/model"
    info = api.model_info("owner/model")
    assert info.private
    assert api.list_repo_files("owner/model") == [".gitattributes"]
    assert set(api.list_repo_files("owner/model", revision="trial")) == {".gitattributes", *files}


FAULTS = [
    ("status", "/api/repos/create", {"status": 429}),
    ("status", "/api/models/org/model$", {"status": 503}),
    ("status", "/api/validate-yaml", {"status": 503}),
    ("truncate", "/api/validate-yaml", {}),
    ("status", "/preupload/", {"status": 503}),
    ("status", "/objects/batch", {"status": 503}),
    ("status", "/_large/", {"status": 429, "headers": {"Retry-After": "0"}}),
    ("status", "/_large/", {"status": 500}),
    ("status", "/commit/", {"status": 503}),
    ("drop", "/api/repos/create", {}),
    ("drop", "/_large/", {"after": 60_000}),
    ("drop", "/commit/", {}),
    ("lose_reply", "/_large/", {}),
    ("lose_reply", "/commit/", {}),
]


@pytest.mark.parametrize(("kind", "path", "fields"), FAULTS, ids=lambda value: str(value))
def test_what_passes_is_waited_for(
    kind: Any, path: str, fields: dict[str, Any], hub: Hub, api: HfApi, files: dict[str, Path | bytes]
) -> None:
    hub.fail(kind, path, **fields)
    push(files)
    assert_whole(api, files)
    whole = [visit for visit in hub.visited("/_large/", "PUT") if visit.status == 200]
    sent_once = [visit.received for visit in whole] == [len(WEIGHTS)]
    # A reply that was lost is the one case in which a client can't know that the content has arrived.
    assert sent_once or (kind, path) == ("lose_reply", "/_large/")


@pytest.mark.parametrize(
    ("status", "said"), [(503, "answers 503 .*; run the same command again"), (429, "too many requests")]
)
def test_what_does_not_pass_is_said_and_the_next_push_goes_on(
    status: int, said: str, hub: Hub, api: HfApi, files: dict[str, Path | bytes]
) -> None:
    hub.fail("status", "/commit/", status=status, headers={"Retry-After": "0"}, times=1000)
    with pytest.raises(HubError, match=said):
        push(files)
    assert api.list_repo_files("org/model") == [".gitattributes"]
    hub.heal()
    push(files)
    assert_whole(api, files)
    assert hub.uploaded_bytes() == len(WEIGHTS)


@pytest.mark.parametrize(
    ("token", "said"),
    [
        (WRONG_TOKEN, "rejects the token"),
        (ROLES["reader"].token, "no write access to org/model"),
        (ROLES["nobody"].token, "no write access to org/model"),
    ],
)
@pytest.mark.parametrize("exists", [False, True])
def test_a_token_that_may_not_write(
    token: str, said: str, exists: bool, hub: Hub, api: HfApi, files: dict[str, Path | bytes]
) -> None:
    if exists:
        api.create_repo("org/model")
    request = PushRequest("org/model", token=token)
    for attempt in (
        lambda: check_access(hub_client(request), "org/model"),
        lambda: push(files, request),
    ):
        with pytest.raises(HubError, match=said) as raised:
            attempt()
        assert token not in str(raised.value)
        assert "\n" not in str(raised.value)
    assert hub.uploaded_bytes() == 0
    assert api.repo_exists("org/model") == exists


def test_access_is_checked_without_making_anything(hub: Hub, api: HfApi) -> None:
    for name in ("org/model", "model", "owner/model"):
        check_access(api, name)
    assert [visit for visit in hub.visits if visit.method != "GET"] == []
    with pytest.raises(HubError, match="no write access to another/model"):
        check_access(api, "another/model")
    reads_only = PushRequest("reader/model", token=ROLES["reader"].token)  # in a place of its own
    with pytest.raises(HubError, match="no write access to reader/model"):
        check_access(hub_client(reads_only), "reader/model")
    with pytest.raises(InputError, match="hub_model_id 'a/b/c' is not a valid repository name"):
        check_access(api, "a/b/c")


def test_a_hub_that_is_down_stops_a_push_and_no_training(
    hub: Hub, api: HfApi, files: dict[str, Path | bytes], caplog: pytest.LogCaptureFixture
) -> None:
    hub.stop()
    check_access(api, "org/model")
    assert "The push will be attempted after training" in caplog.text
    with pytest.raises(HubError, match=f"can't be reached at {hub.endpoint}.*run the same command again"):
        push(files)
    hub.start()
    push(files)
    assert_whole(api, files)


def test_a_hub_goes_down_in_the_middle(hub: Hub, api: HfApi, files: dict[str, Path | bytes]) -> None:
    hub.fail("stop", "/commit/")
    with pytest.raises(HubError, match="can't be reached"):
        push(files)
    hub.heal()
    push(files)
    assert_whole(api, files)
    assert hub.uploaded_bytes() == len(WEIGHTS)


def test_of_two_pushes_at_once_the_later_is_refused_whole(
    hub: Hub, api: HfApi, files: dict[str, Path | bytes]
) -> None:
    other = [CommitOperationAdd("config.json", b'{"of": "another"}')]
    hub.fail(
        "before", "/commit/", action=lambda: hub.api("owner").create_commit("org/model", other, commit_message="First")
    )
    with pytest.raises(HubError, match="another push to org/model came first"):
        push(files)
    assert set(api.list_repo_files("org/model")) == {".gitattributes", "config.json"}
    push(files)
    assert set(api.list_repo_files("org/model")) == {".gitattributes", *files}
    assert hub.uploaded_bytes() == len(WEIGHTS)


@pytest.mark.parametrize("where", ["/_large/", "/lfs/verify", "/commit/"])
def test_a_push_that_was_killed_goes_on(where: str, hub: Hub, api: HfApi, tmp_path: Path) -> None:
    content = random.Random(1).randbytes(12_000_000)  # more than the buffers of a connection hold
    (tmp_path / "weights").write_bytes(content)
    command, environment = ["-c", PUSH, str(tmp_path / "weights")], hub.environment("owner")
    with warm_python.start(command, env=environment) as process:
        hub.fail("before", where, action=lambda: os.kill(process.pid, signal.SIGKILL))
        assert process.wait() == -signal.SIGKILL
    warm_python.run(command, env=environment, check=True)
    # What of a broken upload was on its way arrives late, and is no whole upload.
    assert [visit.received for visit in hub.visited("/_large/", "PUT") if visit.status == 200] == [len(content)]
    assert len(api.list_repo_commits("org/model")) == 2
    assert (tmp_path / "weights").read_bytes() == content


def test_a_large_file_that_is_refused(hub: Hub, api: HfApi, files: dict[str, Path | bytes]) -> None:
    """huggingface_hub wraps what goes wrong with one file in an error that says nothing of it."""
    hub.fail("status", "/_large/", status=403)
    with pytest.raises(HubError, match="no write access to org/model"):
        push(files)
    push(files)
    assert_whole(api, files)


def test_a_card_that_the_hub_refuses(hub: Hub, api: HfApi, files: dict[str, Path | bytes]) -> None:
    with pytest.raises(HubError, match=r'org/model can\'t be pushed: .*"license" must be one of'):
        push({**files, "README.md": b"---\nlicense: nonsense\n---\n"})
    assert hub.uploaded_bytes() == 0


def test_offline_and_without_a_token(
    hub_in_process: Hub, files: dict[str, Path | bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    for token in ("hf_of two words", "hf_of\nwhich\n", "hf_ä"):
        with pytest.raises(HubError, match="copy it again") as raised:
            hub_client(PushRequest("org/model", token=token))
        assert "hf_" not in str(raised.value)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with pytest.raises(HubError, match="no token to push with"):
        hub_client(PushRequest("org/model"))
    assert ROLES["owner"].token not in repr(REQUEST)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(HubError, match="HF_HUB_OFFLINE is set"):
        check_access(hub_client(REQUEST), "org/model")
    with pytest.raises(HubError, match="HF_HUB_OFFLINE is set"):
        push(files)
