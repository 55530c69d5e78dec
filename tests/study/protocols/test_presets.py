"""Presets by name: their published values, what they refuse, and what reports are told of departures."""

import json
import subprocess
import sys
from dataclasses import fields
from typing import Any

import pytest

from hf_sslgen.errors import InputError
from hf_sslgen.study.protocols.presets import (
    PRESETS,
    FineTuningProtocol,
    LinearProtocol,
    departures,
    get_protocol,
    protocol_settings,
)
from hf_sslgen.training.probe_defaults import INVERSE_REGULARISATION_GRID, TOLERANCE

NAMES = {"linear", "finetune", "ssl-transfer", "ssl-transfer-linear", "vtab-1k", "dino-knn", "few-shot", "full"}

PUBLISHED: dict[str, dict[str, Any]] = {
    "linear": {"inverse_regularisations": list(INVERSE_REGULARISATION_GRID), "tolerance": TOLERANCE},
    "finetune": {"optimiser": "adamw", "learning_rates": [1e-4, 3e-4, 1e-3], "num_train_epochs": 10},
    "ssl-transfer": {
        "optimiser": "sgd",
        "momentum": 0.9,
        "nesterov": True,
        "batch_size": 64,
        "max_steps": 5000,
        "schedule": "cosine",
        "warmup_steps": 0,
        "learning_rates": [1e-1, 1e-2, 1e-3, 1e-4],
        "weight_decays": [0, 1e-6, 1e-5, 1e-4, 1e-3],
        "weight_decay_over_learning_rate": True,
        "retrain_on_validation": True,
        "minimum_crop_area": 0.08,
        "horizontal_flip": True,
        "resize": "shorter_side",
        "max_grad_norm": 0,
    },
    "vtab-1k": {
        "train_images": 800,
        "validation_images": 200,
        "momentum": 0.9,
        "nesterov": False,
        "learning_rates": [0.01],
        "batch_size": 64,
        "max_steps": 1000,
        "step_milestones": [300, 600, 900],
        "step_factor": 0.1,
        "warmup_steps": 80,
        "weight_decays": [0],
        "minimum_crop_area": 1,
        "horizontal_flip": False,
        "resize": "squash",
    },
    "dino-knn": {"neighbours": [10, 20, 100, 200], "temperature": 0.07},
    "few-shot": {"ways": 5, "shots": 5, "queries": 15, "episodes": 600},
    "full": {"optimiser": "by_architecture", "early_stopping_patience": 5, "warmup_steps": 0.1, "schedule": "cosine"},
}


def test_presets_have_the_published_values() -> None:
    assert set(PRESETS) == NAMES
    for name, published in PUBLISHED.items():
        settings = protocol_settings(PRESETS[name])
        assert {key: settings[key] for key in published} == published, name


def test_the_linear_grid_of_ssl_transfer() -> None:
    protocol = PRESETS["ssl-transfer-linear"]
    assert isinstance(protocol, LinearProtocol)
    grid = protocol.inverse_regularisations
    assert len(grid) == 45
    assert (min(grid), max(grid)) == (1e-5, 1e6)
    # The values of C its authors report to have selected on CIFAR-10.
    assert any(value == pytest.approx(0.316, rel=1e-2) for value in grid)
    assert any(value == pytest.approx(0.056, rel=1e-2) for value in grid)
    assert protocol.retrain_on_validation and not protocol.standardise


@pytest.mark.parametrize("name", sorted(NAMES))
def test_settings_are_json_and_hold_every_field(name: str) -> None:
    protocol = PRESETS[name]
    settings = protocol_settings(protocol)
    assert json.loads(json.dumps(settings, allow_nan=False)) == settings
    assert set(settings) == {field.name for field in fields(protocol)} - {"bf16"}
    assert get_protocol(name, settings) == protocol
    assert departures(name, protocol) == {}
    assert protocol_settings(None) == {}


def test_departures_are_the_fields_that_differ() -> None:
    protocol = get_protocol("ssl-transfer", {"max_steps": 100, "batch_size": 64, "learning_rates": [0.1]})
    assert departures("ssl-transfer", protocol) == {"max_steps": 100, "learning_rates": [0.1]}
    assert isinstance(protocol, FineTuningProtocol) and protocol.learning_rates == (0.1,)


def test_half_precision_is_a_setting_of_those_cells_that_have_it() -> None:
    """Cells computed before there was such a setting keep their identity."""
    protocol = get_protocol("finetune", {"bf16": True})
    assert departures("finetune", protocol) == {"bf16": True}
    assert protocol_settings(get_protocol("finetune", {"bf16": False})) == protocol_settings(PRESETS["finetune"])


def test_whole_numbers_serve_as_numbers() -> None:
    whole, fractional = (get_protocol("finetune", {"num_train_epochs": epochs}) for epochs in (3, 3.0))
    assert json.dumps(protocol_settings(whole)) == json.dumps(protocol_settings(fractional))
    grids = [get_protocol("finetune", {"weight_decays": grid}) for grid in ([0, 1], (0.0, 1.0))]
    assert json.dumps(protocol_settings(grids[0])) == json.dumps(protocol_settings(grids[1]))


@pytest.mark.parametrize(
    ("name", "overrides", "message"),
    [
        ("ssl-tranfer", {}, "full; did you mean 'ssl-transfer"),
        ("vtab", {}, "'vtab' is unknown; known: linear, finetune, ssl-transfer"),
        ("finetune", {"learning_rate": 1e-3}, "no field 'learning_rate'; did you mean 'learning_rates'"),
        ("few-shot", {"k": 3}, "no field 'k'; it has episodes, queries"),
        ("finetune", {"learning_rates": "fast"}, "learning_rates is 'fast'; it must be a list of numbers"),
        ("finetune", {"learning_rates": 1e-3}, "it must be a list of numbers"),
        ("finetune", {"learning_rates": []}, "learning_rates is empty"),
        ("finetune", {"learning_rates": [1e-3, -1.0]}, "every value must be above 0"),
        ("finetune", {"learning_rates": [1e-3, 1e-3]}, "only once"),
        ("finetune", {"learning_rates": [float("nan")]}, "it must be a list of numbers"),
        ("finetune", {"max_steps": -1}, "max_steps is -1; it must be at least 1"),
        ("finetune", {"max_steps": 2.5}, "it must be a whole number or none"),
        ("finetune", {"max_steps": True}, "it must be a whole number or none"),
        ("finetune", {"nesterov": 1}, "nesterov is 1; it must be true or false"),
        ("finetune", {"optimiser": "adam"}, "one of adamw, sgd, by_architecture"),
        ("finetune", {"minimum_crop_area": 1.5}, "at most 1"),
        ("finetune", {"optimiser": "by_architecture"}, "needs sgd_learning_rates"),
        ("full", {"optimiser": "sgd"}, "are for optimiser 'by_architecture'"),
        ("vtab-1k", {"schedule": "cosine"}, "step_milestones are for schedule 'steps'"),
        ("full", {"retrain_on_validation": True}, "no validation images for early stopping"),
        ("ssl-transfer", {"momentum": 0}, "nesterov needs a momentum"),
        ("dino-knn", {"neighbours": [0]}, "at least 1"),
        ("dino-knn", {"temperature": None}, "it must be a number"),
        ("few-shot", {"ways": 1}, "at least 2"),
        ("linear", {"tolerance": "tight"}, "it must be a number"),
    ],
)
def test_what_is_wrong_is_named(name: str, overrides: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as error:
        get_protocol(name, overrides)
    assert message in str(error.value)


def test_naming_a_protocol_needs_no_torch() -> None:
    code = "import sys, hf_sslgen.study.protocols.presets; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
