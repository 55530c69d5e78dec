"""Bad days of the Hub: one sentence that says what to do, a store as it was, and a next run that goes on."""

import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import warm_python
from study_on_hub import (
    REPOSITORY,
    Command,
    add_cells,
    cell_names,
    change_numbers,
    commits,
    contents,
    remote_files,
)

from hf_sslgen.command_line import run_command
from hf_sslgen.errors import HubError
from hf_sslgen.hub import remote_study, study_push
from hf_sslgen.hub.study_pull import Pulled, pull_cells
from hf_sslgen.hub_access.exchange import in_one_sentence
from hf_sslgen.reporting.page.html_page import render_page
from hf_sslgen.study.cells.cell_folder import read_cells
from hf_sslgen.study.cells.store import Store
from hf_sslgen.study.inference.study_results import infer
from tests.loopback_hub import ROLES, WRONG_TOKEN, Hub
from tests.loopback_hub.faults import Kind

TOKENS = [WRONG_TOKEN, *(role.token for role in ROLES.values())]


@pytest.fixture
def failed_push(push: Command, store: Path) -> Callable[..., str]:
    """A push that ends with an error, which is returned; the store is as it was, and nothing tells the token."""

    def run(**options: Any) -> str:
        before = contents(store)
        said = push(store, **options)
        assert contents(store) == before
        assert not any(token in said for token in TOKENS)
        (error,) = [line for line in said.splitlines() if line.startswith("error: ")]
        return error

    return run


@pytest.fixture(scope="module")
def page(_built: Path) -> str:
    return render_page(infer(list(read_cells(_built / "cells"))), "A study", [])


@pytest.fixture
def rendered_once(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every page is the same one, since what it says does not matter here and takes seconds to find."""
    monkeypatch.setattr(study_push, "infer", lambda *_: None)
    monkeypatch.setattr(study_push, "render_page", lambda *_: page)


def assert_published(hub: Hub, store: Path, size: int | None = None) -> None:
    """Everything is there, in one commit beside the Hub's own, and no byte of a large file was stored twice."""
    files = remote_files(hub)
    assert {path.split("/")[1] for path in files if path.startswith("cells/")} == set(cell_names(store))
    assert commits(hub) == 2
    large = {content for path, content in files.items() if path.endswith((".parquet", ".npz"))}
    whole = [visit for visit in hub.visited("/_large/", "PUT") if visit.status == 200]
    assert sum(visit.received for visit in whole) == sum(map(len, large))
    assert len(whole) == len(large)


def test_a_wrong_token(study_hub: Hub, failed_push: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", WRONG_TOKEN)
    assert "error: the Hub rejects the token; create one at " in failed_push()


def test_a_token_that_is_none(study_hub: Hub, failed_push: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret\N{EURO SIGN}secretsecret")
    error = failed_push()
    assert error.startswith("error: HF_TOKEN contains invalid characters; correct it")
    assert "secret" not in error


def test_no_token(study_hub: Hub, failed_push: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_TOKEN")
    assert "no token found: run `hf auth login`" in failed_push()
    assert study_hub.visits == []


@pytest.mark.parametrize("is_there", [False, True])
@pytest.mark.parametrize("role", ["reader", "nobody"])
def test_no_right_to_write(
    role: str, is_there: bool, study_hub: Hub, failed_push: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    if is_there:
        study_hub.api().create_repo(REPOSITORY, repo_type="dataset")
    monkeypatch.setenv("HF_TOKEN", ROLES[role].token)
    assert failed_push() == (
        "error: the token has no write access to datasets/org/study: it needs the role 'write', and its owner must "
        "be a member; give another repository, or another token with `hf auth login` or HF_TOKEN"
    )
    assert study_hub.uploaded_bytes() == 0


def test_an_unknown_licence(study_hub: Hub, push: Command, store: Path) -> None:
    said = push(store, "--license", "my own")
    assert re.search('error: the Hub rejects the card of datasets/org/study: - "license" must be one of', said)
    assert "4 cells added" in push(store, "--license", "mit")


def test_a_hub_that_is_down(study_hub: Hub, failed_push: Any, push: Command, store: Path) -> None:
    study_hub.stop()
    expected = f"error: the Hub can't be reached at {study_hub.endpoint}, or .*; run the same command again"
    assert re.fullmatch(expected, failed_push())
    study_hub.start()
    assert "4 cells added" in push(store)


def test_an_offline_client(study_hub: Hub, failed_push: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    assert failed_push().startswith("error: HF_HUB_OFFLINE is set, so nothing can be pushed; unset it")


@pytest.mark.parametrize(
    ("kind", "path", "fields"),
    [
        ("status", "/api/repos/create", {}),
        ("status", "/tree/", {}),
        ("truncate", "/tree/", {}),
        ("status", "/preupload/", {}),
        ("truncate", "/preupload/", {}),
        ("status", "/_large/", {"headers": {"Retry-After": "0"}}),
        ("status", "/commit/", {}),
        ("status", "/commit/", {"status": 429}),
        ("drop", "/_large/", {"after": 1000}),
        ("drop", "/commit/", {"after": 100}),
        ("lose_reply", "/commit/", {}),
        ("lose_reply", "/api/repos/create", {}),
    ],
)
def test_a_moment_of_weakness(
    kind: Kind, path: str, fields: dict[str, Any], study_hub: Hub, push: Command, store: Path
) -> None:
    study_hub.fail(kind, path, **fields)
    assert "error" not in push(store)
    assert_published(study_hub, store)


def test_a_hub_that_stays_unwell(study_hub: Hub, failed_push: Any, push: Command, store: Path) -> None:
    study_hub.fail("status", "/commit/", times=4)
    assert re.fullmatch(r"error: the Hub answers 503 \(.*\); run the same command again later", failed_push())
    assert commits(study_hub) == 1
    push(store)
    assert_published(study_hub, store)


def test_a_push_that_the_hub_objects_to(study_hub: Hub, failed_push: Any) -> None:
    study_hub.fail("status", "/commit/", status=400)
    assert failed_push().startswith("error: the Hub rejects the push to datasets/org/study: ")


def test_a_hub_that_goes_down_before_the_commit(study_hub: Hub, failed_push: Any, push: Command, store: Path) -> None:
    study_hub.fail("stop", "/commit/")
    assert "the connection broke" in failed_push()
    study_hub.heal()
    assert commits(study_hub) == 1
    push(store)
    assert_published(study_hub, store)


@pytest.mark.usefixtures("rendered_once")
@pytest.mark.parametrize(
    ("kind", "path", "fields"),
    [
        ("status", "/api/repos/create", {"skip": 1}),
        ("status", "/api/spaces/org/study/tree/", {"status": 429, "headers": {"Retry-After": "0"}}),
        ("drop", "/api/spaces/org/study/commit/", {"after": 1000}),
        ("lose_reply", "/api/spaces/org/study/commit/", {}),
    ],
)
def test_a_moment_of_weakness_while_the_page_is_published(
    kind: Kind, path: str, fields: dict[str, Any], study_hub: Hub, push: Command, store: Path
) -> None:
    study_hub.fail(kind, path, **fields)
    assert "the page " in push(store, "--report_space", "true")
    assert {"README.md", "index.html"} < set(remote_files(study_hub, kind="space"))
    assert commits(study_hub, kind="space") == 2


@pytest.mark.usefixtures("rendered_once")
@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"kind": "status", "status": 403}, "the token has no write access to spaces/org/study"),
        ({"kind": "status", "status": 503, "times": 1000}, "the Hub answers 503 "),
        ({"kind": "stop"}, "the Hub can't be reached at "),
    ],
)
def test_a_page_that_can_not_be_published(
    fields: dict[str, Any], said: str, study_hub: Hub, push: Command, store: Path
) -> None:
    """The cells are there by then; the next push adds the page."""
    study_hub.fail(path="/api/spaces/org/study/commit/", **fields)
    words = push(store, "--report_space", "true")
    assert "4 cells added" in words
    assert f"error: {said}" in words
    study_hub.heal()
    assert commits(study_hub, kind="space") == 1
    words = push(store, "--report_space", "true")
    assert "0 cells added, 4 already there" in words
    assert "the page is new" in words
    assert_published(study_hub, store)


@pytest.mark.slow
def test_somebody_else_publishes_the_page_first(study_hub: Hub, push: Command, store: Path) -> None:
    study_hub.fail(
        "before",
        "/api/spaces/org/study/commit/",
        action=lambda: push_by_process(study_hub, store, "--report_space", "true"),
    )
    assert "the page has not changed" in push(store, "--report_space", "true")
    assert commits(study_hub, kind="space") == 2


def push_by_process(hub: Hub, store: Path, *options: str) -> None:
    warm_python.run([*command(store), *options], env=hub.environment("owner"), check=True)


def command(store: Path) -> list[str]:
    return ["-m", "hf_sslgen.cli", "push-study", str(store), REPOSITORY]


def test_killed_in_the_middle(study_hub: Hub, push: Command, store: Path) -> None:
    """At the third large file, when others are stored already or on their way."""
    with warm_python.start(command(store), env=study_hub.environment("owner")) as process:
        study_hub.fail("before", "/_large/", "PUT", skip=3, action=lambda: os.kill(process.pid, signal.SIGKILL))
        assert process.wait() == -signal.SIGKILL
    assert commits(study_hub) == 1
    push(store)
    assert_published(study_hub, store)


@pytest.mark.slow
def test_asked_to_end_in_the_middle(study_hub: Hub, push: Command, store: Path) -> None:
    process = warm_python.start(command(store), env=study_hub.environment("owner"))
    study_hub.fail("before", "/_large/", "PUT", action=lambda: process.send_signal(signal.SIGTERM))
    said = process.communicate()[1]
    assert process.returncode == 128 + signal.SIGTERM, said
    assert "interrupted; run the same command again to resume" in said
    assert "Traceback" not in said
    push(store)
    assert set(cell_names(store)) <= {path.split("/")[1] for path in remote_files(study_hub) if "/" in path}


def test_two_pushes_at_once(study_hub: Hub, push: Command, store: Path, tmp_path: Path) -> None:
    """Of two people with cells in common: both succeed, and all cells are there."""
    other = tmp_path / "other"
    add_cells(other, "linear")
    add_cells(other, "few-shot")
    study_hub.fail("before", "/commit/", action=lambda: push(other))
    ended = warm_python.run(command(store), env=study_hub.environment("owner"))
    assert ended.returncode == 0, ended.stderr
    assert "2 cells added, 2 already there" in ended.stdout
    files = remote_files(study_hub)
    names = set(cell_names(store)) | set(cell_names(other))
    assert len(names) == 6
    assert {path.split("/")[1] for path in files if path.startswith("cells/")} == names
    # In any order: a visit is noted when its answer has been sent, and theirs ends while ours goes on.
    assert sorted(visit.status for visit in study_hub.visited("/commit/", "POST")) == [200, 200, 412]
    card = files["README.md"].decode()
    assert all(words in card for words in ("6 cells", "few-shot", "pretrained"))


def test_somebody_else_commits_first(study_hub: Hub, push: Command, store: Path, tmp_path: Path) -> None:
    """Between our look and our commit, with one cell of ours whose numbers differ."""
    other = tmp_path / "other"
    add_cells(other, "linear")
    name = cell_names(other)[0]
    change_numbers(other / "cells" / name)

    def overtake() -> None:
        study_hub.api().upload_folder(repo_id=REPOSITORY, repo_type="dataset", folder_path=other)

    study_hub.fail("before", "/commit/", action=overtake)
    said = push(store)
    assert "another commit to datasets/org/study came first" in said
    # In any order: a visit is noted when its answer has been sent, and theirs ends while ours goes on.
    assert sorted(visit.status for visit in study_hub.visited("/commit/", "POST")) == [200, 200, 412]
    assert "2 cells added, 1 already there" in said
    assert f"different numbers and were left unchanged:\n  {name}" in said
    assert "value is 1.3 here, 0.123 on the Hub" in said
    theirs = (other / "cells" / name / "results.json").read_bytes()
    assert remote_files(study_hub)[f"cells/{name}/results.json"] == theirs


@pytest.fixture
def pull(study_hub: Hub, push: Command, store: Path, tmp_path: Path) -> Callable[[], Pulled]:
    """Pulls what was pushed into a folder `here`, as `hf-sslgen study --pull` does."""
    push(store)
    study_hub.visits.clear()

    def run() -> Pulled:
        Store(tmp_path / "here").prepare()
        api = study_hub.api("reader")
        with in_one_sentence(REPOSITORY, "dataset", writing=False):
            return pull_cells(api, REPOSITORY, tmp_path / "here" / "cells")

    return run


@pytest.mark.parametrize(
    ("kind", "path", "fields"),
    [
        ("status", "/api/datasets/", {}),
        ("truncate", "/api/datasets/", {"method": "GET"}),
        ("status", "/tree/", {}),
        ("status", "/resolve/.*results.json", {"method": "GET"}),
        ("status", "/resolve/.*records.parquet", {"method": "GET", "status": 429}),
        ("drop", "/resolve/.*records.parquet", {"method": "GET", "after": 1000}),
        ("truncate", "/resolve/.*records.parquet", {"method": "GET"}),
        ("corrupt", "/resolve/.*records.parquet", {"method": "GET"}),
        ("corrupt", "/resolve/.*results.json", {"method": "GET"}),
    ],
)
def test_a_moment_of_weakness_while_pulling(
    kind: Kind, path: str, fields: dict[str, Any], study_hub: Hub, pull: Any, store: Path, tmp_path: Path
) -> None:
    study_hub.fail(kind, path, **fields)
    assert sorted(pull().taken) == cell_names(store)
    assert contents(tmp_path / "here" / "cells") == contents(store / "cells")


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (503, "the Hub has a fault and answers 503 for datasets/org/study; run this again later"),
        (403, "the token that was sent lacks permission for this in datasets/org/study; grant it"),
    ],
)
def test_what_does_not_pass_while_pulling(
    status: int, said: str, study_hub: Hub, pull: Any, store: Path, tmp_path: Path
) -> None:
    study_hub.fail("status", "/resolve/.*records.parquet", "GET", status=status, times=1000)
    with pytest.raises(HubError, match=re.escape(said)):
        pull()
    assert list((tmp_path / "here" / "cells").iterdir()) == []
    study_hub.heal()
    assert sorted(pull().taken) == cell_names(store)


def test_an_offline_client_pulls_nothing(pull: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(HubError, match="HF_HUB_OFFLINE is set, so nothing can be pulled; unset it"):
        pull()


def test_a_file_that_stays_damaged(study_hub: Hub, pull: Any, store: Path) -> None:
    study_hub.fail("corrupt", f"/resolve/.*{cell_names(store)[0]}/records.parquet", "GET", times=4)
    pulled = pull()
    assert pulled.refused == {cell_names(store)[0]: f"cells/{cell_names(store)[0]}/records.parquet arrived damaged"}
    assert len(pulled.taken) == 3
    assert pull().taken == [cell_names(store)[0]]


@pytest.mark.slow
def test_a_hub_that_goes_down_while_pulling(
    study_hub: Hub, pull: Any, store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hf_sslgen.hub.study_pull.AT_ONCE", 1)
    last = cell_names(store)[-1]
    study_hub.fail("stop", f"/resolve/.*{last}/records.parquet", "GET")
    with pytest.raises(
        HubError,
        match="can't be reached, or the connection broke, in a request for datasets/org/study; run this again",
    ):
        pull()
    assert cell_names(tmp_path / "here") == cell_names(store)[:-1]  # whole cells, and nothing unfinished
    study_hub.heal()
    assert pull().taken == [last]
    assert contents(tmp_path / "here" / "cells") == contents(store / "cells")


def test_a_hub_that_is_down_before_a_cell_is_pulled(study_hub: Hub, pull: Any, store: Path, tmp_path: Path) -> None:
    study_hub.fail("stop", "/api/datasets/org/study$")
    with pytest.raises(
        HubError, match="can't be reached, or the connection broke, in a request for datasets/org/study"
    ):
        pull()
    assert list((tmp_path / "here" / "cells").iterdir()) == []
    study_hub.heal()
    assert sorted(pull().taken) == cell_names(store)


def test_an_upload_that_is_refused(study_hub: Hub, failed_push: Any, push: Command, store: Path) -> None:
    """One of several large files, whose error the client wraps."""
    study_hub.fail("status", "/_large/", status=403)
    assert "error: the token has no write access to datasets/org/study" in failed_push()
    push(store)
    assert_published(study_hub, store)


@pytest.mark.parametrize(
    ("token", "repository", "said"),
    [
        (WRONG_TOKEN, "org/study", r"the Hub rejects the token that was sent; log in again"),
        (ROLES["reader"].token, "org/other", r"there is no datasets/org/other on http\S+, or it is private .*; check"),
        (ROLES["nobody"].token, "org/private", r"there is no datasets/org/private on http\S+, or it is private"),
        ("", "org/private", r"there is no datasets/org/private .*you are not logged in"),
        ("", "a/b c", r"'a/b c' is not a valid repository name; give owner/name"),
        ("", "a/b/c", r"pull is 'a/b/c'; give a dataset on the Hub as owner/name"),
        ("", "study", r"pull is 'study'; give a dataset on the Hub as owner/name"),
    ],
)
def test_what_may_not_be_read(
    token: str,
    repository: str,
    said: str,
    study_hub: Hub,
    study_file: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    study_hub.api().create_repo("org/private", repo_type="dataset", private=True)
    monkeypatch.setenv("HF_TOKEN", token)
    options = [str(study_file()), "--output_dir", str(tmp_path / "out"), "--pull", repository]
    with pytest.raises(SystemExit):
        run_command("hf_sslgen.commands.study", options)
    errors = capfd.readouterr().err
    assert re.search(f"^error: {said}", errors, re.MULTILINE), errors
    assert not any(known in errors for known in TOKENS)
    assert list((tmp_path / "out" / "cells").iterdir()) == []


def test_large_studies_come_in_several_commits(
    study_hub: Hub, push: Command, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("hf_sslgen.hub.study_push.CELLS_PER_COMMIT", 3)
    study_hub.fail("status", "/commit/", skip=1, times=4)
    assert "error: the Hub answers 503" in push(store)
    remote = remote_study.look_at(study_hub.api(), REPOSITORY)
    assert len(remote.cells()) == 3  # whole, with their tables and a card
    assert all(len(files) >= 3 for files in remote.cells().values())
    assert "3 cells" in remote_files(study_hub)["README.md"].decode()
    assert "1 cells added, 3 already there" in push(store)
    assert commits(study_hub) == 3
