"""A folder in which the documentation's blocks find what they name."""

import csv
import io
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from fake_study import FakeBackbone, Setting, write_study
from image_datasets import pictures
from PIL import Image
from transformers import AutoModelForImageClassification

from tests.loopback_hub import Hub

ROOT = Path(__file__).parents[2]
DIGITS = ROOT / "hf_sslgen" / "domains" / "embedded" / "digits"
PATIENTS = 30


def _write_twins(folder: Path) -> None:
    """The cells that the documentation's study leaves in `runs/twins`, as far as its blocks read them."""
    twins = (
        FakeBackbone("twin-resnet18-supervised", "supervised", 0.75, 0.7),
        FakeBackbone("twin-resnet18-simclr", "simclr", 0.8, 0.85),
        FakeBackbone("twin-resnet18-barlow-twins", "barlow-twins", 0.7, 0.75),
    )
    setting = Setting("linear", "8-shot")
    write_study(folder / "runs/twins/cells", twins, (("digits", "different"),), settings=[setting])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder like that of a clone, with a finished study in `runs/twins`."""
    monkeypatch.chdir(tmp_path)
    for name in ("recipes", "scripts"):
        (tmp_path / name).symlink_to(ROOT / name)
    _write_twins(tmp_path)
    return tmp_path


def _write_pictures(folder: Path, per_class: int, splits: tuple[str, ...]) -> None:
    """`split/class/picture.png` with real pictures of six classes, and a patient for each in `metadata.csv`."""
    rows = pictures().to_pylist()
    for position, split in enumerate(splits):
        (folder / split).mkdir(parents=True)
        with (folder / split / "metadata.csv").open("w", newline="") as metadata:
            writer = csv.writer(metadata)
            writer.writerow(["file_name", "patient"])
            for index, row in enumerate(rows[position * per_class * 6 :][: per_class * 6]):
                name = f"class {row['label']}/{index:03d}.png"
                (folder / split / name).parent.mkdir(exist_ok=True)
                Image.open(io.BytesIO(row["image"]["bytes"])).save(folder / split / name)
                writer.writerow([name, f"{split} {index % PATIENTS}"])


def _write_boxed(folder: Path) -> None:
    """A dataset with a box for every picture, small enough to pretrain on."""
    folder.mkdir(parents=True)
    table = pictures().append_column("bbox", [[[8, 8, 40, 40]] * 240])
    for split, part in (
        ("train", table.slice(0, 160)),
        ("validation", table.slice(160, 40)),
        ("test", table.slice(200)),
    ):
        pq.write_table(part, folder / f"{split}.parquet")


@pytest.fixture
def workspace(tmp_path: Path, small_backbones: dict[str, str], study_content: Callable[..., dict[str, Any]]) -> Path:
    """A working folder with stand-ins for whatever the documentation names: pictures, checkpoints, a study's file."""
    for name in ("recipes", "scripts", "tests"):
        (tmp_path / name).symlink_to(ROOT / name)
    for name in ("my_images", "path/to/my_images", "path/to/more_images", "path/to/scans"):
        _write_pictures(tmp_path / name, 20, ("train", "test"))
    _write_boxed(tmp_path / "path/to/tiny-imagenet-100")
    for name, backbone in (
        ("checkpoint", "timm_resnet"),
        ("my_checkpoint", "timm_resnet"),
        ("supervised", "timm_vit"),
    ):
        shutil.copytree(small_backbones[backbone], tmp_path / "path/to" / name)
    (tmp_path / "study.yaml").write_text(json.dumps(study_content()))
    _write_twins(tmp_path)
    return tmp_path


@pytest.fixture
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hub]:
    """A Hub with the organisation that the documentation names."""
    with Hub(tmp_path_factory.mktemp("hub"), organizations=("org", "my-org")) as started:
        yield started


@pytest.fixture
def furnished_hub(hub_in_process: Hub, tmp_path: Path, small_backbones: dict[str, str]) -> Hub:
    """A Hub with a model and a dataset `owner/name`, and a model `owner/pickled` without safetensors."""
    pickled = tmp_path / "pickled"
    shutil.copytree(small_backbones["transformers_resnet"], pickled)
    torch.save(AutoModelForImageClassification.from_pretrained(pickled).state_dict(), pickled / "pytorch_model.bin")
    (pickled / "model.safetensors").unlink()
    api = hub_in_process.api("owner")
    for name, kind, source in (
        ("owner/name", "model", Path(small_backbones["timm_resnet"])),
        ("owner/name", "dataset", DIGITS),
        ("owner/pickled", "model", pickled),
    ):
        api.create_repo(name, repo_type=kind)
        api.upload_folder(repo_id=name, repo_type=kind, folder_path=source)
    api.create_tag("owner/name", tag="v1.0")
    return hub_in_process


@pytest.fixture
def shell_environment(furnished_hub: Hub) -> dict[str, str]:
    """Variables of a user's shell: this environment's commands first, logged in to the Hub on loopback."""
    environment = furnished_hub.environment("owner")
    commands = str(Path(sys.executable).parent)
    return environment | {"PATH": f"{commands}{os.pathsep}{os.environ['PATH']}", "ACCELERATE_USE_CPU": "1"}
