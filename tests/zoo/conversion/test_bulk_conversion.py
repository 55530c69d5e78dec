"""Published backbones in bulk: stand-ins in ten true layouts, under their published paths on a loopback server."""

import dataclasses
import hashlib
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
import warm_python
from file_server import FileServer, Served
from waiting import wait_for

from hf_sslgen.commands import zoo_convert
from hf_sslgen.errors import InputError
from hf_sslgen.zoo import backbone_registry
from hf_sslgen.zoo.conversion import stand_ins
from hf_sslgen.zoo.conversion.published_addresses import published_path

LAYOUTS = {
    "dino-resnet50": "plain",
    "swav-800ep-resnet50": "swav",
    "moco-v2-800ep-resnet50": "moco",
    "moco-v3-1000ep-resnet50": "moco_v3",
    "simsiam-100ep-resnet50": "simsiam",
    "insdis-200ep-resnet50": "pycontrast",
    "byol-1000ep-resnet50": "byol",
    "mmselfsup-simclr-200ep-resnet50": "mmselfsup",
    "lightly-simclr-100ep-resnet50": "lightly",
    "obow-200ep-resnet50": "obow",
}
NO_ADDRESS = "simclr-v2-resnet50"
OTHER_PROCESS = """
import dataclasses, sys
from hf_sslgen.zoo import backbone_registry
rows = {name: dataclasses.replace(row, checksum=None, file_size=None)
        for name, row in backbone_registry._rows().items()}
backbone_registry._rows = lambda: rows
from hf_sslgen.commands.zoo_convert import main
main(sys.argv[1:])
"""
"""The command, for files that are not the published ones."""


@pytest.fixture(scope="module")
def contents(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What is published, by id of the row."""
    network, folder = stand_ins.small_resnet50(), tmp_path_factory.mktemp("published")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stand_ins, "small_resnet50", lambda: network)  # made once for all layouts
        for name, layout in LAYOUTS.items():
            stand_ins.write_stand_in(layout, folder / name)
    return {name: (folder / name).read_bytes() for name in LAYOUTS}


@pytest.fixture
def paths(contents: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The paths on the server; the rows state the checksums of the stand-ins, half of them by md5."""
    rows = dict(backbone_registry._rows())
    for place, (name, content) in enumerate(contents.items()):
        kind = ("md5", "sha256")[place % 2]
        checksum = f"{kind}:{hashlib.new(kind, content).hexdigest()[:8]}"
        url = rows[name].url or f"https://dl.example.org/{name}.pth.tar"
        rows[name] = dataclasses.replace(rows[name], url=url, checksum=checksum, file_size=len(content))
    monkeypatch.setattr(backbone_registry, "_rows", lambda: rows)
    return {name: f"/{quote(str(published_path(str(rows[name].url))))}" for name in contents}


@pytest.fixture
def server(
    contents: dict[str, bytes], paths: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[FileServer]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("HF_SSLGEN_ZOO", str(tmp_path / "zoo"))
    monkeypatch.setattr("hf_sslgen.hub_access.retries.time.sleep", lambda _: None)
    with FileServer() as started:
        monkeypatch.setenv("HF_SSLGEN_MIRROR", started.address)
        started.files.update({paths[name]: Served(content) for name, content in contents.items()})
        yield started


@pytest.fixture
def convert(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[str, str]]:
    """The command in this process: what it printed, and its error."""

    def run(*words: str) -> tuple[str, str]:
        capsys.readouterr()
        try:
            zoo_convert.main(words)
        except InputError as error:
            return capsys.readouterr().out, str(error)
        return capsys.readouterr().out, ""

    return run


def line_of(name: str, table: str) -> str:
    """Return a row's line of the table, with those that continue it."""
    lines = table.partition("\nbackbone ")[2].splitlines()
    start = next(place for place, line in enumerate(lines) if line.startswith(f"{name} "))
    end = next((place for place in range(start + 1, len(lines)) if not lines[place].startswith("   ")), len(lines))
    return " ".join(" ".join(lines[start:end]).split())


def test_one_failure_does_not_stop_the_others(
    server: FileServer,
    paths: dict[str, str],
    convert: Callable[..., tuple[str, str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The pictures of the preflight would take most of the time; the killed command below has it.
    monkeypatch.setattr("hf_sslgen.commands.run_zoo_convert.preflighted", lambda folder: "")
    wrong, absent, broken, no_ranges = (
        "moco-v2-800ep-resnet50",
        "simsiam-100ep-resnet50",
        "dino-resnet50",
        "swav-800ep-resnet50",
    )
    whole = server.files[paths[wrong]].content
    server.files[paths[wrong]] = Served(whole[:-1] + bytes([whole[-1] ^ 1]))
    missing = server.files.pop(paths[absent])
    half = len(server.files[paths[broken]].content) // 2
    server.files[paths[broken]].cuts.append(half)
    server.files[paths[no_ranges]] = dataclasses.replace(server.files[paths[no_ranges]], has_ranges=False, cuts=[half])

    table, error = convert(*LAYOUTS, NO_ADDRESS)
    assert error.startswith("2 of 11 backbones could not be converted; see the table")
    assert "is not the published file: its md5" in line_of(wrong, table)
    assert "404" in line_of(absent, table)
    assert line_of(NO_ADDRESS, table).startswith(f"{NO_ADDRESS} left out")
    assert "r50_1x_sk0" in line_of(NO_ADDRESS, table)  # names what to look for
    fine = [name for name in LAYOUTS if name not in (wrong, absent)]
    for name in fine:
        assert line_of(name, table).startswith(f"{name} converted"), table
    assert [each.span for each in server.asked if each.path == paths[broken]] == ["", f"bytes={half}-"]

    zoo = tmp_path / "zoo"
    assert sorted(path.name for path in zoo.iterdir() if not path.name.startswith(".")) == sorted(
        [*fine, *(["originals"] if (zoo / "originals").exists() else [])]
    )
    assert all((zoo / name / "README.md").is_file() for name in fine)
    written = {path: path.stat().st_mtime_ns for name in fine for path in (zoo / name).iterdir()}
    server.files |= {paths[wrong]: Served(whole), paths[absent]: missing}
    server.asked.clear()
    table, error = convert(*LAYOUTS)
    assert error == ""
    assert {each.path for each in server.asked} == {paths[wrong], paths[absent]}
    assert all(line_of(name, table).startswith(f"{name} present") for name in fine)
    assert {path: path.stat().st_mtime_ns for path in written} == written
    assert not [path for path in (zoo / "originals").rglob("*") if path.is_file() and ".claims" not in path.parts]


@pytest.mark.slow
def test_a_killed_command_continues(
    server: FileServer, paths: dict[str, str], convert: Callable[..., tuple[str, str]], tmp_path: Path
) -> None:
    first, second, third = "dino-resnet50", "byol-1000ep-resnet50", "insdis-200ep-resnet50"
    size = len(server.files[paths[second]].content)
    server.files[paths[second]] = dataclasses.replace(
        server.files[paths[second]], cuts=[size // 3], first_statuses=[200, *[503] * 20]
    )
    part = tmp_path / "zoo" / "originals" / f"{paths[second][1:]}.part"
    command = ["-c", OTHER_PROCESS, first, second, third]
    with warm_python.start(command, env=dict(os.environ)) as process:
        wait_for(lambda: part.is_file() and part.stat().st_size >= size // 3, "a third of the file", 240)
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    assert part.stat().st_size == size // 3
    assert sorted(path.name for path in (tmp_path / "zoo").iterdir() if not path.name.startswith(".")) == [
        first,
        "originals",
    ]

    server.files[paths[second]] = dataclasses.replace(server.files[paths[second]], first_statuses=[])
    server.asked.clear()
    table, error = convert(first, second, third)
    assert error == ""
    assert [(each.path, each.span) for each in server.asked] == [
        (paths[second], f"bytes={size // 3}-"),
        (paths[third], ""),
    ]
    assert line_of(first, table).startswith(f"{first} present")
