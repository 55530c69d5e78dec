"""Published files arrive as they are published, or not at all: against a server on loopback with bad habits."""

import hashlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from file_server import FileServer, Served

from hf_sslgen.errors import DiskFullError, HubError, InputError
from hf_sslgen.zoo.conversion.download import fetch_published_file
from hf_sslgen.zoo.conversion.published_addresses import HubFile, hub_file, published_path

if TYPE_CHECKING:
    from tests.loopback_hub import Hub

URL = "https://dl.example.org/method/resnet50.pth"
PATH = "/dl.example.org/method/resnet50.pth"
CONTENT = bytes(range(256)) * 1200
SHA256 = f"sha256:{hashlib.sha256(CONTENT).hexdigest()[:8]}"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("HF_TOKEN", "hf_abcdefghijklmnopqrstuvwxyz")
    monkeypatch.setattr("hf_sslgen.hub_access.retries.time.sleep", lambda _: None)
    with FileServer() as started:
        monkeypatch.setenv("HF_SSLGEN_MIRROR", started.address)
        yield started


def names_below(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_a_file_arrives_once(server: FileServer, tmp_path: Path) -> None:
    server.files[PATH] = Served(CONTENT)
    path = fetch_published_file(URL, tmp_path, checksum=SHA256, size=len(CONTENT))
    assert path == tmp_path / "dl.example.org/method/resnet50.pth"
    assert path.read_bytes() == CONTENT
    assert fetch_published_file(URL, tmp_path, checksum=f"md5:{hashlib.md5(CONTENT).hexdigest()}") == path
    assert len(server.asked) == 1
    assert "authorization" not in server.asked[0].headers
    assert names_below(tmp_path) == ["resnet50.pth"]


def test_a_broken_download_goes_on_where_it_broke(server: FileServer, tmp_path: Path) -> None:
    server.files[PATH] = Served(CONTENT, cuts=[100_000, 70_000])
    assert fetch_published_file(URL, tmp_path).read_bytes() == CONTENT
    assert [each.span for each in server.asked] == ["", "bytes=100000-", "bytes=170000-"]
    assert sum(each.sent for each in server.asked) == len(CONTENT)


def begin(server: FileServer, folder: Path) -> None:
    """Leaves a third of the file, as a killed process does."""
    server.files[PATH] = Served(CONTENT, cuts=[100_000], first_statuses=[200, *[503] * 7])
    with pytest.raises(HubError, match="run the same command again later"):
        fetch_published_file(URL, folder)
    assert names_below(folder) == ["resnet50.pth.part", "resnet50.pth.part.json"]
    assert not server.files[PATH].first_statuses
    server.asked.clear()


@pytest.mark.parametrize("ignores_if_range", [False, True])
def test_a_changed_file_is_not_glued_to_an_old_beginning(
    server: FileServer, tmp_path: Path, ignores_if_range: bool
) -> None:
    begin(server, tmp_path)
    other = CONTENT[::-1]
    server.files[PATH] = Served(other, tag='"2"', ignores_if_range=ignores_if_range)
    assert fetch_published_file(URL, tmp_path).read_bytes() == other
    assert server.asked[0].span == "bytes=100000-"
    assert server.asked[0].headers["if-range"] == '"1"'


@pytest.mark.parametrize("habits", [{"has_ranges": False}, {"tag": 'W/"1"'}, {"tag": ""}])
def test_a_server_without_ranges_or_tags_sends_everything_again(
    server: FileServer, tmp_path: Path, habits: dict[str, object]
) -> None:
    server.files[PATH] = Served(CONTENT, cuts=[100_000], **habits)
    assert fetch_published_file(URL, tmp_path).read_bytes() == CONTENT
    assert [each.sent for each in server.asked] == [100_000, len(CONTENT)]


def test_an_unnoticed_change_of_a_resumed_file_costs_a_download_more(server: FileServer, tmp_path: Path) -> None:
    begin(server, tmp_path)
    part = tmp_path / "dl.example.org/method/resnet50.pth.part"
    part.write_bytes(bytes(100_000))
    assert fetch_published_file(URL, tmp_path, checksum=SHA256).read_bytes() == CONTENT
    assert [each.sent for each in server.asked] == [len(CONTENT) - 100_000, len(CONTENT)]


@pytest.mark.parametrize(
    ("served", "stated", "said"),
    [
        (Served(status=404), {}, "does not exist .the server answers 404.*by hand.*hf-sslgen convert FILE"),
        (
            Served(status=403),
            {},
            "the server refuses http://127.0.0.1:[0-9]+/dl.example.org/method/.* .it answers 403",
        ),
        (Served(b"<!DOCTYPE html><p>Sign in"), {}, "is a web page, not a checkpoint"),
        (Served(CONTENT, kind="text/html; charset=utf-8"), {}, "is a web page, not a checkpoint"),
        (Served(CONTENT), {"checksum": "sha256:00000000"}, "its sha256 begins with [0-9a-f]{8} instead of"),
        (Served(CONTENT), {"checksum": "md5:00000000"}, "its md5 begins with [0-9a-f]{8} instead of"),
        (
            Served(CONTENT[: len(CONTENT) // 2]),
            {"size": len(CONTENT)},
            "it has 153,600 bytes instead of the published",
        ),
        (Served(CONTENT), {"checksum": "crc32:00000000"}, "checksum 'crc32:00000000' is not understood"),
    ],
)
def test_something_else_than_the_published_file_is_refused(
    server: FileServer, tmp_path: Path, served: Served, stated: dict[str, object], said: str
) -> None:
    server.files[PATH] = served
    with pytest.raises(InputError, match=said):
        fetch_published_file(URL, tmp_path, **stated)  # type: ignore[arg-type]
    assert names_below(tmp_path) == []


def test_a_server_in_trouble_is_asked_again(server: FileServer, tmp_path: Path) -> None:
    server.files[PATH] = Served(CONTENT, first_statuses=[503, 429])
    assert fetch_published_file(URL, tmp_path).read_bytes() == CONTENT


def test_redirects_are_followed_and_other_addresses_need_no_mirror(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HF_SSLGEN_MIRROR")
    server.files["/a.pth"] = Served(redirect="/b.pth")
    server.files["/b.pth"] = Served(CONTENT)
    path = fetch_published_file(f"{server.address}/a.pth?id=1&key=secret", tmp_path)
    assert path.read_bytes() == CONTENT
    assert path.name.endswith("-a.pth")
    assert "key=secret" in server.asked[0].path


def test_no_server(server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_SSLGEN_MIRROR", "http://127.0.0.1:9")
    with pytest.raises(HubError, match="is unreachable, or the connection broke"):
        fetch_published_file(URL, tmp_path)
    monkeypatch.setenv("HF_SSLGEN_MIRROR", "127.0.0.1:9")
    with pytest.raises(InputError, match="HF_SSLGEN_MIRROR is"):
        fetch_published_file(URL, tmp_path)


def test_a_full_disk(server: FileServer, small_disk: Callable[[int], Path]) -> None:
    folder = small_disk(300_000)
    server.files[PATH] = Served(CONTENT)
    with pytest.raises(DiskFullError, match="needs 0 MB more, and 0 MB are free"):
        fetch_published_file(URL, folder)
    with pytest.MonkeyPatch.context() as patch, pytest.raises(DiskFullError, match="no disk space left"):
        patch.setattr("hf_sslgen.zoo.conversion.arrival.OWN_SPACE", -(1 << 30))
        fetch_published_file(URL, folder)
    assert "resnet50.pth" not in names_below(folder)


def test_two_at_once_download_once(server: FileServer, tmp_path: Path) -> None:
    server.files[PATH] = Served(CONTENT)
    found: list[bytes] = []
    threads = [
        threading.Thread(target=lambda: found.append(fetch_published_file(URL, tmp_path).read_bytes()))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [CONTENT] * 3
    assert len(server.asked) == 1


def test_addresses() -> None:
    assert hub_file("https://huggingface.co/owner/name/resolve/refs%2Fpr%2F1/a/b.pth?download=true") == HubFile(
        "owner/name", "refs/pr/1", "a/b.pth"
    )
    assert hub_file(URL) is None
    assert str(published_path("https://s3.example.org/x/../epoch%3D99.ckpt?dl=1")) == "s3.example.org/x/epoch=99.ckpt"
    twins = [f"https://drive.example.org/uc?id={number}" for number in (1, 2)]
    assert len({published_path(url) for url in twins}) == 2
    for wrong in ("https://example.org", "ftp://example.org/a", "resnet50.pth"):
        with pytest.raises(InputError, match="is not the address of a file"):
            published_path(wrong)


def test_a_file_of_the_hub_comes_through_its_own_client(hub_in_process: "Hub", tmp_path: Path) -> None:
    api = hub_in_process.api()
    api.create_repo("org/raw")
    api.upload_file(path_or_fileobj=CONTENT, path_in_repo="a/resnet50.pth", repo_id="org/raw")
    url = "https://huggingface.co/org/raw/resolve/main/a/resnet50.pth"
    path = fetch_published_file(url, tmp_path / "originals", checksum=SHA256)
    assert path.read_bytes() == CONTENT
    assert path.is_relative_to(tmp_path / "cache")
    with pytest.raises(InputError, match="is not the published file: its sha256"):
        fetch_published_file(url, tmp_path / "originals", checksum="sha256:00000000")
    with pytest.raises(HubError, match="there is no org/none on"):
        fetch_published_file("https://huggingface.co/org/none/resolve/main/a.pth", tmp_path)
