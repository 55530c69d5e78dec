"""The cells of the shipped twin and of each kind of small network, from images to folders."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.geometry import Geometry
from hf_sslgen.study.cells.cell_folder import Cell, read_cells
from hf_sslgen.study.cells.store import Store
from hf_sslgen.study.execution.worker import run_worker
from hf_sslgen.study.finished_cells import finished_cells
from hf_sslgen.study.protocols.presets import FewShotProtocol, FineTuningProtocol
from hf_sslgen.training.probe_defaults import INVERSE_REGULARISATION_GRID

NAMES = ("twin-resnet18-supervised", "timm_resnet", "timm_vit", "transformers_resnet", "transformers_vit")
ORDER = ("accuracy", "mean_per_class_accuracy", "top_5_accuracy")
CONFIDENCE = {
    *("mean_confidence", "mean_confidence_correct", "mean_confidence_incorrect", "confidence_gap"),
    *("auroc", "aurc", "excess_aurc"),
    *("expected_calibration_error", "ece_if_calibrated", "l2_calibration_error", "maximum_calibration_error"),
    *("adaptive_calibration_error", "debiased_squared_calibration_error", "ks_calibration_error"),
    *("negative_log_likelihood", "brier_score", "top_label_brier"),
}
AFTER_TEMPERATURE = {f"{metric}_after_temperature" for metric in CONFIDENCE}
PREDICTION = {
    *ORDER,
    *CONFIDENCE,
    *("gini", "spatial_spread", "zero_map_rate", "entropy"),
    *("effective_area", "participation_ratio", "top_10_percent_mass", "area_at_80_percent_mass"),
}
OF_SOME = {"auroc", "mean_confidence_correct", "mean_confidence_incorrect"}
MAY_NOT_EXIST = {*OF_SOME, *(f"{metric}_after_temperature" for metric in OF_SOME), "kappa", "temperature"}
"""Where all predictions are right, wrong, or of one class; or as likely under every temperature."""

OF_VARIANTS = (
    *("invariance", "cosine", "chance_cosine", "distance_invariance"),
    *("recall_at_1", "rank_auc", "linear_cka"),
)
OF_TUNED_VARIANTS = ("prediction_consistency", "kappa")
GUARDS = {"covariance_effective_rank", "rankme", "dead_dimension_share", "collapsed"}
QUICK_ON_DIGITS = {
    ("rotation", "+20"),
    ("translation", "right 0.1"),
    ("resized_crop", "0.5"),
    ("brightness", "1.4"),
    ("contrast", "0.7"),
    ("gaussian_blur", "1"),
    ("jpeg", "30"),
}
FAMILIES = {("mean", ""), ("mean_geometric", ""), ("mean_appearance", "")}
MOVED = (
    {(metric, *key) for key in QUICK_ON_DIGITS for metric in OF_VARIANTS}
    | {(metric, *key) for key in FAMILIES for metric in ("invariance", "recall_at_1")}
    | {(metric, "", "") for metric in GUARDS}
)
PREDICTED = {(metric, *key) for key in QUICK_ON_DIGITS for metric in OF_TUNED_VARIANTS}
CLEAN = {(metric, "", "") for metric in PREDICTION | {"temperature"}}
SCALED = {(metric, "", "") for metric in AFTER_TEMPERATURE}


def names_of(cell: Cell) -> set[tuple[str, str, str]]:
    names = [(number.metric, number.transform, number.severity) for number in cell.numbers]
    assert len(names) == len(set(names))
    return set(names)


def times(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in sorted(folder.rglob("*"))}


@pytest.mark.parametrize("name", NAMES)
def test_three_cells_with_all_their_numbers(
    name: str, cells_of: Callable[[str], list[Cell]], computation: Any
) -> None:
    pretrained, linear, finetuned = cells_of(name)
    assert [cell.protocol for cell in (pretrained, linear, finetuned)] == ["pretrained", "linear", "finetune"]
    assert names_of(pretrained) == MOVED
    for cell, more in ((linear, set()), (finetuned, MOVED | PREDICTED)):
        temperature = cell.number("temperature")
        assert temperature is not None
        scaled = SCALED if temperature.value > 0 else set()  # validation images do not always ask for one
        assert bool(temperature.reason) == (not scaled)
        assert names_of(cell) == CLEAN | scaled | more
    for cell in (pretrained, linear, finetuned):
        assert {number.stage for number in cell.numbers} == {"fine-tuned" if cell is finetuned else "pretrained"}
        assert (cell.domain, cell.seed, cell.provenance["group"]) == ("digits", 0, "different")
        assert cell.backbone == computation(name).specs[0].backbone.name
        for number in cell.numbers:
            # At 32 and 64 px a blur of 1 px at 224 hardly moves a pixel, so it may be undefined.
            may_lack = number.transform == "gaussian_blur" or number.metric in MAY_NOT_EXIST
            assert math.isfinite(number.value) or (number.reason and may_lack), number
    assert pretrained.examples() is None
    for cell in (linear, finetuned):
        records = cell.records()
        assert (records["transform"] == "").sum() == 40
        assert records["zero_map"].notna().sum() == 30
        examples = cell.examples()
        assert examples is not None
        assert len(examples["maps"]) == 4
    assert len(finetuned.records()) == 40 + 30 * len(QUICK_ON_DIGITS)
    assert [c["learning_rate"] for c in finetuned.provenance["selection"]["candidates"]] == [1e-3]
    assert linear.provenance["selection"]["chosen"]["inverse_regularisation"] in INVERSE_REGULARISATION_GRID
    for left_over in ("scratch", "unfinished"):
        assert not (computation(name).store.folder / left_over).exists()


def test_a_second_call_computes_nothing(cells_of: Callable[[str], list[Cell]], computation: Any) -> None:
    first = cells_of("timm_vit")
    before = times(computation("timm_vit").store.cells)
    again = computation("timm_vit").run()
    assert times(computation("timm_vit").store.cells) == before
    assert [(cell.folder, cell.identity) for cell in again] == [(cell.folder, cell.identity) for cell in first]
    assert [str(cell.numbers) for cell in again] == [str(cell.numbers) for cell in first]
    assert {cell.folder for cell in read_cells(first[0].folder.parent)} >= {cell.folder for cell in first}


def test_cells_of_other_settings_are_others(cells_of: Callable[[str], list[Cell]], computation: Any) -> None:
    pretrained, linear, _ = cells_of("timm_vit")
    job = computation("timm_vit")
    few = replace(job.specs[0].domain, samples_per_class=2, group="similar")
    specs = [replace(spec, domain=few) for spec in job.specs[:2]]
    run_worker(specs, job.store)
    (same, other), _ = finished_cells(specs, job.store)
    assert same.folder == pretrained.folder  # it sees test images only
    assert same.provenance["group"] == "similar"  # which is said by the caller, not part of the cell
    assert other.folder != linear.folder


def test_identity_and_provenance_say_what_was_done(cells_of: Callable[[str], list[Cell]]) -> None:
    pretrained, linear, finetuned = cells_of("twin-resnet18-supervised")
    assert pretrained.provenance["objective"] == "supervised"
    assert set(pretrained.identity["splits"]) == {"test"}
    assert set(linear.identity["splits"]) == {"train", "validation", "test"}
    assert finetuned.identity["protocol_settings"]["max_steps"] == 2
    assert pretrained.identity["preprocessing"]["geometry"]["image_size"] == 64
    assert len({cell.identity["weights"] for cell in (pretrained, linear, finetuned)}) == 1
    assert pretrained.provenance["class_names"] == [str(digit) for digit in range(10)]
    assert {"torch", "timm", "transformers"} <= set(pretrained.provenance["libraries"])


def test_the_untrained_control_is_another_network(computation: Any, cells_of: Callable[[str], list[Cell]]) -> None:
    name = "twin-resnet18-supervised"
    job = computation(f"untrained:{name}")
    run_worker(job.specs[:1], job.store)
    (control,), _ = finished_cells(job.specs[:1], job.store)
    trained = cells_of(name)[0]
    assert control.provenance["objective"] == "untrained"
    assert control.identity["weights"].startswith("untrained, seed 0, of ")
    invariances = [cell.number("invariance", "mean") for cell in (control, trained)]
    assert invariances[0] is not None and invariances[1] is not None
    assert invariances[0].value != pytest.approx(invariances[1].value, abs=1e-3)


def test_a_protocol_that_can_not_run_leaves_the_others(computation: Any, tmp_path: Path) -> None:
    streamed = DomainArguments("digits", streaming=True, max_eval_samples=20, max_test_samples=40)
    specs = [replace(spec, domain=streamed) for spec in computation("timm_vit").specs[:2]]
    store = Store(tmp_path)
    store.prepare()
    impossible = replace(specs[1], protocol_name="few-shot", protocol=FewShotProtocol(shots=100))
    assert run_worker([*specs, impossible], store) == {"computed": 2, "failed": 1}
    failure = store.failure(impossible)
    assert failure is not None and "lower ways, shots or queries" in failure.error
    assert {cell.protocol for cell in read_cells(store.cells)} == {"pretrained", "linear"}


def test_a_learning_rate_that_diverges_is_not_selected(computation: Any, tmp_path: Path) -> None:
    spec = replace(computation("timm_vit").specs[2], geometry=Geometry(32, 1.0, "bilinear"))
    protocol = FineTuningProtocol(learning_rates=(1e-3, 1e30), max_steps=4, batch_size=10)
    hopeless = FineTuningProtocol(learning_rates=(1e30,), max_steps=4)
    specs = [replace(spec, protocol=each) for each in (protocol, hopeless)]
    store = Store(tmp_path)
    store.prepare()
    assert run_worker(specs, store) == {"computed": 1, "failed": 1}
    selection = finished_cells(specs, store)[0][0].provenance["selection"]
    assert selection["chosen"]["learning_rate"] == 1e-3
    scores = {c["learning_rate"]: c["validation_negative_log_likelihood"] for c in selection["candidates"]}
    assert scores[1e30] is None
    assert scores[1e-3] > 0
    failure = store.failure(specs[1])
    assert failure is not None and failure.error.startswith("DivergedError")
    assert "at every one of the learning_rates" in failure.error
