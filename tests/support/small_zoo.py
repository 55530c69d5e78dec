"""A small registry in place of the package's: one twin set whose rows all have to be converted first."""

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from hf_sslgen.zoo import backbone_registry
from hf_sslgen.zoo.backbone_registry import find_backbone, read_registry
from hf_sslgen.zoo.converted_rows import converted_folder

SMALL_SET = "small-set"
SMALL_ROWS = {"small-supervised": "supervised", "small-simclr": "simclr", "small-byol": "byol"}
FAMILIES = {"supervised": "supervised", "simclr": "contrastive", "byol": "self-distillation"}


def use_small_zoo(folder: Path, monkeypatch: pytest.MonkeyPatch, side: int, more: Mapping[str, object]) -> None:
    """Register `SMALL_SET` alone, with converted checkpoints in `folder`; `more` are fields of every row."""
    shared = {"library": "conversion", "architecture": "resnet18", "parameters": 70_000, "verified": True, **more}
    rows = [
        {"id": name, "objective": objective, "family": FAMILIES[objective], "url": f"https://example.org/{name}.pth"}
        for name, objective in SMALL_ROWS.items()
    ]
    the_set = {
        "name": SMALL_SET,
        "description": "Small networks.",
        "source_data": "noise",
        "image_size": side,
        "crop_pct": 1.0,
        "interpolation": "bilinear",
        "backbone_defaults": shared,
        "backbones": rows,
    }
    path = folder / "registry.yaml"
    path.write_text(yaml.safe_dump({"twin_sets": [the_set], "unmatched": [], "excluded": []}), encoding="utf-8")
    registry = read_registry(path)
    monkeypatch.setattr(backbone_registry, "_registry", lambda: registry)
    monkeypatch.setattr(backbone_registry, "_rows", lambda: {each.id: each for each in registry.backbones})
    monkeypatch.setenv("HF_SSLGEN_ZOO", str(folder / "zoo"))
    monkeypatch.delenv("HF_SSLGEN_ZOO_ORGANIZATION", raising=False)


def put_converted(name: str, checkpoint: str) -> None:
    """Put a checkpoint where the row's converted one is looked for."""
    row = find_backbone(name)
    assert row is not None
    shutil.copytree(checkpoint, converted_folder(row))
