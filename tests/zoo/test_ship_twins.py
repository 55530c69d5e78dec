"""Shipping twins: only finished ones that learned their source, all or none, with the registry's rows."""

import importlib.util
import json
from pathlib import Path

import pytest
import yaml

from hf_sslgen.errors import InputError
from hf_sslgen.registry_rows import build_row
from hf_sslgen.zoo.backbone_registry import Backbone


@pytest.fixture
def run_of(tmp_path):
    """A factory of run folders with a finished twin."""

    def build(objective: str, low: float = 0.2) -> Path:
        folder = tmp_path / objective / "twin"
        folder.mkdir(parents=True)
        for name in ("config.json", "model.safetensors", "curves.png", "README.md"):
            (folder / name).write_text(f"{name} of {objective}")
        training = {
            "settings": {"architecture": "resnet18", "objective": objective},
            "knn_accuracy": {"value": low + 0.02, "low": low, "high": low + 0.04},
            "untrained_knn_accuracy": {"value": 0.08, "low": 0.07, "high": 0.09},
        }
        (folder / "training.json").write_text(json.dumps(training))
        return folder.parent

    return build


@pytest.fixture(scope="module")
def ship():
    """The script's `main`."""
    path = Path(__file__).parents[2] / "scripts" / "ship_twins.py"
    specification = importlib.util.spec_from_file_location("ship_twins", path)
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module.main


def test_finished_twins_are_copied_over_old_ones_and_their_rows_are_printed(ship, run_of, tmp_path, capsys):
    twins = tmp_path / "twins"
    old = twins / "resnet18-byol"
    old.mkdir(parents=True)
    (old / "left.txt").write_text("over")
    ship([run_of("supervised"), run_of("byol")], twins)
    assert {path.name for path in twins.iterdir()} == {"resnet18-supervised", "resnet18-byol"}
    assert (old / "README.md").read_text() == "README.md of byol"
    assert {path.name for path in old.iterdir()} == {
        *("config.json", "model.safetensors", "training.json", "curves.png", "README.md")
    }
    given = {"twin_set": "any", "library": "timm", "architecture": "resnet18", "source_data": "any"}
    rows = [
        build_row(Backbone, {**given, "exact_twin": True, "verified": True, **row}, "row")
        for row in yaml.safe_load(capsys.readouterr().out)
    ]
    assert [(row.id, row.package_folder) for row in rows] == [
        ("twin-resnet18-supervised", "resnet18-supervised"),
        ("twin-resnet18-byol", "resnet18-byol"),
    ]


def test_one_that_is_no_better_than_untrained_stops_all(ship, run_of, tmp_path):
    twins = tmp_path / "twins"
    message = r"k-NN accuracy 0.105 \[0.085, 0.125\] does not lie above the untrained network's 0.080"
    with pytest.raises(InputError, match=message):
        ship([run_of("supervised"), run_of("simclr", low=0.085)], twins)
    assert not twins.exists()


def test_an_unfinished_one_is_named(ship, run_of, tmp_path):
    run = run_of("simclr")
    (run / "twin" / "training.json").unlink()
    with pytest.raises(InputError, match=r"twin lacks training\.json; run its pretraining command again"):
        ship([run], tmp_path / "twins")
