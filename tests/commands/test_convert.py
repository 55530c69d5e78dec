"""A published .bin checkpoint becomes safetensors with a card of its own, which load and can be pushed."""

import hashlib
import re
import shutil
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import torch
import warm_python
from file_server import FileServer, Served
from huggingface_hub import ModelCard
from markdown_it import MarkdownIt
from safetensors.torch import load_file

from hf_sslgen.commands import run_convert
from hf_sslgen.commands.convert import main
from hf_sslgen.errors import InputError
from hf_sslgen.zoo.backbone_loading import load_backbone
from hf_sslgen.zoo.backbone_registry import find_backbone
from hf_sslgen.zoo.conversion.stand_ins import write_stand_in
from hf_sslgen.zoo.converted_rows import converted_folder
from tests.loopback_hub import Hub

OWN = "---\nlicense: mit\ntags: [vision]\n---\n# Theirs\n"


@pytest.fixture(params=["timm_resnet", "transformers_vit"])
def published(request: pytest.FixtureRequest, small_backbones: dict[str, str], tmp_path: Path) -> Path:
    """A small network's folder whose weights are pickled, with a card."""
    folder = tmp_path / request.param / "a_[name]"
    shutil.copytree(small_backbones[request.param], folder)
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    (folder / "README.md").write_text(OWN)
    return folder


def test_it_is_the_same_network_and_the_card_says_where_it_is_from(
    published: Path, small_backbones: dict[str, str], hub_in_process: Hub
) -> None:
    original = small_backbones[published.parent.name]
    main([str(published), "--source", "owner/name@v1"])
    first = (published / "README.md").read_text()
    expected = load_backbone(original, ("a", "b")).model.state_dict()
    found = load_backbone(str(published), ("a", "b")).model.state_dict()
    trunk = [name for name in expected if not name.startswith(("classifier", "timm_model.fc"))]
    assert trunk and all(torch.equal(found[name], expected[name]) for name in trunk)

    card = ModelCard(first)
    card.validate()
    assert (card.data.license, card.data.base_model) == ("mit", "owner/name")
    for name in ("pytorch_model.bin", "model.safetensors"):
        assert hashlib.sha256((published / name).read_bytes()).hexdigest() in first
    assert "<h1>a_[name]</h1>" in MarkdownIt().render(card.text)
    assert (published / "README.source.md").read_text() == OWN
    main([str(published), "--source", "owner/name@v1"])  # its own card is not taken for that of the checkpoint
    assert (published / "README.md").read_text() == first
    assert (published / "README.source.md").read_text() == OWN

    main([str(published), "--license", "apache-2.0"])
    again = ModelCard((published / "README.md").read_text())
    assert (again.data.license, again.data.base_model) == ("apache-2.0", None)
    api = hub_in_process.api("owner")
    api.create_repo("org/converted")
    api.upload_folder(repo_id="org/converted", folder_path=published, ignore_patterns="*.bin")
    assert "model.safetensors" in api.list_repo_files("org/converted")


def test_without_a_licence_the_card_says_so(published: Path) -> None:
    (published / "README.md").unlink()
    main([str(published)])
    text = (published / "README.md").read_text()
    assert "No licence was stated" in text and "license:" not in text
    assert not (published / "README.source.md").exists()


def test_what_is_no_checkpoint_is_left_as_it_is(published: Path) -> None:
    (published / "config.json").write_text("{half")
    with pytest.raises(InputError, match=r"config\.json is not a configuration"):
        main([str(published)])
    (published / "config.json").unlink()
    with pytest.raises(InputError, match=r"has no config\.json"):
        main([str(published)])
    assert sorted(path.name for path in published.glob("*.safetensors")) == []
    assert (published / "README.md").read_text() == OWN


def test_the_command_says_what_is_missing(tmp_path: Path) -> None:
    ended = warm_python.run(["-m", "hf_sslgen", "convert", tmp_path])
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"error: {tmp_path} has no ")


def test_a_published_file_becomes_a_folder_that_loads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_stand_in("byol", Path("pretrain.pkl"), seed=1)
    main(["pretrain.pkl", "--output_dir", "byol", "--normalization", "imagenet", "--license", "apache-2.0"])
    said, weights, card, *_ = capsys.readouterr().out.splitlines()
    assert said.startswith("resnet50 in layout byol, 265 tensors; input imagenet, padding TensorFlow's SAME; ")
    assert (weights, card) == ("byol/model.safetensors", "byol/README.md")
    assert "license: apache-2.0" in Path(card).read_text()
    assert load_backbone("byol", ("cat", "dog")).preprocessing.geometry.image_size == 224
    for words, expected in (
        (["pretrain.pkl"], "output_dir is missing"),
        (["nothing.pkl", "--output_dir", "x"], "neither a file or folder nor a URL nor a backbone"),
        (["byol", "--output_dir", "x"], "output_dir does not apply to 'byol', a folder"),
        (["pretrain.pkl", "--output_dir", "x", "--layout", "swavv"], "swav"),
        (["timm/resnet50.tv_in1k"], "needs no conversion"),
        (["byol/README.md", "--output_dir", "x"], "in no format that is known here"),
    ):
        with pytest.raises(InputError, match=re.escape(expected)):
            main(words)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["byol", "pretrain.pkl"]


def test_a_registered_name_and_an_address_are_fetched_and_converted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    row = find_backbone("moco-v2-800ep-resnet50")
    assert row is not None and row.url is not None
    write_stand_in("moco", tmp_path / "file", seed=1)
    content = (tmp_path / "file").read_bytes()
    # The stand-in has another checksum and size than the published file.
    small = replace(row, checksum=None, file_size=None)
    monkeypatch.setattr(run_convert, "find_backbone", {row.id: small}.get)
    monkeypatch.setenv("HF_SSLGEN_ZOO", str(tmp_path / "zoo"))
    with FileServer() as server:
        address = urlsplit(row.url)
        server.files[f"/{address.netloc}{address.path}"] = Served(content)
        monkeypatch.setenv("HF_SSLGEN_MIRROR", server.address)
        main([row.id])
        assert str(converted_folder(row) / "model.safetensors") in capsys.readouterr().out
        assert list((tmp_path / "zoo" / "originals").rglob("*.tar")) == []
        monkeypatch.delenv("HF_SSLGEN_MIRROR")
        server.files["/own.pth"] = Served(content)
        main([f"{server.address}/own.pth", "--output_dir", str(tmp_path / "own")])
        assert f"{server.address}/own.pth" in (tmp_path / "own" / "config.json").read_text()
    assert (
        load_file(tmp_path / "own" / "model.safetensors").keys()
        == load_file(converted_folder(row) / "model.safetensors").keys()
    )
