"""Repositories of each type through huggingface_hub: made, filled, read back, listed, named, deleted."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import HfApi, snapshot_download

from tests.hub import Hub

TYPES = ("model", "dataset", "space")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A file inside the commit, two large ones (one nested), an empty one."""
    folder = tmp_path / "folder"
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "README.md").write_text("---\nlicense: mit\nsdk: static\ntags: [one]\n---\n# Título\n", encoding="utf-8")
    (folder / "model.safetensors").write_bytes(bytes(range(256)) * 400)
    (folder / "deep" / "er" / "sp ace#é.npy").write_bytes(b"\x93NUMPY" * 10)
    (folder / "deep" / "empty.bin").write_bytes(b"")
    return folder


@pytest.fixture
def api(hub_in_process: Hub) -> HfApi:
    return hub_in_process.api("owner")


@pytest.fixture(autouse=True)
def no_failure_of_the_hub(hub: Hub) -> Iterator[None]:
    """501 is how this Hub says that it is the one at fault, or that it doesn't know an address."""
    yield
    assert [str(visit) for visit in hub.visits if visit.status == 501] == []


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".gitattributes"
    }


@pytest.mark.parametrize("kind", TYPES)
def test_what_is_uploaded_comes_back(api: HfApi, folder: Path, kind: str) -> None:
    api.create_repo("org/thing", repo_type=kind, space_sdk="static")
    commit = api.upload_folder(repo_id="org/thing", folder_path=folder, repo_type=kind)
    snapshot = Path(snapshot_download("org/thing", repo_type=kind, endpoint=api.endpoint))
    assert contents(snapshot) == contents(folder)
    assert snapshot.name == commit.oid
