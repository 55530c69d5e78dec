"""The whole way of published checkpoints: downloaded in ten layouts, converted, pushed to the Hub, studied, reported.

The files are small random networks in the published layouts, served under the published paths.
"""

import csv
import dataclasses
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import torch
from file_server import FileServer, Served

from hf_sslgen.command_line import run_command
from hf_sslgen.zoo import backbone_registry
from hf_sslgen.zoo.backbone_loading import load_backbone
from hf_sslgen.zoo.backbone_registry import Backbone, find_backbone
from hf_sslgen.zoo.conversion.stand_ins import write_stand_in
from hf_sslgen.zoo.converted_rows import converted_folder, repository_name
from tests.loopback_hub import Hub

ROWS = {
    "swav-800ep-resnet50": 0,
    "moco-v2-800ep-resnet50": 1,
    "moco-v3-1000ep-resnet50": 4,
    "simsiam-100ep-resnet50": 7,
    "insdis-200ep-resnet50": 13,
    "barlowtwins-resnet50": 20,
    "byol-1000ep-resnet50": 22,
    "lightly-byol-100ep-resnet50": 16,
    "mmselfsup-simclr-200ep-resnet50": 8,
    "rrl-supervised-run0-resnet50": 10,
}
"""Rows of ten layouts, and seeds of random networks whose features the preflight does not take for collapsed."""

DAMAGED, ABSENT = "moco-v2-800ep-resnet50", "pcl-v2-200ep-resnet50"
STUDY, ZOO = "hf_sslgen.commands.study", "hf_sslgen.commands.zoo"
SIZES = {"max_train_samples": 30, "max_eval_samples": 20, "max_test_samples": 30}


def row_of(name: str) -> Backbone:
    row = find_backbone(name)
    assert row is not None
    return row


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """Serves a file for each row but one; the registry states the checksums of these files, and of one another's."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("HF_SSLGEN_ZOO", str(tmp_path / "zoo"))
    monkeypatch.setattr("hf_sslgen.hub_access.retries.time.sleep", lambda _: None)
    rows = {row.id: row for row in backbone_registry.all_backbones()}
    with FileServer() as started:
        for name, seed in ROWS.items():
            path = tmp_path / "published"
            write_stand_in(rows[name].layout or "supervised", path, seed)
            url, content = rows[name].url or f"https://example.org/{name}.pth", path.read_bytes()
            checksum = f"sha256:{hashlib.sha256(content).hexdigest()[:8]}" if rows[name].checksum else None
            rows[name] = dataclasses.replace(rows[name], url=url, checksum=checksum)
            parts = urlsplit(url)
            started.files[f"/{parts.netloc}{parts.path}"] = Served(content)
        monkeypatch.setattr(backbone_registry, "_rows", lambda: rows)
        monkeypatch.setenv("HF_SSLGEN_MIRROR", started.address)
        yield started


def refused(module: str, options: list[str], capsys: pytest.CaptureFixture[str]) -> tuple[str, str]:
    """What a command prints, and its message."""
    with pytest.raises(SystemExit) as stopped:
        run_command(module, options)
    assert stopped.value.code == 2
    said = capsys.readouterr()
    (message,) = [line for line in said.err.splitlines() if line.startswith("error: ")]
    return said.out, message


@pytest.mark.slow
def test_from_published_files_to_a_page(
    server: FileServer,
    hub_in_process: Hub,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    study = tmp_path / "study.yaml"
    content = {
        "title": "Published checkpoints",
        "backbones": [*ROWS],
        "domains": [{"dataset_name": name, **SIZES} for name in ("photo-patches", "digits")],
        "protocols": [{"preset": "dino-knn", "neighbours": [3]}],
        "analysis": {"max_subset": 12, "num_examples": 2, "batch_size": 16},
        "geometry": {"image_size": 64},
        "num_threads": 1,
    }
    study.write_text(json.dumps(content), encoding="utf-8")
    run = [str(study), "--output_dir", str(tmp_path / "out")]
    _, message = refused(STUDY, run, capsys)
    assert f"run `hf-sslgen zoo convert {' '.join(ROWS)}`" in message and not (tmp_path / "out").exists()

    path = next(path for path in server.files if path.endswith("moco_v2_800ep_pretrain.pth.tar"))
    whole = server.files[path]
    server.files[path] = Served(whole.content[:-1] + b"x")
    said, message = refused(ZOO, ["convert", *ROWS, ABSENT], capsys)
    assert message.startswith(f"error: 2 of {len(ROWS) + 1} backbones could not be converted"), said
    failed = {line.split()[1] for line in said.splitlines() if line.startswith("[") and line.endswith("failed")}
    assert failed == {f"{DAMAGED}:", f"{ABSENT}:"}
    _, message = refused(STUDY, run, capsys)
    assert f"run `hf-sslgen zoo convert {DAMAGED}`" in message

    server.files[path] = whole
    asked = len(server.asked)
    run_command(ZOO, ["convert", *ROWS])
    assert {each.path for each in server.asked[asked:]} == {path}

    api = hub_in_process.api("owner")
    for name in ROWS:
        repository = f"org/{repository_name(row_of(name))}"
        api.create_repo(repository)
        api.upload_folder(repo_id=repository, folder_path=converted_folder(row_of(name)))
    local = load_backbone(DAMAGED, ("first", "second"), match="none")
    monkeypatch.setenv("HF_SSLGEN_ZOO", str(tmp_path / "another machine"))
    monkeypatch.setenv("HF_SSLGEN_ZOO_ORGANIZATION", "org")
    from_hub = load_backbone(DAMAGED, ("first", "second"), match="none")
    assert from_hub.preprocessing == local.preprocessing
    tensors = dict(from_hub.model.named_parameters())
    assert all(torch.equal(tensor, tensors[name]) for name, tensor in local.model.named_parameters())

    run_command(STUDY, run)
    with (tmp_path / "out" / "results.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["kind"] == "cell" and row["metric"] == "accuracy"]
    assert {row["backbone"] for row in rows} >= set(ROWS)
    assert not (tmp_path / "out" / "missing.csv").exists()
    assert "Published checkpoints" in (tmp_path / "out" / "report" / "index.html").read_text(encoding="utf-8")
