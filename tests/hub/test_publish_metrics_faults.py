"""Publishing metrics on bad days of the Hub: one sentence and exit code 2, no half commit, a next run that goes on."""

import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import warm_python
from huggingface_hub import HfApi
from script_runs import Ended, run_script

from hf_sslgen.hub_access.retries import RetryPolicy
from hf_sslgen.reporting.metric_spaces import space_files
from tests.loopback_hub import ROLES, WRONG_TOKEN, Hub

SCRIPT = Path(__file__).parents[2] / "scripts" / "publish_metrics.py"
SPACE = "org/brier_score"
COMMAND = [str(SCRIPT), "--organization", "org", "--modules", "brier_score"]
FILES = {".gitattributes", *space_files("brier_score", SPACE)}

Publish = Callable[..., Ended]


@pytest.fixture
def publish(hub_in_process: Hub, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Publish:
    """The script, run in this process as with a command line, and with no time to lose."""
    monkeypatch.setattr("hf_sslgen.hub_access.retries.POLICY", RetryPolicy(waits=(0.01, 0.02)))
    monkeypatch.setattr(sys, "argv", COMMAND)

    def run(token: str = ROLES["owner"].token) -> Ended:
        monkeypatch.setenv("HF_TOKEN", token)
        return run_script(SCRIPT, capfd)

    return run


def publish_by_process(hub: Hub) -> Ended:
    ended = warm_python.run(COMMAND, env=hub.environment("owner"))
    return Ended(ended.returncode, ended.stdout, ended.stderr)


def make_older(api: HfApi) -> None:
    """The Space as an earlier release may have published it."""
    api.create_repo(SPACE, repo_type="space", space_sdk="gradio")
    api.upload_file(path_or_fileobj=b"older", path_in_repo="app.py", repo_id=SPACE, repo_type="space")


def assert_whole(api: HfApi, commits: int = 2) -> None:
    """Every file is there, and all of them came with one commit."""
    assert set(api.list_repo_files(SPACE, repo_type="space")) == FILES
    assert len(api.list_repo_commits(SPACE, repo_type="space")) == commits


@pytest.mark.parametrize(
    ("token", "said"),
    [
        ("", "no token found: run `hf auth login`, or set HF_TOKEN"),
        (WRONG_TOKEN, "the Hub rejects the token; create one at "),
        (ROLES["reader"].token, f"the token has no write access to spaces/{SPACE}: it needs the role 'write'"),
        (ROLES["nobody"].token, f"the token has no write access to spaces/{SPACE}: it needs the role 'write'"),
        ("hf_secret\N{EURO SIGN}secretsecret", "HF_TOKEN contains invalid characters; correct it"),
    ],
)
@pytest.mark.parametrize("exists", [False, True])
def test_a_token_that_may_not_write(token: str, said: str, exists: bool, publish: Publish, api: HfApi) -> None:
    if exists:
        make_older(api)
    sentence = publish(token).refusal
    assert sentence.startswith(said)
    assert "secret" not in sentence
    assert api.repo_exists(SPACE, repo_type="space") == exists
    assert not exists or len(api.list_repo_commits(SPACE, repo_type="space")) == 2


@pytest.mark.parametrize(
    ("kind", "path", "fields"),
    [
        ("status", "/api/spaces/org/brier_score$", {"status": 503}),
        ("status", "/api/repos/create", {"status": 503}),
        ("status", "/preupload/", {"status": 503}),
        ("status", "/commit/", {"status": 503}),
        ("status", "/commit/", {"status": 429, "headers": {"Retry-After": "0"}}),
        ("status", "/tree/", {"status": 429, "headers": {"Retry-After": "0"}}),
        ("truncate", "/tree/", {}),
        ("drop", "/commit/", {"after": 1000}),
        ("lose_reply", "/commit/", {}),
    ],
)
def test_what_passes_is_waited_for(
    kind: Any, path: str, fields: dict[str, Any], publish: Publish, hub: Hub, api: HfApi
) -> None:
    hub.fail(kind, path, **fields)
    assert publish() == Ended(0, f"{SPACE}: made, {len(FILES) - 1} files\n", "")
    assert_whole(api)


def test_a_hub_that_is_down(publish: Publish, hub: Hub, api: HfApi) -> None:
    hub.stop()
    pattern = f"the Hub can't be reached at {hub.endpoint}, or .*; run the same command again"
    assert re.fullmatch(pattern, publish().refusal)
    hub.start()
    assert publish().code == 0
    assert_whole(api)


def test_a_hub_that_goes_down_before_the_commit(publish: Publish, hub: Hub, api: HfApi) -> None:
    hub.fail("stop", "/commit/")
    assert publish().refusal.endswith("; run the same command again")
    hub.heal()
    assert api.list_repo_files(SPACE, repo_type="space") == [".gitattributes"]
    assert publish().code == 0
    assert_whole(api)


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (503, "the Hub answers 503 "),
        (429, "the Hub received too many requests (429)"),
        (400, "the Hub rejects the push to spaces/org/brier_score: "),
    ],
)
def test_what_does_not_pass(status: int, said: str, publish: Publish, hub: Hub, api: HfApi) -> None:
    hub.fail("status", "/commit/", status=status, headers={"Retry-After": "0"}, times=1000)
    assert publish().refusal.startswith(said)
    hub.heal()
    assert api.list_repo_files(SPACE, repo_type="space") == [".gitattributes"]
    assert publish().code == 0
    assert_whole(api)


def test_an_offline_client(publish: Publish, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert publish().refusal.startswith("HF_HUB_OFFLINE is set")


@pytest.mark.slow
def test_a_process_that_is_killed_at_the_commit(publish: Publish, hub: Hub, api: HfApi) -> None:
    make_older(api)
    with warm_python.start(COMMAND, env=hub.environment("owner")) as process:
        hub.fail("before", "/commit/", action=lambda: os.kill(process.pid, signal.SIGKILL))
        assert process.wait() == -signal.SIGKILL
    assert publish().code == 0
    assert set(api.list_repo_files(SPACE, repo_type="space")) == FILES


def test_two_processes_at_once(publish: Publish, hub: Hub, api: HfApi) -> None:
    """The later one looks again, and ends well on top of the other's commit."""
    make_older(api)
    others: list[Ended] = []
    hub.fail("before", "/commit/", action=lambda: others.append(publish()))
    ended = publish_by_process(hub)
    assert [other.code for other in others] == [0]
    assert ended.code == 0, ended.err
    assert "another commit to spaces/org/brier_score came first; trying again" in ended.err
    assert_whole(api, commits=3)
