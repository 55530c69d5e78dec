"""Each fault does what it says, and the clients recover from it or fail as they do on the real Hub."""

import hashlib
import json
import os
import random
import signal
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import warm_python
from huggingface_hub import CommitOperationAdd, HfApi, snapshot_download
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
from huggingface_hub.utils import httpx

from tests.loopback_hub import Fault, Hub

BIG = random.Random(0).randbytes(12_000_000)
"""More than the 10 MB that huggingface_hub asks of a connection at a time."""

SMALL = random.Random(1).randbytes(100_000)


PUSH_IN_ORDER = """
import sys
from huggingface_hub import CommitOperationAdd, HfApi
api = HfApi()
api.create_repo("org/thing", exist_ok=True)
operations = [CommitOperationAdd(path.rsplit("/", 1)[1], path) for path in sys.argv[1:]]
api.create_commit("org/thing", operations, commit_message="push", num_threads=1)
"""


@pytest.fixture
def api(hub_in_process: Hub) -> HfApi:
    api = hub_in_process.api("owner")
    api.create_repo("org/thing")
    return api


def upload(api: HfApi, content: bytes, **options: Any) -> str:
    return api.upload_file(
        path_or_fileobj=content, path_in_repo="model.safetensors", repo_id="org/thing", **options
    ).oid


def download(api: HfApi, **options: Any) -> bytes:
    return Path(api.hf_hub_download("org/thing", "model.safetensors", **options)).read_bytes()


@pytest.mark.parametrize("status", [429, 503])
def test_an_upload_waits_and_tries_again(hub: Hub, api: HfApi, status: int) -> None:
    hub.fail("status", "/_large/", status=status, headers={"Retry-After": "1"})
    start = time.monotonic()
    upload(api, SMALL)
    assert time.monotonic() - start >= 2  # one second, and one that huggingface_hub adds
    assert [visit.status for visit in hub.visited("/_large/")] == [status, 200]
    assert download(api) == SMALL


def test_a_download_is_patient_with_429_and_not_with_503(hub: Hub, api: HfApi) -> None:
    upload(api, SMALL)
    hub.fail("status", "/resolve/", "GET", status=429, headers={"Retry-After": "0"})
    assert download(api) == SMALL
    hub.fail("status", "/resolve/", "GET", status=503)
    with pytest.raises(HfHubHTTPError, match="503"):
        download(api, force_download=True)
    assert download(api, force_download=True) == SMALL


def test_a_refused_commit_is_not_half_made(hub: Hub, api: HfApi) -> None:
    before = api.model_info("org/thing").sha
    hub.fail("status", "/commit/", status=503)
    with pytest.raises(HfHubHTTPError, match="503"):
        upload(api, SMALL)
    assert api.model_info("org/thing").sha == before
    upload(api, SMALL)
    assert hub.uploaded_bytes() == len(SMALL)  # the first time only
    assert download(api) == SMALL


def test_a_download_goes_on_where_it_broke(hub: Hub, api: HfApi) -> None:
    upload(api, BIG)
    hub.fail("drop", "/resolve/", "GET", after=11_000_000)
    assert download(api) == BIG
    broken, rest = hub.visited("/resolve/", "GET")
    assert (broken.status, broken.fault, broken.range) == (0, "drop", "")
    assert (rest.status, rest.range, rest.sent) == (206, "bytes=10485760-", len(BIG) - 10_485_760)


def test_an_upload_begins_again_when_it_broke(hub: Hub, api: HfApi) -> None:
    hub.fail("drop", "/_large/", after=60_000)
    upload(api, SMALL)
    assert [(visit.status, visit.received) for visit in hub.visited("/_large/")] == [(0, 60_000), (200, len(SMALL))]
    assert download(api) == SMALL
    assert list(hub.root.rglob("*.unfinished")) == []


def test_a_commit_broken_off_leaves_nothing(hub: Hub, api: HfApi) -> None:
    before = api.model_info("org/thing").sha
    hub.fail("drop", "/commit/")
    with pytest.raises(httpx.TransportError):
        upload(api, SMALL)
    assert api.model_info("org/thing").sha == before


def test_a_commit_whose_answer_was_lost_is_not_made_twice(hub: Hub, api: HfApi) -> None:
    hub.fail("lose_reply", "/commit/")
    with pytest.raises(httpx.TransportError):
        upload(api, SMALL)
    made = api.model_info("org/thing").sha
    assert upload(api, SMALL) == made
    assert len(api.list_repo_commits("org/thing")) == 2


def test_a_file_that_ends_early_is_not_kept(hub: Hub, api: HfApi, tmp_path: Path) -> None:
    upload(api, SMALL)
    hub.fail("truncate", "/resolve/", "GET")
    with pytest.raises(OSError, match="should be of size 100000 but has size 50000"):
        download(api)
    assert list(tmp_path.rglob("model.safetensors")) == []
    assert download(api, force_download=True) == SMALL


def test_another_content_of_the_right_size_shows_in_its_checksum_only(hub: Hub, api: HfApi) -> None:
    upload(api, SMALL)
    hub.fail("corrupt", "/resolve/", "GET")
    received = download(api)
    assert len(received) == len(SMALL)
    assert received != SMALL
    expected = api.get_paths_info("org/thing", "model.safetensors")[0].lfs.sha256
    assert hashlib.sha256(SMALL).hexdigest() == expected != hashlib.sha256(received).hexdigest()
    mismatches = api.verify_repo_checksums("org/thing").mismatches
    assert [mismatch["path"] for mismatch in mismatches] == ["model.safetensors"]


def test_a_hub_that_is_down_leaves_what_is_cached(hub: Hub, api: HfApi) -> None:
    upload(api, SMALL)
    assert download(api) == SMALL
    hub.stop()
    assert download(api) == SMALL
    with pytest.raises(LocalEntryNotFoundError):
        snapshot_download("org/other")
    with pytest.raises(httpx.ConnectError):
        api.model_info("org/thing")
    hub.start()
    assert (Path(snapshot_download("org/thing")) / "model.safetensors").read_bytes() == SMALL


def test_a_hub_goes_down_in_the_middle(hub: Hub, api: HfApi) -> None:
    for name in ("a.bin", "b.bin"):
        api.upload_file(path_or_fileobj=name.encode(), path_in_repo=name, repo_id="org/thing")
    hub.fail("stop", "/resolve/.*/b.bin", "HEAD")
    with pytest.raises(httpx.TransportError):
        snapshot_download("org/thing", max_workers=1)
    assert not hub.running
    hub.heal()
    assert (Path(snapshot_download("org/thing")) / "b.bin").read_bytes() == b"b.bin"


def test_a_commit_with_a_stale_parent_is_refused(hub: Hub, api: HfApi) -> None:
    parent = api.model_info("org/thing").sha
    first = CommitOperationAdd("first.txt", b"first")
    hub.fail(
        "before",
        "/commit/",
        action=lambda: hub.api("owner").create_commit("org/thing", [first], commit_message="overtakes"),
    )
    with pytest.raises(HfHubHTTPError, match="A commit has happened since") as raised:
        upload(api, SMALL, parent_commit=parent)
    assert raised.value.response.status_code == 412
    assert set(api.list_repo_files("org/thing")) == {".gitattributes", "first.txt"}
    upload(api, SMALL, parent_commit=api.model_info("org/thing").sha)
    assert hub.uploaded_bytes() == len(SMALL)


def test_of_many_pushes_at_once_none_is_lost(hub: Hub, api: HfApi) -> None:
    """Those that name the same parent succeed once; those that name none all do."""
    parent = api.model_info("org/thing").sha

    def push(number: int, parent_commit: str | None) -> int:
        operation = CommitOperationAdd(f"{number}.bin", SMALL[number:])
        try:
            api.create_commit("org/thing", [operation], commit_message="push", parent_commit=parent_commit)
        except HfHubHTTPError as error:
            return error.response.status_code
        return 200

    with ThreadPoolExecutor(8) as threads:
        assert sorted(threads.map(push, range(8), [parent] * 8)) == [200] + [412] * 7
        assert list(threads.map(push, range(8, 16), [None] * 8)) == [200] * 8
    files = set(api.list_repo_files("org/thing")) - {".gitattributes"}
    assert len(files) == 9
    assert {f"{number}.bin" for number in range(8, 16)} < files
    assert len(api.list_repo_commits("org/thing")) == 10


def test_a_push_that_was_killed_goes_on(hub: Hub, tmp_path: Path) -> None:
    """Killed when the second of two large files begins: run again, the first is not sent again."""
    (tmp_path / "a.bin").write_bytes(SMALL)
    (tmp_path / "b.bin").write_bytes(BIG)  # more than the buffers of a connection hold
    command = ["-c", PUSH_IN_ORDER, str(tmp_path / "a.bin"), str(tmp_path / "b.bin")]
    environment = hub.environment("owner")
    with warm_python.start(command, env=environment) as process:
        hub.fail("before", "/_large/", "PUT", skip=1, action=lambda: os.kill(process.pid, signal.SIGKILL))
        assert process.wait() == -signal.SIGKILL
    assert hub.visited("/commit/") == []
    sent = 2
    while len(hub.visited("/_large/", "PUT")) < sent:  # the Hub notices a moment later that the second one broke off
        time.sleep(0.05)
    warm_python.run(command, env=environment, check=True)
    assert [visit.status for visit in hub.visited("/_large/", "PUT")[:sent]] == [200, 0]
    assert [(visit.status, visit.received) for visit in hub.visited("/_large/", "PUT")[sent:]] == [(200, len(BIG))]


def test_faults_pass_strike_and_end() -> None:
    from tests.loopback_hub.faults import Faults

    faults = Faults()
    faults.add(Fault("drop", path="/b$", method="GET", skip=1, times=2))
    asked = [("GET", "/b"), ("PUT", "/b"), ("GET", "/bc"), ("GET", "/b"), ("GET", "/a/b"), ("GET", "/b")]
    assert [faults.take(*request) is not None for request in asked] == [False, False, False, True, True, False]


def test_faults_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="kind is 'explode'; faults are status, drop"):
        Fault("explode")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="action"):
        Fault("before")
    with pytest.raises(ValueError, match="action"):
        Fault("drop", action=print)


def test_faults_are_set_from_outside(hub: Hub, api: HfApi) -> None:
    def send(method: str, body: bytes = b"") -> None:
        urllib.request.urlopen(urllib.request.Request(f"{hub.endpoint}/_faults", body, method=method)).close()

    send("POST", json.dumps({"kind": "status", "status": 418, "times": 100}).encode())
    with pytest.raises(HfHubHTTPError, match="418"):
        api.model_info("org/thing")
    send("DELETE")
    assert api.model_info("org/thing").id == "org/thing"
    with pytest.raises(urllib.error.HTTPError, match="400"):
        send("POST", b'{"kind": "explode"}')
