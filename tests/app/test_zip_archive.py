"""Archives that were made to do harm, and ordinary ones."""

import stat
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from hf_sslgen.app.dropped_files import DropArea, Limits
from hf_sslgen.errors import InputError

TOKEN = "0123456789abcdef" * 2
LIMITS = Limits(files=20, total_bytes=1_000_000)

Fill = Callable[[zipfile.ZipFile], object]


def gathered(folder: Path, content: bytes) -> Path:
    area = DropArea(folder / "dropped", LIMITS)
    with area.receiving(TOKEN, "mine.zip") as write:
        assert write is not None
        write(content)
    return area.gathered(TOKEN)


def archive(folder: Path, fill: Fill) -> bytes:
    path = folder / "made.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        fill(opened)
    return path.read_bytes()


def link(opened: zipfile.ZipFile) -> None:
    entry = zipfile.ZipInfo("a.png")
    entry.external_attr = (stat.S_IFLNK | 0o777) << 16
    opened.writestr(entry, "/etc/passwd")


def test_an_archive_becomes_a_folder_of_its_name_with_what_belongs_to_the_data(tmp_path: Path) -> None:
    def fill(opened: zipfile.ZipFile) -> None:
        opened.mkdir("cat")
        for name in ("cat/a.png", "dog/b.jpg", "dog/notes.txt", "__MACOSX/cat/._a.png", "inner.zip"):
            opened.writestr(name, name)

    folder = gathered(tmp_path, archive(tmp_path, fill))
    assert folder.name == "mine"
    files = {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}
    assert files == {"cat/a.png": "cat/a.png", "dog/b.jpg": "dog/b.jpg"}
    assert [path.name for path in folder.parent.iterdir()] == ["mine"]


@pytest.mark.parametrize(
    ("fill", "said"),
    [
        (lambda z: z.writestr("../../a.png", "x"), "is not a name of a file below"),
        (lambda z: z.writestr("/a.png", "x"), "is not a name of a file below"),
        (lambda z: z.writestr("c:\\a.png", "x"), "is not a name of a file below"),
        (link, "is a link"),
        (lambda z: [z.writestr(f"{i}.png", "x") for i in range(21)], "more than 20 files"),
        (lambda z: z.writestr("bomb.png", bytes(10_000_000)), "more than 0.001 GB"),
        (lambda z: [z.writestr(f"{i}.png", bytes(200_000)) for i in range(6)], "more than 0.001 GB"),
        (lambda z: z.writestr("notes.txt", "x"), "holds no pictures"),
        (lambda z: [z.writestr("a.png", "x"), z.writestr("a.png/b.png", "x")], "can't be unpacked"),
    ],
)
def test_a_dangerous_archive_leaves_nothing(tmp_path: Path, fill: Fill, said: str) -> None:
    with pytest.raises(InputError, match=f"the archive 'mine.zip' can't be used: .*{said}|{said}"):
        gathered(tmp_path, archive(tmp_path, fill))
    left = [path.name for path in (tmp_path / "dropped").rglob("*") if path.is_file()]
    assert left == ["mine.zip"]


def test_an_entry_that_occurs_twice_is_refused(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        content = archive(tmp_path, lambda z: [z.writestr("a.png", "x"), z.writestr("a.png", "y")])
    with pytest.raises(InputError, match="occurs twice"):
        gathered(tmp_path, content)


def encrypted(content: bytes) -> bytes:
    at = content.index(b"PK\x01\x02")
    return content[: at + 8] + b"\x01\x00" + content[at + 10 :]


def with_large_directory(content: bytes) -> bytes:
    at = content.rindex(b"PK\x05\x06")
    return content[: at + 12] + struct.pack("<I", 2**31) + content[at + 16 :]


def with_64_bits(content: bytes) -> bytes:
    at = content.rindex(b"PK\x05\x06")
    return content[:at] + b"PK\x06\x07" + bytes(16) + content[at:]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda content: b"no archive at all", "not a zip archive"),
        (lambda content: content[:-30], "not a zip archive"),
        (lambda content: content.replace(b"PK\x03\x04", b"PK\x00\x00"), "can't be read"),
        (lambda content: content[:40] + b"\xff" * 8 + content[48:], "can't be read|can't be used"),
        (encrypted, "is encrypted"),
        (with_large_directory, "table of contents is larger than 64 MiB"),
        (with_64_bits, "64-bit format"),
    ],
)
def test_a_damaged_archive_is_one_sentence(tmp_path: Path, damage: Callable[[bytes], bytes], said: str) -> None:
    content = archive(tmp_path, lambda z: z.writestr("a.png", bytes(range(256)) * 8))
    with pytest.raises(InputError, match=said):
        gathered(tmp_path, damage(content))
