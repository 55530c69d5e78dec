"""What is taken of the files that a browser sends, and what is refused, before anything reads them."""

from pathlib import Path

import pytest

from hf_sslgen.app.dropped_files import KEPT_DROPS, UNNAMED, DropArea, Limits, safe_parts
from hf_sslgen.errors import InputError

TOKEN = "0123456789abcdef" * 2


def send(area: DropArea, name: str, content: bytes = b"content", token: str = TOKEN) -> bool:
    with area.receiving(token, name) as write:
        if write is not None:
            for start in range(0, len(content), 4):
                write(content[start : start + 4])
        return write is not None


@pytest.fixture
def area(tmp_path: Path) -> DropArea:
    return DropArea(tmp_path / "dropped", Limits(files=5, total_bytes=100))


@pytest.mark.parametrize(
    "name",
    ["../a.png", "a/../../b.png", "/etc/a.png", "a//b.png", "./a.png", "a\\b.png", "a\0.png", "a\n.png", "", "x/"],
)
def test_a_name_leads_nowhere_else(area: DropArea, name: str) -> None:
    with pytest.raises(InputError, match="is not a name of a file below the dropped folder"):
        send(area, name)
    assert not list(area.folder.parent.rglob("*.png"))


def test_names_that_no_file_can_have_are_refused() -> None:
    for name, words in (("x" * 201, "too long"), ("é" * 101, "too long"), ("a/" * 16 + "b.png", "folders deep")):
        with pytest.raises(InputError, match=words):
            safe_parts(name)
    assert safe_parts("e\u0301cole/a.png") == ("école", "a.png")


def test_pictures_and_their_tables_are_kept_and_other_files_are_not(area: DropArea) -> None:
    assert send(area, "mine/cat/a.PNG") and send(area, "mine/metadata.csv")
    assert not send(area, "mine/notes.txt") and not send(area, "mine/.hidden/a.png")
    assert not send(area, "__MACOSX/mine/a.png")
    folder = area.gathered(TOKEN)
    assert folder.name == "mine"
    assert sorted(path.name for path in folder.rglob("*.*")) == ["a.PNG", "metadata.csv"]


def test_files_without_a_common_folder_get_one(area: DropArea) -> None:
    assert send(area, "cat/a.png") and send(area, "dog/b.png")
    folder = area.gathered(TOKEN)
    assert folder.name == UNNAMED
    assert sorted(str(path.relative_to(folder)) for path in folder.rglob("*.png")) == ["cat/a.png", "dog/b.png"]
    assert area.gathered(TOKEN) == folder


def test_number_and_size_are_bounded_while_files_arrive(area: DropArea) -> None:
    with pytest.raises(InputError, match="more than 1e-07 GB"):
        send(area, "large.png", bytes(101))
    assert not (area.folder / TOKEN / "large.png").exists()
    other = "f" * 32
    for number in range(5):
        assert send(area, f"{number}.png", token=other)
    with pytest.raises(InputError, match="more than 5 files"):
        send(area, "6.png", token=other)


def test_a_name_is_taken_once(area: DropArea) -> None:
    send(area, "a.png", b"first")
    for name in ("a.png", "a.png/b.png"):
        with pytest.raises(InputError, match="dropped twice"):
            send(area, name, b"second")
    assert (area.folder / TOKEN / "a.png").read_bytes() == b"first"


def test_only_the_last_drops_are_kept(area: DropArea) -> None:
    tokens = [f"{number:032x}" for number in range(KEPT_DROPS + 1)]
    for token in tokens:
        send(area, "a.png", token=token)
    assert sorted(path.name for path in area.folder.iterdir()) == tokens[1:]
    with pytest.raises(InputError, match="nothing usable was dropped"):
        area.gathered(tokens[0])
    area.in_use = area.gathered(tokens[1])
    send(area, "a.png", token=tokens[0])
    assert sorted(path.name for path in area.folder.iterdir()) == sorted({*tokens} - {tokens[2]})
    with pytest.raises(InputError, match="32 hexadecimal digits"):
        send(area, "a.png", token="../../elsewhere")
