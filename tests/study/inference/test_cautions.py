"""Reasons for caution are found in stored numbers, records and provenance, and only where they hold."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from fake_study import SELF_SUPERVISED, SUPERVISED, UNTRAINED, Setting, write_study

from hf_sslgen.study.cells.cell_folder import Cell, read_cells
from hf_sslgen.study.inference.cautions import Caution, CautionKind, find_cautions
from hf_sslgen.study.inference.study_results import infer

GRIDS = {"linear": {"inverse_regularisations": [0.1, 1]}, "finetune": {"learning_rates": [0.1, 0.01]}}
"""By which the kinds of protocols are told apart."""


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> list[Cell]:
    """A probe with one seed and fine-tuning with two, which loses 25 points; the control is about as good when
    fine-tuned as the self-supervised backbone."""
    store = tmp_path_factory.mktemp("cells")
    control = replace(UNTRAINED, accuracy=0.5)
    settings = (Setting("linear"), Setting("finetune", seeds=(0, 1), penalty=0.25))
    write_study(store, (SELF_SUPERVISED, SUPERVISED), (("here", "similar"),), settings=settings)
    write_study(store, (control,), (("here", "similar"),), settings=settings[:1])
    write_study(store, (control,), (("here", "similar"),), settings=(Setting("finetune", seeds=(0, 1)),))
    return list(read_cells(store))


def described(cells: list[Cell], selection: dict[str, Any] | None = None, **only: Any) -> list[Cell]:
    """The cells with their protocol's settings, and what was selected for those described by `only`."""
    found = []
    for cell in cells:
        is_meant = all((cell.identity | cell.provenance)[name] == value for name, value in only.items())
        chosen = {"selection": selection} if selection is not None and is_meant else {}
        identity = {**cell.identity, "protocol_settings": GRIDS[cell.protocol]}
        found.append(replace(cell, identity=identity, provenance={**cell.provenance, **chosen}))
    return found


def cautions_of(cells: list[Cell], kind: CautionKind) -> list[Caution]:
    return [caution for caution in infer(cells).cautions if caution.kind == kind]


def correct_of(cells: list[Cell], backbone: str, protocol: str) -> np.ndarray:
    """(seeds, images)."""
    chosen = [cell for cell in cells if (cell.backbone, cell.protocol) == (backbone, protocol)]
    return np.array([cell.records()["correct"].to_numpy() for cell in sorted(chosen, key=lambda cell: cell.seed)])


def test_fine_tuning_below_the_linear_probe_is_found_by_the_paired_interval(stored: list[Cell]) -> None:
    found = cautions_of(described(stored), CautionKind.BELOW_LINEAR_PROBE)
    assert {caution.backbone for caution in found} == {"resnet50-simclr", "resnet50-supervised"}
    (caution,) = [each for each in found if each.backbone == "resnet50-simclr"]
    assert (caution.protocol, caution.against, caution.seeds, caution.num_seeds) == ("finetune", "linear", (0, 1), 2)
    tuned, probed = (correct_of(stored, "resnet50-simclr", name) for name in ("finetune", "linear"))
    differences = (tuned - probed).mean(axis=0)  # the probe's one seed stands for both
    assert caution.value == pytest.approx(differences.mean())
    half = 1.96 * differences.std(ddof=1) / math.sqrt(len(differences))
    assert (caution.low, caution.high) == pytest.approx((caution.value - half, caution.value + half), abs=0.01)
    # What is not less accurate, and what is not fine-tuning, is not found.
    swapped = [
        replace(
            cell, identity={**cell.identity, "protocol": {"linear": "finetune", "finetune": "linear"}[cell.protocol]}
        )
        for cell in stored
    ]
    assert not cautions_of(described(swapped), CautionKind.BELOW_LINEAR_PROBE)
    assert not cautions_of(stored, CautionKind.BELOW_LINEAR_PROBE)


def test_a_network_that_does_not_beat_its_untrained_control_is_found(stored: list[Cell]) -> None:
    results = infer(described(stored))
    found = {(c.backbone, c.protocol): c for c in results.cautions if c.kind == CautionKind.NOT_ABOVE_UNTRAINED}
    against = {
        (d.first, d.protocol): d
        for d in results.targets
        if d.metric == "accuracy" and d.second_objective == "untrained"
    }
    assert set(found) == {key for key, d in against.items() if d.low <= 0}
    assert ("resnet50-simclr", "finetune") in found and ("resnet50-supervised", "linear") not in found
    caution, difference = (by_key["resnet50-simclr", "finetune"] for by_key in (found, against))
    assert (caution.value, caution.low, caution.high) == (difference.value, difference.low, difference.high)
    assert (caution.against, caution.seeds) == ("resnet50-untrained", (0, 1))


@pytest.mark.parametrize(("value", "is_found"), [(0.1, False), (0.0, True), (-0.1, True)])
def test_without_an_interval_only_a_difference_that_is_not_positive_is_found(
    stored: list[Cell], value: float, is_found: bool
) -> None:
    cells = described(stored)
    target = next(d for d in infer(cells).targets if d.metric == "accuracy" and d.second_objective == "untrained")
    assert bool(find_cautions([], [replace(target, value=value, low=math.nan, high=math.nan)])) == is_found


def test_an_end_of_the_grid_is_found_for_rates_and_regularisation_alone(stored: list[Cell]) -> None:
    at_end = {"at_grid_end": ["learning_rate", "weight_decay", "neighbours"]}
    one = described(stored, at_end, backbone="resnet50-simclr", protocol="finetune", seed=1)
    (caution,) = cautions_of(one, CautionKind.GRID_END)
    assert (caution.hyper_parameter, caution.seeds, caution.num_seeds) == ("learning_rate", (1,), 2)
    probe = described(stored, {"at_grid_end": ["inverse_regularisation"]}, objective="simclr", protocol="linear")
    (caution,) = cautions_of(probe, CautionKind.GRID_END)
    assert (caution.hyper_parameter, caution.protocol, caution.seeds) == ("inverse_regularisation", "linear", (0,))


@pytest.mark.parametrize(
    ("selection", "is_found"),
    [
        ({"converged": True, "not_converged": 3}, False),
        ({"converged": False, "not_converged": 1}, True),
        ({"not_converged": 1}, True),  # earlier cells do not record which fit it was
        ({"not_converged": 0}, False),
        ({"at_grid_end": "learning_rate", "not_converged": None}, False),
        ({}, False),
    ],
)
def test_a_fit_that_did_not_converge_is_found(stored: list[Cell], selection: dict[str, Any], is_found: bool) -> None:
    cells = described(stored, selection, backbone="resnet50-supervised", protocol="linear")
    found = find_cautions([cell for cell in cells if cell.protocol == "linear"], [])
    expected = [(CautionKind.NOT_CONVERGED, "resnet50-supervised", (0,))] * is_found
    assert [(caution.kind, caution.backbone, caution.seeds) for caution in found] == expected
