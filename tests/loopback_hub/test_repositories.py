"""Repositories of each type through huggingface_hub: made, filled, read back, listed, named, deleted."""

import hashlib
from pathlib import Path

import pytest
from huggingface_hub import (
    CommitOperationAdd,
    CommitOperationDelete,
    EvalResultEntry,
    HfApi,
    HfFileSystem,
    RepoFile,
    RepoFolder,
    snapshot_download,
)
from huggingface_hub.errors import BadRequestError, HfHubHTTPError, RemoteEntryNotFoundError, RepositoryNotFoundError

from tests.loopback_hub import Hub

WEIGHTS = bytes(range(256)) * 400
EMPTY_BLOB = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
"""What `git hash-object` says of an empty file."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A card, a large file, one under a name that needs quoting, an empty one."""
    folder = tmp_path / "folder"
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "README.md").write_text("---\nlicense: mit\nsdk: static\ntags: [one]\n---\n# Título\n", encoding="utf-8")
    (folder / "model.safetensors").write_bytes(WEIGHTS)
    (folder / "deep" / "er" / "sp ace#é%.npy").write_bytes(b"\x93NUMPY" * 10)
    (folder / "deep" / "empty.bin").write_bytes(b"")
    return folder


@pytest.fixture
def api(hub_in_process: Hub) -> HfApi:
    api = hub_in_process.api("owner")
    api.create_repo("org/thing")
    return api


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".gitattributes"
    }


@pytest.mark.parametrize("kind", ["model", "dataset", "space"])
def test_what_is_uploaded_comes_back(hub_in_process: Hub, folder: Path, kind: str) -> None:
    api = hub_in_process.api("owner")
    url = api.create_repo("org/thing", repo_type=kind, space_sdk="static" if kind == "space" else None)
    commit = api.upload_folder(repo_id="org/thing", folder_path=folder, repo_type=kind)
    snapshot = Path(snapshot_download("org/thing", repo_type=kind))
    assert contents(snapshot) == contents(folder)
    assert snapshot.name == commit.oid
    assert (url.repo_id, url.repo_type) == ("org/thing", kind)


def test_no_large_file_is_sent_twice(hub: Hub, api: HfApi, folder: Path) -> None:
    api.upload_folder(repo_id="org/thing", folder_path=folder)
    size = len(WEIGHTS) + len(b"\x93NUMPY" * 10)
    assert hub.uploaded_bytes() == size
    (folder / "copy.safetensors").write_bytes(WEIGHTS)
    api.upload_folder(repo_id="org/thing", folder_path=folder)
    assert hub.uploaded_bytes() == size
    assert (Path(snapshot_download("org/thing")) / "copy.safetensors").read_bytes() == WEIGHTS


def test_the_same_folder_again_is_no_commit(api: HfApi, folder: Path) -> None:
    first = api.upload_folder(repo_id="org/thing", folder_path=folder)
    assert api.upload_folder(repo_id="org/thing", folder_path=folder).oid == first.oid
    assert len(api.list_repo_commits("org/thing")) == 2


def test_a_large_file_may_come_in_parts(hub: Hub, api: HfApi, folder: Path) -> None:
    hub.site.part_size = 30_000
    api.upload_folder(repo_id="org/thing", folder_path=folder)
    assert [visit.received for visit in hub.visited("/_large/", "PUT") if visit.received > 100] == [
        *[30_000] * 3,
        12_400,
    ]
    assert contents(Path(snapshot_download("org/thing"))) == contents(folder)
    assert list(hub.root.rglob("*.part")) == []


@pytest.mark.parametrize("page_size", [1, 2, 1000])
def test_a_tree_is_listed_page_by_page(hub: Hub, api: HfApi, folder: Path, page_size: int) -> None:
    hub.site.page_size = page_size
    api.upload_folder(repo_id="org/thing", folder_path=folder)
    everything = list(api.list_repo_tree("org/thing", recursive=True, expand=True))
    files = {entry.path for entry in everything if isinstance(entry, RepoFile)}
    assert files == {*contents(folder), ".gitattributes"}
    assert {entry.path for entry in everything if isinstance(entry, RepoFolder)} == {"deep", "deep/er"}
    assert {entry.path for entry in api.list_repo_tree("org/thing", "deep")} == {"deep/empty.bin", "deep/er"}
    top = {".gitattributes", "README.md", "deep", "model.safetensors"}
    assert {entry.path for entry in api.list_repo_tree("org/thing")} == top
    with pytest.raises(RemoteEntryNotFoundError):
        list(api.list_repo_tree("org/thing", "shallow"))


def test_hashes_are_those_of_git_and_of_large_file_storage(api: HfApi, folder: Path) -> None:
    api.upload_folder(repo_id="org/thing", folder_path=folder)
    siblings = {sibling.rfilename: sibling for sibling in api.model_info("org/thing", files_metadata=True).siblings}
    assert siblings["deep/empty.bin"].blob_id == EMPTY_BLOB
    large = siblings["model.safetensors"]
    pointer = (
        f"version https://git-lfs.github.com/spec/v1\noid sha256:{hashlib.sha256(WEIGHTS).hexdigest()}\n"
        f"size {len(WEIGHTS)}\n"
    ).encode()
    assert large.lfs.sha256 == hashlib.sha256(WEIGHTS).hexdigest()
    assert (large.size, large.lfs.size, large.lfs.pointer_size) == (len(WEIGHTS), len(WEIGHTS), len(pointer))
    assert large.blob_id == hashlib.sha1(b"blob %d\0" % len(pointer) + pointer).hexdigest()
    entries = api.get_paths_info("org/thing", ["deep", "missing", "model.safetensors"])
    assert [entry.path for entry in entries] == ["deep", "model.safetensors"]
    snapshot_download("org/thing")
    assert api.verify_repo_checksums("org/thing").mismatches == []


def test_pieces_of_a_file_are_read(api: HfApi, folder: Path) -> None:
    api.upload_folder(repo_id="org/thing", folder_path=folder)
    HfFileSystem.clear_instance_cache()
    files = HfFileSystem(endpoint=api.endpoint, token=api.token)
    with files.open("org/thing/model.safetensors", block_size=1000) as stream:
        stream.seek(50_000)
        assert stream.read(10) == WEIGHTS[50_000:50_010]
        stream.seek(-3, 2)
        assert stream.read() == WEIGHTS[-3:]


def test_branches_tags_and_history(api: HfApi) -> None:
    def write(text: str, branch: str = "main") -> str:
        operation = CommitOperationAdd("notes.txt", text.encode())
        return api.create_commit("org/thing", [operation], commit_message=text, revision=branch).oid

    def read(revision: str) -> str:
        return Path(api.hf_hub_download("org/thing", "notes.txt", revision=revision)).read_text()

    first = write("first")
    api.create_tag("org/thing", tag="v1", revision=first)
    api.create_branch("org/thing", branch="side/way", revision="v1")
    second, third = write("second"), write("third", "side/way")
    assert [read(revision) for revision in ("v1", "main", "side/way", first)] == ["first", "second", "third", "first"]
    references = api.list_repo_refs("org/thing")
    assert {branch.name: branch.target_commit for branch in references.branches} == {"main": second, "side/way": third}
    assert {tag.name: tag.target_commit for tag in references.tags} == {"v1": first}
    commits = api.list_repo_commits("org/thing", revision="side/way")
    assert [commit.title for commit in commits] == ["third", "first", "initial commit"]
    assert commits[0].authors == ["owner"]
    with pytest.raises(HfHubHTTPError, match="409"):
        api.create_tag("org/thing", tag="v1", revision=second)
    with pytest.raises(BadRequestError):
        api.create_branch("org/thing", branch="refs/pr/1")
    api.delete_tag("org/thing", tag="v1")
    api.delete_branch("org/thing", branch="side/way")
    references = api.list_repo_refs("org/thing")
    assert ([branch.name for branch in references.branches], references.tags) == (["main"], [])


def test_files_and_folders_are_deleted(api: HfApi, folder: Path) -> None:
    api.upload_folder(repo_id="org/thing", folder_path=folder)
    operations = [CommitOperationDelete("deep/"), CommitOperationDelete("README.md")]
    api.create_commit("org/thing", operations, commit_message="less")
    assert set(api.list_repo_files("org/thing")) == {".gitattributes", "model.safetensors"}
    with pytest.raises(RemoteEntryNotFoundError, match="A file with this name doesn't exist"):
        api.delete_file("deep/empty.bin", "org/thing")


def test_a_commit_is_whole_or_not_at_all(api: HfApi) -> None:
    before = api.model_info("org/thing").sha
    operations = [CommitOperationAdd("new.txt", b"new"), CommitOperationDelete("missing.txt")]
    with pytest.raises(RemoteEntryNotFoundError):
        api.create_commit("org/thing", operations, commit_message="half")
    assert api.model_info("org/thing").sha == before
    assert not api.file_exists("org/thing", "new.txt")


def test_a_repository_exists_once_and_can_go(api: HfApi) -> None:
    with pytest.raises(HfHubHTTPError, match="409"):
        api.create_repo("org/thing")
    assert api.create_repo("org/thing", exist_ok=True).repo_id == "org/thing"
    api.delete_repo("org/thing")
    assert not api.repo_exists("org/thing")
    with pytest.raises(RepositoryNotFoundError):
        api.delete_repo("org/thing")
    api.delete_repo("org/thing", missing_ok=True)


def test_what_a_card_says_is_read(api: HfApi) -> None:
    entry = EvalResultEntry(dataset_id="org/digits", task_id="linear", value=0.5, notes="x: [y]")
    card = (
        "---\nlicense: apache-2.0\nlibrary_name: timm\npipeline_tag: image-classification\ntags: [twin]\n"
        "model-index:\n- name: m\n  results:\n  - task: {type: image-classification}\n"
        "    dataset: {name: Digits, type: org/digits}\n    metrics: [{type: accuracy, value: 0.5}]\n---\n# m\n"
    )
    results = f"- dataset: {{id: {entry.dataset_id}, task_id: linear}}\n  value: 0.5\n  notes: 'x: [y]'\n"
    operations = [
        CommitOperationAdd("README.md", card.encode()),
        CommitOperationAdd(".eval_results/digits.yaml", results.encode()),
        CommitOperationAdd(".eval_results/wrong.yaml", b"value: 1\n"),
    ]
    api.create_commit("org/thing", operations, commit_message="card")
    info = api.model_info("org/thing")
    assert (info.pipeline_tag, info.library_name) == ("image-classification", "timm")
    assert info.card_data.license == "apache-2.0"
    assert info.tags == ["twin", "timm", "image-classification", "license:apache-2.0"]
    assert info.card_data.eval_results[0].metric_value == 0.5
    assert info.eval_results == [entry]


BAD_CARDS = {
    "license: my-own": '"license" must be one of',
    "tags: one": '"tags" must be an array',
    "license: [": "YAML metadata can't be read",
    "license: mit\nlicense: mit": "duplicated mapping key",
    "- mit": "must be a mapping",
    "base_model: a/b/c": "not the name of a repository",
    "language: EN": "lowercase",
    "pipeline_tag: [a]": "must be a string",
    "model-index:\n- results: []": r"model-index\[0\].name",
    "model-index:\n- name: m\n  results: [{task: {type: t}, metrics: []}]": "dataset.name",
}


@pytest.mark.parametrize("metadata", BAD_CARDS)
def test_a_bad_card_is_refused(hub: Hub, api: HfApi, metadata: str) -> None:
    card = f"---\n{metadata}\n---\n# m\n".encode()
    with pytest.raises(ValueError, match=BAD_CARDS[metadata]):
        api.upload_file(path_or_fileobj=card, path_in_repo="README.md", repo_id="org/thing")
    assert hub.visited("/commit/") == []


def test_a_space_needs_its_kind_and_known_colours(api: HfApi) -> None:
    with pytest.raises(ValueError, match="space_sdk"):
        api.create_repo("org/room", repo_type="space")
    api.create_repo("org/room", repo_type="space", space_sdk="static")
    for metadata, message in {"title: Room": '"sdk"', "sdk: static\ncolorFrom: mauve": '"colorFrom"'}.items():
        with pytest.raises(ValueError, match=message):
            card = f"---\n{metadata}\n---\n".encode()
            api.upload_file(path_or_fileobj=card, path_in_repo="README.md", repo_id="org/room", repo_type="space")
    assert api.space_info("org/room").sdk == "static"


def test_a_restart_keeps_everything(hub: Hub, api: HfApi, folder: Path) -> None:
    commit = api.upload_folder(repo_id="org/thing", folder_path=folder)
    hub.stop()
    with Hub(hub.root) as again:
        other = again.api("reader")
        assert other.model_info("org/thing").sha == commit.oid
        local = other.hf_hub_download("org/thing", "model.safetensors", revision=commit.oid)
        assert Path(local).read_bytes() == WEIGHTS
    assert list(hub.root.rglob("*.unfinished")) == []
