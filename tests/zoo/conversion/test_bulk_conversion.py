"""Published backbones in bulk: downloaded from a server on loopback, converted, checked, continued after a kill."""

import dataclasses
import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from file_server import FileServer, Served
from safetensors.torch import load_file

from hf_sslgen.commands.zoo import main
from hf_sslgen.errors import DiskFullError, InputError
from hf_sslgen.zoo.backbone_registry import Backbone, find_backbone
from hf_sslgen.zoo.conversion.bulk_conversion import BulkSettings, RowOutcome, chosen_rows, convert_rows
from hf_sslgen.zoo.conversion.published_addresses import published_path
from hf_sslgen.zoo.conversion.stand_ins import write_stand_in
from hf_sslgen.zoo.locations import resolve_location

LAYOUT_OF = {
    "dino-resnet50": "plain",
    "swav-800ep-resnet50": "swav",
    "moco-v2-800ep-resnet50": "moco",
    "moco-v3-1000ep-resnet50": "moco_v3",
    "vicreg-resnet50": "plain",
    "simsiam-100ep-resnet50": "simsiam",
    "byol-1000ep-resnet50": "byol",
    "mmselfsup-simclr-200ep-resnet50": "mmselfsup",
    "lightly-simclr-100ep-resnet50": "lightly",
    "deepcluster-v2-800ep-resnet50": "swav",
}


def row_of(name: str) -> Backbone:
    row = find_backbone(name)
    assert row is not None
    return row


def served_at(row: Backbone) -> str:
    assert row.url is not None
    return f"/{published_path(row.url)}"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("hf_sslgen.hub_access.retries.time.sleep", lambda _: None)
    with FileServer() as started:
        monkeypatch.setenv("HF_SSLGEN_MIRROR", started.address)
        yield started


def settings_in(folder: Path, keep_originals: bool = False) -> BulkSettings:
    return BulkSettings(folder / "zoo", folder / "zoo" / "originals", keep_originals, None, lambda _: "")


def by_name(outcomes: Iterator[RowOutcome]) -> dict[str, RowOutcome]:
    return {outcome.row.id: outcome for outcome in outcomes}


def test_ten_rows_of_which_three_fail_and_are_repeated(server: FileServer, tmp_path: Path) -> None:
    rows, networks = [], {}
    for seed, (name, layout) in enumerate(LAYOUT_OF.items()):
        path = tmp_path / name
        networks[name] = write_stand_in(layout, path, seed)
        content = path.read_bytes()
        row = dataclasses.replace(row_of(name), checksum=f"sha256:{hashlib.sha256(content).hexdigest()[:8]}")
        rows.append(dataclasses.replace(row, file_size=len(content)))
        server.files[served_at(row)] = Served(content)
    wrong, missing, half = served_at(rows[0]), served_at(rows[1]), served_at(rows[2])
    right = {path: server.files[path] for path in (wrong, missing, half)}
    server.files[wrong] = Served(right[wrong].content[:-1] + b"?")
    del server.files[missing]
    server.files[half] = Served(right[half].content[: len(right[half].content) // 2])

    settings = settings_in(tmp_path)
    first = by_name(convert_rows(rows, settings))
    failed = {name: outcome.reason for name, outcome in first.items() if outcome.result == "failed"}
    assert list(failed) == [row.id for row in rows[:3]]
    for reason, said in zip(
        failed.values(), ("its sha256 begins with", "answers 404", "instead of the published"), strict=True
    ):
        assert said in reason
    assert {outcome.result for name, outcome in first.items() if name not in failed} == {"converted"}
    # They are stand-ins.
    assert all("is not the published file" in outcome.reason for name, outcome in first.items() if name not in failed)
    assert sorted(path.name for path in settings.root.iterdir() if not path.name.startswith(".")) == sorted(
        [*(row.id for row in rows[3:]), "originals"]
    )

    server.files |= right
    server.asked.clear()
    second = by_name(convert_rows(rows, settings))
    assert [outcome.result for outcome in second.values()] == ["converted"] * 3 + ["present"] * 7
    assert {each.path for each in server.asked} == {wrong, missing, half}
    for name, network in networks.items():
        stored = load_file(settings.root / name / "model.safetensors")
        weights = {key: each for key, each in network.state_dict().items() if not key.endswith("num_batches_tracked")}
        assert [key for key, each in weights.items() if not bool((stored[key] == each).all())] == [], name
    assert [path for path in settings.originals.rglob("*") if path.is_file()] == []


def test_the_command_ends_with_a_table_and_backbones_load_by_name(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HF_SSLGEN_ZOO", str(tmp_path / "zoo"))
    write_stand_in("plain", tmp_path / "dino.pth")
    server.files[served_at(row_of("dino-resnet50"))] = Served((tmp_path / "dino.pth").read_bytes())
    names = ["dino-resnet50", "vicreg-resnet50"]
    main(["convert", *names, "--dry_run"])
    assert "2 of 2 to convert" in capsys.readouterr().out
    assert server.asked == []
    with pytest.raises(InputError, match="1 of 2 backbones could not be converted"):
        main(["convert", *names, "--keep_originals"])
    table = capsys.readouterr().out
    assert "dino-resnet50    converted" in table
    assert "vicreg-resnet50  failed" in table
    assert resolve_location("dino-resnet50") == str(tmp_path / "zoo" / "dino-resnet50")
    assert "dino" in (tmp_path / "zoo" / "dino-resnet50" / "README.md").read_text()
    assert len([path for path in (tmp_path / "zoo" / "originals").rglob("*.pth") if path.is_file()]) == 1


@pytest.mark.slow
def test_a_killed_command_goes_on_where_it_was(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first file is converted and the second half there when the process is killed."""
    rows = [row_of("dino-resnet50"), row_of("vicreg-resnet50")]
    content = {}
    for seed, row in enumerate(rows):
        write_stand_in("plain", tmp_path / row.id, seed)
        content[row.id] = (tmp_path / row.id).read_bytes()
        server.files[served_at(row)] = Served(content[row.id])
    second, half = server.files[served_at(rows[1])], len(content[rows[1].id]) // 2
    second.cuts, second.held = [half], threading.Event()
    part = tmp_path / "zoo" / "originals" / f"{served_at(rows[1])[1:]}.part"
    command = [sys.executable, "-m", "hf_sslgen", "zoo", "convert", *(row.id for row in rows)]
    environment = os.environ | {"HF_SSLGEN_ZOO": str(tmp_path / "zoo")}
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while process.poll() is None and not (part.is_file() and part.stat().st_size > 0):
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    second.held.set()
    kept = part.stat().st_size
    assert 0 < kept <= half
    assert not (tmp_path / "zoo" / rows[1].id).exists()

    monkeypatch.setattr(second, "held", None)
    server.asked.clear()
    outcomes = by_name(convert_rows(rows, settings_in(tmp_path)))
    assert [outcome.result for outcome in outcomes.values()] == ["present", "converted"]
    assert [(each.span, each.sent) for each in server.asked] == [(f"bytes={kept}-", len(content[rows[1].id]) - kept)]


@pytest.mark.slow
def test_two_at_once_convert_each_row_once(server: FileServer, tmp_path: Path) -> None:
    row = row_of("dino-resnet50")
    write_stand_in("plain", tmp_path / "dino.pth")
    server.files[served_at(row)] = Served((tmp_path / "dino.pth").read_bytes())
    found: list[str] = []

    def convert() -> None:
        found.extend(outcome.result for outcome in convert_rows([row], settings_in(tmp_path)))

    threads = [threading.Thread(target=convert) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == ["converted", "present"]
    assert len(server.asked) == 1


def test_what_a_check_refuses_is_not_kept(server: FileServer, tmp_path: Path) -> None:
    def refuse(folder: Path) -> str:
        raise InputError(f"{folder} is collapsed")

    row = row_of("dino-resnet50")
    write_stand_in("plain", tmp_path / "dino.pth")
    server.files[served_at(row)] = Served((tmp_path / "dino.pth").read_bytes())
    settings = dataclasses.replace(settings_in(tmp_path), check=refuse)
    (outcome,) = convert_rows([row], settings)
    assert (outcome.result, outcome.reason) == ("failed", "dino-resnet50 is collapsed")
    assert [path.name for path in settings.root.iterdir() if not path.name.startswith(".")] == ["originals"]


def test_names_and_room(tmp_path: Path) -> None:
    assert {row.id for row in chosen_rows(["resnet50-in1k", "dino-resnet50"])} >= set(LAYOUT_OF) - {
        "lightly-simclr-100ep-resnet50"
    }
    for name, said in (("dino-resnet5", "did you mean 'dino-resnet50'"), ("timm/resnet50.tv_in1k", "needs no conver")):
        with pytest.raises(InputError, match=said):
            chosen_rows([name])
    row = dataclasses.replace(row_of("dino-resnet50"), file_size=10**15)
    with pytest.raises(DiskFullError, match="GB for these 1 backbones"):
        list(convert_rows([row], settings_in(tmp_path)))
