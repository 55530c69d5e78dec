"""Repositories in a folder: blobs by hash, commits as JSON, branches and tags that name commits.

Whatever is written appears whole, under its final name, or not at all; so a server may be killed at any moment and
started again on the same folder.
"""

import hashlib
import json
import re
import shutil
import tempfile
import threading
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.loopback_hub.replies import HubError, revision_not_found

KINDS = ("models", "datasets", "spaces")

LFS_SUFFIXES = (
    *(".7z", ".arrow", ".bin", ".bz2", ".ckpt", ".ftz", ".gz", ".h5", ".joblib", ".mlmodel", ".model", ".msgpack"),
    *(".npy", ".npz", ".onnx", ".ot", ".parquet", ".pb", ".pickle", ".pkl", ".pt", ".pth", ".rar", ".safetensors"),
    *(".tar", ".tflite", ".tgz", ".wasm", ".xz", ".zip", ".zst"),
)
"""What goes to large file storage whatever its size: the Hub's default .gitattributes."""

LFS_SIZE = 10_000_000
"""Bytes from which every file goes there."""

GITATTRIBUTES = "".join(f"*{suffix} filter=lfs diff=lfs merge=lfs -text\n" for suffix in LFS_SUFFIXES)


def is_large(path: str, size: int) -> bool:
    """Whether a file belongs in large file storage. Empty ones never do."""
    return size > LFS_SIZE or (size > 0 and path.endswith(LFS_SUFFIXES))


def git_blob(content: bytes) -> str:
    """The SHA-1 by which git knows the content of a file."""
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def pointer(oid: str, size: int) -> bytes:
    """What git stores in place of a large file."""
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {size}\n".encode()


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def write_whole(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".unfinished", delete=False) as stream:
        stream.write(content)
    Path(stream.name).replace(path)


@dataclass(frozen=True)
class StoredFile:
    """A file of a commit: `oid` is git's (of the pointer when the file is large), `sha256` only a large one's."""

    oid: str
    size: int
    sha256: str = ""

    @property
    def etag(self) -> str:
        return self.sha256 or self.oid


@dataclass(frozen=True)
class Commit:
    oid: str
    parent: str
    title: str
    message: str
    author: str
    date: str
    files: Mapping[str, StoredFile]


class Repository:
    """One repository's folder. Methods that change it must be called with the store's lock held."""

    def __init__(self, folder: Path, kind: str, name: str) -> None:
        self.folder = folder
        self.kind = kind
        self.name = name

    @property
    def settings(self) -> dict[str, Any]:
        """`private`, `gated` (False, "auto" or "manual"), `sdk` and `created`."""
        return json.loads((self.folder / "settings.json").read_text())

    def change_settings(self, **changes: Any) -> None:
        write_whole(self.folder / "settings.json", json.dumps(self.settings | changes).encode())

    @property
    def references(self) -> dict[str, dict[str, str]]:
        """Commits by name, of "branches" and of "tags"."""
        return json.loads((self.folder / "references.json").read_text())

    def change_references(self, kind: str, name: str, commit: str | None) -> None:
        """Sets a branch or tag, or removes it where `commit` is None."""
        references = self.references
        if commit is None:
            del references[kind][name]
        else:
            references[kind][name] = commit
        write_whole(self.folder / "references.json", json.dumps(references).encode())

    def commit(self, revision: str) -> Commit:
        """The commit that a branch, a tag or 40 hexadecimal digits name."""
        references = self.references
        short = re.sub(r"^refs/(heads|tags)/", "", revision)
        oid = references["branches"].get(short) or references["tags"].get(short) or revision
        path = self.folder / "commits" / f"{oid}.json"
        if not re.fullmatch(r"[0-9a-f]{40}", oid) or not path.is_file():
            raise revision_not_found(revision)
        fields = json.loads(path.read_text())
        files = {name: StoredFile(**stored) for name, stored in fields.pop("files").items()}
        return Commit(oid, files=files, **fields)

    def history(self, revision: str) -> Iterator[Commit]:
        """The commit and those before it, newest first."""
        commit = self.commit(revision)
        while True:
            yield commit
            if not commit.parent:
                return
            commit = self.commit(commit.parent)

    def add_commit(
        self, branch: str, parent: str, files: Mapping[str, StoredFile], title: str, message: str, author: str
    ) -> Commit:
        """Writes a commit, then moves the branch to it."""
        fields = {"parent": parent, "title": title, "message": message, "author": author, "date": now()}
        content = json.dumps(
            {**fields, "files": {path: asdict(stored) for path, stored in sorted(files.items())}}
        ).encode()
        oid = hashlib.sha1(content).hexdigest()
        write_whole(self.folder / "commits" / f"{oid}.json", content)
        self.change_references("branches", branch, oid)
        return Commit(oid, files=dict(files), **fields)

    def add_blob(self, content: bytes) -> StoredFile:
        """Stores a small file."""
        oid = git_blob(content)
        write_whole(self.folder / "blobs" / oid, content)
        return StoredFile(oid, len(content))

    def large_file(self, sha256: str) -> StoredFile | None:
        """A stored large file, None where it never arrived."""
        path = self.folder / "large" / sha256
        if not path.is_file():
            return None
        size = path.stat().st_size
        return StoredFile(git_blob(pointer(sha256, size)), size, sha256)

    def content_path(self, stored: StoredFile) -> Path:
        return self.folder / ("large" if stored.sha256 else "blobs") / stored.etag

    def content(self, stored: StoredFile) -> bytes:
        return self.content_path(stored).read_bytes()


class Store:
    """All repositories, in `root/{models,datasets,spaces}/{namespace}/{name}`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.lock = threading.RLock()

    def _repository(self, kind: str, name: str) -> Repository:
        return Repository(self.root / kind / name, kind, name)

    def all(self, kind: str) -> Iterator[Repository]:
        """Every repository of a kind, by name."""
        for folder in sorted((self.root / kind).glob("*/*/settings.json")):
            owner, name = folder.parent.parts[-2:]
            yield self._repository(kind, f"{owner}/{name}")

    def find(self, kind: str, name: str) -> Repository | None:
        repository = self._repository(kind, name)
        return repository if repository.folder.is_dir() else None

    def create(self, kind: str, name: str, private: bool, sdk: str | None, author: str) -> Repository:
        """A repository with one commit on main that holds .gitattributes."""
        if kind not in KINDS or not re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", name, re.ASCII) or len(name) > 96:
            raise HubError(400, f"Invalid repository name: {kind} {name}")
        self.root.mkdir(parents=True, exist_ok=True)
        repository = Repository(Path(tempfile.mkdtemp(dir=self.root, suffix=".unfinished")), kind, name)
        settings = {"private": private, "gated": False, "sdk": sdk, "created": now()}
        write_whole(repository.folder / "settings.json", json.dumps(settings).encode())
        write_whole(repository.folder / "references.json", json.dumps({"branches": {}, "tags": {}}).encode())
        attributes = repository.add_blob(GITATTRIBUTES.encode())
        repository.add_commit("main", "", {".gitattributes": attributes}, "initial commit", "", author)
        target = self._repository(kind, name)
        target.folder.parent.mkdir(parents=True, exist_ok=True)
        repository.folder.rename(target.folder)
        return target

    def delete(self, repository: Repository) -> None:
        grave = Path(tempfile.mkdtemp(dir=self.root, suffix=".unfinished"))
        repository.folder.rename(grave / "repository")
        shutil.rmtree(grave)
