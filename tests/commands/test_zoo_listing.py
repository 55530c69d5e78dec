"""The listing of registered backbones: marks, counts and everything known of one."""

import pytest

from hf_sslgen.commands.zoo_listing import print_listing
from hf_sslgen.zoo.backbone_registry import all_backbones, find_backbone
from hf_sslgen.zoo.converted_rows import converted_folder


@pytest.fixture(autouse=True)
def zoo_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_SSLGEN_ZOO", str(tmp_path))


def _line(listed: str, name: str) -> str:
    (line,) = [line for line in listed.splitlines() if line.split()[:1] == [name]]
    return line


def test_a_line_says_what_is_known_of_a_row_and_what_it_needs(capsys):
    row = find_backbone("byol-1000ep-resnet50")
    assert row is not None
    folder = converted_folder(row)
    folder.mkdir()
    for name in ("config.json", "model.safetensors"):
        (folder / name).write_bytes(b"")
    print_listing("resnet50-in1k")
    listed = capsys.readouterr().out
    assert "5 supervised, 44 self-supervised; 1 of 41 converted" in listed
    assert _line(listed, row.id).split()[1:] == ["byol", "23.5M", "1000", "ep", "74.4%", "apache-2.0", "converted"]
    assert _line(listed, "swav-800ep-resnet50").endswith("needs conversion")
    assert _line(listed, "obow-200ep-resnet50").endswith("needs conversion  (unverified)")
    assert _line(listed, "Ramos-Ramos/dino-resnet-50").endswith("licence not stated  weights of dino-resnet50")
    print_listing("resnet50-in1k-lightly")
    assert _line(capsys.readouterr().out, "timm/resnet50.tv_in1k").endswith("near twin")
    print_listing(row.id)
    assert f"converted              {folder}" in capsys.readouterr().out


def test_the_whole_listing_names_every_row(capsys):
    print_listing(None)
    listed = {line.split()[0] for line in capsys.readouterr().out.splitlines() if line.startswith("  ")}
    assert {row.id for row in all_backbones()} <= listed


def test_one_row_shows_each_published_accuracy_with_its_source(capsys):
    print_listing("mmselfsup-simclr-800ep-resnet50")
    shown = capsys.readouterr().out
    assert "published              measure: linear, top1: 69.2, source: open-mmlab/mmselfsup, metafile.yml\n" in shown
    assert "checksum               sha256:85fcc4de" in shown
    assert "the model zoo's table states 200 epochs; the file's name and configuration state 800" in shown
    assert "converted              not yet" in shown
