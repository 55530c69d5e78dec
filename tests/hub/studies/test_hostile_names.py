"""Whatever the backbones, domains and classes of a published study are called: cards and page show it as text."""

from dataclasses import replace
from pathlib import Path

from fake_study import CLASS_NAMES, SELF_SUPERVISED, SUPERVISED, Setting, write_study
from hostile import HOSTILE_NAMES, Markdown, Page, one_line, split_card
from study_on_hub import Command, remote_files

from hf_sslgen.hub.remote_study import in_lines
from tests.loopback_hub import Hub

PLAIN = ("aa", "bb", "cc", "dd", "ee", "ff")
GOOD = ("data:image/", "#", "https://huggingface.co/")


def publish(push: Command, folder: Path, repository: str, names: tuple[str, ...]) -> None:
    """A study of two backbones, on two domains, with classes, title and notes of these names."""
    backbones = [
        replace(backbone, name=name, source=names[4])
        for backbone, name in zip((SUPERVISED, SELF_SUPERVISED), names, strict=False)
    ]
    domains = [(names[2], "similar"), (names[3], "different")]
    write_study(folder / "cells", backbones, domains, settings=(Setting("linear"),), class_names=names[:5])
    said = push(folder, "--report_space", "true", repository=repository)
    assert "4 cells added" in said


def published(hub: Hub, repository: str, kind: str) -> dict[str, str]:
    files = remote_files(hub, repository, kind)
    return {path: files[path].decode() for path in ("README.md", "index.html") if path in files}


def test_the_names_of_a_study_are_text(study_hub: Hub, push: Command, tmp_path: Path) -> None:
    assert len(CLASS_NAMES) == 5
    publish(push, tmp_path / "plain", "org/plain", PLAIN)
    title = HOSTILE_NAMES[0]
    for number, start in enumerate((0, 3)):
        names = HOSTILE_NAMES[start:] + HOSTILE_NAMES[:start]
        repository = f"org/hostile-{number}"
        publish(push, tmp_path / str(number) / title, repository, names)
        for kind in ("dataset", "space"):
            plain = published(study_hub, "org/plain", kind)["README.md"].replace("org/plain", repository)
            head, text = split_card(published(study_hub, repository, kind)["README.md"])
            expected_head, expected = split_card(plain)
            assert head.keys() == expected_head.keys()
            card = Markdown(text)
            assert card.kinds == Markdown(expected).kinds
            assert card.links == Markdown(expected).links
            assert one_line(title) in card.shown
            if kind == "dataset":
                assert head["pretty_name"] == title
                assert head["hf_sslgen_study"]["backbones"] == sorted(" ".join(name.split()) for name in names[:2])
                assert head["hf_sslgen_study"]["domains"] == sorted(" ".join(name.split()) for name in names[2:4])
                assert all(any(one_line(name) in cell for cell in card.shown) for name in names[:4])
        page = Page(published(study_hub, repository, "space")["index.html"])
        reference = Page(published(study_hub, "org/plain", "space")["index.html"])
        assert page.tags == reference.tags
        assert page.drawn == reference.drawn
        assert page.scripts == reference.scripts
        assert [address for address in page.addresses if not address.startswith(GOOD)] == []
        shown = " ".join(" ".join(page.text).split())
        assert all(one_line(name) in shown for name in names[:4])


def test_the_name_of_what_is_no_cell_is_quoted_in_a_message() -> None:
    """A folder of somebody else's repository may be called anything, and messages go to a terminal."""
    lines = in_lines(
        {"a--linear--0123456789ab": "other numbers", "\x1b[2J\nerror: none": "it is not a valid cell name"}
    )
    assert lines.splitlines() == [
        "",
        "  a--linear--0123456789ab: other numbers",
        r"  '\x1b[2J\nerror: none': it is not a valid cell name",
    ]
