"""Each preset end to end on small real networks and the embedded digits."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from prepared_cells import prepared_cell
from whole_splits import classified, features_of

from hf_sslgen.analysis.analysis_settings import AnalysisSettings
from hf_sslgen.analysis.few_shot_records import EFFECT, IMAGE
from hf_sslgen.domains.images import joined
from hf_sslgen.errors import DivergedError, InputError
from hf_sslgen.geometry import Geometry
from hf_sslgen.study.cells.cell_folder import Cell, read_cell, write_cell
from hf_sslgen.study.cells.cell_records import require_consistent
from hf_sslgen.study.inference.differences import compare_cells
from hf_sslgen.study.prepared_cell import Measured, PreparedCell
from hf_sslgen.study.protocols import finetuned
from hf_sslgen.study.protocols.dispatch import measure
from hf_sslgen.study.protocols.finetuned import grid_points, training_arguments
from hf_sslgen.study.protocols.presets import FineTuningProtocol, get_protocol
from hf_sslgen.training.few_shot import prototypical_accuracies
from hf_sslgen.training.finetuning import finetune
from hf_sslgen.training.probes import knn_probabilities

SMALL: dict[str, dict[str, Any]] = {
    "linear": {},
    "finetune": {"max_steps": 2, "batch_size": 8, "learning_rates": [1e-3]},
    "ssl-transfer": {"max_steps": 2, "batch_size": 8, "learning_rates": [0.1, 0.001], "weight_decays": [0, 1e-3]},
    "ssl-transfer-linear": {"max_iterations": 50},
    "vtab-1k": {"max_steps": 4, "batch_size": 8, "warmup_steps": 1, "train_images": 20, "validation_images": 10},
    "dino-knn": {},
    "few-shot": {"shots": 1, "queries": 2, "episodes": 30},
    "full": {"num_train_epochs": 3, "batch_size": 15, "learning_rates": [1e-3], "early_stopping_patience": 1},
}
NETWORKS = ("timm_vit", "timm_resnet")


@dataclass(frozen=True)
class Job:
    """A cell to be measured, and the folder for its training runs."""

    cell: PreparedCell
    scratch: Path

    def measure(self) -> Measured:
        return measure(self.cell, self.scratch)

    def under(self, **changes: Any) -> "Job":
        """The same with another specification."""
        return replace(self, cell=replace(self.cell, spec=replace(self.cell.spec, **changes)))


JobOf = Callable[..., Job]


@pytest.fixture
def job_of(small_backbones: dict[str, str], digits_domain: Any, tmp_path: Path) -> JobOf:
    """A job of a small network on the digits under a preset with overrides."""

    def build(preset: str, name: str = "timm_vit", seed: int = 0, **overrides: Any) -> Job:
        protocol = get_protocol(preset, {**SMALL[preset], **overrides})
        analysis = AnalysisSettings(max_subset=20, num_examples=2, batch_size=20)
        scratch = tmp_path / f"{preset}-{name}-{seed}"
        geometry = Geometry(32, 0.9, "bilinear")
        location = small_backbones.get(name, name)
        return Job(prepared_cell(location, digits_domain, protocol, seed, analysis, geometry), scratch)

    return build


@pytest.mark.parametrize("preset", sorted(SMALL))
def test_every_preset_runs(preset: str, job_of: JobOf) -> None:
    job = job_of(preset)
    analysis, selection = job.measure()
    numbers = {(number.metric, number.transform): number for number in analysis.numbers}
    accuracy = numbers["accuracy", ""]
    if preset == "few-shot":
        assert math.isnan(accuracy.low)
        assert accuracy.reason == "only 40 test images take part in episodes; an interval needs 100"
    else:
        assert 0 <= accuracy.low <= accuracy.value <= accuracy.high <= 1
    clean = analysis.records[analysis.records["transform"] == ""]
    assert accuracy.value == pytest.approx(clean["correct"].astype(float).mean())
    assert selection["seed"] == 0
    if preset == "few-shot":
        assert (accuracy.n, len(clean)) == (30, 30)
        effects = analysis.records[analysis.records["transform"] == IMAGE]
        assert effects["sample_id"].tolist() == job.cell.domain.test.sample_ids.tolist()
        assert effects[EFFECT].notna().all() and effects["correct"].isna().all()
        assert selection["criterion"] == "nothing is selected"
        return
    assert clean["sample_id"].tolist() == job.cell.domain.test.sample_ids.tolist()
    scores = [row["validation_negative_log_likelihood"] for row in selection["candidates"]]
    chosen = [row for row in selection["candidates"] if selection["chosen"].items() <= row.items()]
    assert [row["validation_negative_log_likelihood"] for row in chosen] == [min(s for s in scores if s is not None)]
    if preset in ("linear", "ssl-transfer-linear"):
        assert selection["converged"] in (True, False) and selection["not_converged"] >= (not selection["converged"])
    retrained = "ssl-transfer" in preset or preset == "vtab-1k"
    assert selection["fitted_on"].startswith("train and validation" if retrained else "train")
    if preset != "dino-knn":
        temperature = numbers["temperature", ""]
        assert temperature.reason.startswith("validation images were trained on") == retrained
        assert temperature.n == (0 if retrained else len(job.cell.domain.validation))
    assert ("gini" in clean) == (preset != "dino-knn")


def test_the_pretrained_stage_selects_nothing(job_of: JobOf) -> None:
    analysis, selection = job_of("linear").under(protocol=None).measure()
    assert selection == {}
    assert {number.stage for number in analysis.numbers} == {"pretrained"}


def test_retraining_sees_training_and_validation_images(job_of: JobOf, tmp_path: Path) -> None:
    job = job_of("ssl-transfer", learning_rates=[0.01], weight_decays=[1e-3])
    analysis, selection = job.measure()
    assert selection["chosen"] == {
        "learning_rate": 0.01,
        "weight_decay_times_learning_rate": 1e-3,
        "weight_decay": pytest.approx(0.1),
    }
    protocol = job.cell.spec.protocol
    assert isinstance(protocol, FineTuningProtocol)
    domain, folder = job.cell.domain, tmp_path / "by hand"
    ((_, rate, decay),) = grid_points(protocol)
    arguments = training_arguments(job.cell, protocol, rate, decay, folder)
    both = replace(domain, train=joined(domain.train, domain.validation))
    scores = []
    for number, seen in enumerate((both, domain)):
        arguments[1].output_dir = str(folder / str(number))
        finetune(job.cell.load(), seen, *arguments)
        predictions = classified(job.cell.load(arguments[1].output_dir), domain.test, 20)
        scores.append(predictions.negative_log_likelihoods)
    measured = analysis.records.query("transform == ''")["negative_log_likelihood"].to_numpy()
    np.testing.assert_allclose(measured, scores[0], rtol=1e-5)
    assert np.abs(measured - scores[1]).max() > 1e-4


def test_candidates_do_not_see_the_test_split_and_leave_no_weights(
    job_of: JobOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = job_of("full", learning_rates=[1e-4, 1e-2, 1e-3], num_train_epochs=2)
    seen: list[bool] = []
    pictures: list[Any] = []

    def recorded(*arguments: Any, **options: Any) -> Any:
        pictures.append(options["pictures"])
        result = finetune(*arguments, **options)
        seen.append(bool(result.test) or result.predictions is not None)
        return result

    monkeypatch.setattr(finetuned, "finetune", recorded)
    first, _ = job.measure()
    assert seen == [False] * 3
    assert all(each is pictures[0] for each in pictures)  # they share what is decoded
    assert len(list(job.scratch.glob("candidates/*/run-*/*.safetensors"))) == 1
    assert len({path.parent for path in job.scratch.rglob("checkpoint-*")}) == 1
    written = {path: path.stat().st_mtime_ns for path in job.scratch.rglob("*.safetensors")}
    again, _ = job.measure()  # an interrupted cell goes on from what its folder holds
    assert {path: path.stat().st_mtime_ns for path in job.scratch.rglob("*.safetensors")} == written
    assert str(again.numbers) == str(first.numbers)


@pytest.mark.parametrize("bf16", [True, False])
def test_half_precision_reaches_the_trainer(job_of: JobOf, bf16: bool, tmp_path: Path) -> None:
    protocol = get_protocol("finetune", {"bf16": bf16})
    assert isinstance(protocol, FineTuningProtocol)
    _, arguments, _ = finetuned.training_arguments(job_of("finetune").cell, protocol, 1e-3, 0.0, tmp_path / "run")
    assert arguments.bf16 is bf16


def test_a_candidate_that_diverges_at_its_last_step_is_missing(job_of: JobOf) -> None:
    job = job_of("ssl-transfer", "timm_resnet", learning_rates=[1e30, 1e-3], weight_decays=[0], max_steps=1)
    _, selection = job.measure()
    assert [row["validation_negative_log_likelihood"] is None for row in selection["candidates"]] == [True, False]
    assert selection["chosen"]["learning_rate"] == 1e-3
    assert selection["at_grid_end"] == ["learning_rate"]
    with pytest.raises(DivergedError, match="every one of the learning_rates"):
        job_of("ssl-transfer", "timm_resnet", 1, learning_rates=[1e30], weight_decays=[0], max_steps=1).measure()


def test_vtab_starts_from_a_zero_classifier_and_takes_so_many_images(
    job_of: JobOf, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = job_of("vtab-1k")
    seen = []

    def recorded(backbone: Any, domain: Any, *arguments: Any, **options: Any) -> Any:
        heads = [module for module in backbone.model.modules() if isinstance(module, torch.nn.Linear)]
        labels = domain.train.labels
        seen.append(
            (len(labels), len(domain.validation), float(heads[-1].weight.detach().abs().max()), set(labels.tolist()))
        )
        return finetune(backbone, domain, *arguments, **options)

    monkeypatch.setattr(finetuned, "finetune", recorded)
    _, selection = job.measure()
    assert seen == [(20, 10, 0.0, set(range(10))), (30, 10, 0.0, set(range(10)))]
    assert (selection["train_images"], selection["validation_images"]) == (20, 10)
    assert job.cell.load().preprocessing.geometry == Geometry(32, None, "bilinear")


def test_the_crop_is_the_protocols(job_of: JobOf) -> None:
    presets = ("linear", "ssl-transfer-linear")
    crops = {preset: job_of(preset).cell.load().preprocessing.geometry.crop_pct for preset in presets}
    assert crops == {"linear": 0.9, "ssl-transfer-linear": 1.0}
    own = job_of("vtab-1k").under(geometry=None)
    assert own.cell.load().preprocessing.geometry == Geometry(32, None, "bicubic")


def test_neighbours_by_hand(job_of: JobOf) -> None:
    job = job_of("dino-knn")
    analysis, selection = job.measure()
    domain, backbone = job.cell.domain, job.cell.load()
    train, validation, test = (features_of(backbone, s, 20) for s in (domain.train, domain.validation, domain.test))
    scores = {}
    for k in (10, 20):
        of_validation = knn_probabilities(train, domain.train.labels, validation, 10, (k,))[k]
        scores[k] = -np.log(of_validation[np.arange(len(of_validation)), domain.validation.labels]).mean()
    rows = selection["candidates"]
    assert [row["neighbours"] for row in rows] == [10, 20, 100, 200]
    assert [row["validation_negative_log_likelihood"] for row in rows] == [
        pytest.approx(scores[10]),
        pytest.approx(scores[20]),
        None,  # there are 30 training images
        None,
    ]
    k = min(scores, key=lambda k: scores[k])
    expected = knn_probabilities(train, domain.train.labels, test, 10, (k,))[k]
    np.testing.assert_allclose(analysis.records["confidence"], expected.max(1))
    np.testing.assert_array_equal(analysis.records["prediction"], expected.argmax(1))
    one_hot = np.eye(10)[domain.test.labels]
    np.testing.assert_allclose(analysis.records["brier_score"], np.square(expected - one_hot).sum(1))
    with pytest.raises(InputError, match=r"neighbours \[31\] all exceed the 30 training images"):
        job_of("dino-knn", neighbours=[31]).measure()


def test_episodes_are_of_the_test_split(job_of: JobOf) -> None:
    job = job_of("few-shot", seed=3)
    analysis, _ = job.measure()
    domain = job.cell.domain
    features = features_of(job.cell.load(), domain.test, 20)
    expected = prototypical_accuracies(features, domain.test.labels, 5, 1, 2, 30, seed=3)
    np.testing.assert_allclose(analysis.records["correct"].dropna(), expected)
    accuracy = analysis.numbers[0]
    assert accuracy.value == pytest.approx(expected.mean())
    assert math.isnan(accuracy.low)  # of fewer than 100 episodes


def cell_of(job: Job, preset: str, folder: Path) -> Cell:
    """A job's cell, through the disk."""
    analysis, _ = job.measure()
    spec, domain = job.cell.spec, job.cell.domain
    names = {"backbone": spec.backbone.name, "domain": domain.name, "protocol": preset, "labels": "100%"}
    said = {"objective": "unknown", "group": "different", "not_label_preserving": [], "seconds": 1.0}
    write_cell(folder, names | {"seed": spec.seed}, said | {"class_names": list(domain.class_names)}, analysis)
    cell = read_cell(folder)
    require_consistent(cell)
    return cell


def test_nearest_neighbours_are_compared_without_attribution(job_of: JobOf, tmp_path: Path) -> None:
    first, second = (cell_of(job_of("dino-knn", name), "dino-knn", tmp_path / name) for name in NETWORKS)
    differences = {difference.metric for difference in compare_cells(first, second)}
    assert {"accuracy", "mean_per_class_accuracy", "mean_confidence", "negative_log_likelihood"} < differences
    assert differences.isdisjoint({"gini", "spatial_spread", "zero_map_rate"})


def test_few_shot_is_compared_episode_by_episode(job_of: JobOf, tmp_path: Path) -> None:
    cells = [cell_of(job_of("few-shot", name), "few-shot", tmp_path / name) for name in NETWORKS]
    differences = {difference.metric: difference for difference in compare_cells(*cells)}
    assert set(differences) == {"accuracy", "mean_per_class_accuracy"}
    ours, others = (cell.records().set_index("sample_id")["correct"] for cell in cells)
    for difference in differences.values():
        assert (difference.value, difference.n) == (pytest.approx((ours - others).mean()), 30)
        assert difference.reason == "only 40 test images take part in episodes; an interval needs 100"
