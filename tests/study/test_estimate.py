"""What a study will take, told from its plan and from what is finished."""

from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any

import pytest

from hf_sslgen.study.cells.store import Store
from hf_sslgen.study.config import parse_study
from hf_sslgen.study.dry_run import dry_run_text
from hf_sslgen.study.estimate import Sizes, domain_sizes, estimate_cell, image_passes
from hf_sslgen.study.finished_cells import finished_cells
from hf_sslgen.study.network_cost import NetworkCost
from hf_sslgen.study.plan import CellSpec, expand

COST = NetworkCost(seconds=1.0, flops=10.0, parameters=5, image_size=32, basis="loaded")
SIZES = Sizes(train=30, validation=20, test=50)
VARIANTS = 8
FINETUNE = {"preset": "finetune", "learning_rates": [1e-3, 1e-4], "max_steps": 5, "batch_size": 4}


@pytest.fixture
def spec_of(study_content: Callable[..., dict[str, Any]]) -> Callable[[Any], CellSpec]:
    def of(protocol: Any, **changes: Any) -> CellSpec:
        return expand(parse_study(study_content(protocols=[protocol], **changes), "study"))[-1]

    return of


@pytest.mark.parametrize(
    ("protocol", "passes"),
    [
        ("linear", 30 + 20 + 50),
        ("few-shot", 50),
        (FINETUNE, 2 * (3 * 5 * 4 + 20) + 20 + 50 + 10 * VARIANTS),
        ({**FINETUNE, "retrain_on_validation": True}, 3 * (3 * 5 * 4 + 20) + 20 + 50 + 10 * VARIANTS),
        ({"preset": "finetune", "num_train_epochs": 2, "learning_rates": [1e-3]}, 3 * 60 + 2 * 20 + 50 + 10 * 8),
    ],
)
def test_passes_by_hand(protocol: Any, passes: float, spec_of: Callable[..., CellSpec]) -> None:
    assert image_passes(spec_of(protocol), SIZES) == passes


def test_passes_of_the_pretrained_stage(study_content: Callable[..., dict[str, Any]]) -> None:
    assert image_passes(expand(parse_study(study_content(), "study"))[0], SIZES) == 10 * (1 + VARIANTS)


def test_passes_of_other_methods_and_of_the_control(study_content: Callable[..., dict[str, Any]]) -> None:
    def passes(index: int, **analysis: Any) -> float:
        content = study_content(protocols=["linear"])
        content["analysis"] = content.get("analysis", {}) | analysis
        return image_passes(expand(parse_study(content, "study"))[index], SIZES)

    assert passes(-1, reinitialised_control=True) == passes(-1) + 10
    assert passes(-1, attribution_method="integrated_gradients") == passes(-1) + 10 * 52
    assert passes(0, attribution_method="integrated_gradients") == passes(0)
    assert passes(0, attribution_method="occlusion", reinitialised_control=True) == passes(0) + 10 * (51 + 52)


def test_sizes_are_those_on_disk_or_of_the_registry(spec_of: Callable[..., CellSpec]) -> None:
    assert domain_sizes(spec_of("linear")) == Sizes(30, 20, 30)
    cifar = domain_sizes(spec_of("linear", domains=["cifar10"], label_fractions=[0.1]))
    assert cifar is not None and (cifar.train, cifar.test) == (5000, 10_000)
    assert domain_sizes(spec_of("linear", domains=["somebody/images"])) is None


def test_finished_cells_tell_more_than_counting(finished_study: Any) -> None:
    cells, _ = finished_cells(finished_study.specs, finished_study.store)
    spec = next(spec for spec in finished_study.specs if spec.protocol_name == "linear")
    estimate = estimate_cell(spec, cells, COST)
    seconds = [cell.provenance["seconds"] for cell in cells if cell.protocol == "linear"]
    assert estimate.seconds == pytest.approx(sum(seconds) / len(seconds))
    assert 1_000 < estimate.kept_bytes < 100_000
    passes = image_passes(spec, Sizes(30, 20, 30))
    assert estimate.flops == 10 * passes
    assert estimate_cell(spec, [], COST).seconds == passes


def test_a_dry_run_counts_what_is_left(finished_study: Any, tmp_path: Path) -> None:
    lines = dry_run_text(finished_study.specs, finished_study.store).splitlines()
    total = next(line for line in lines if line.startswith("all")).split()
    assert total[1:3] == ["8", "2"]
    lines = dry_run_text(finished_study.specs, Store(tmp_path / "none")).splitlines()
    assert next(line for line in lines if line.startswith("all")).split()[1:3] == ["8", "8"]
    assert not (tmp_path / "none").exists()


def test_an_unknown_size_is_a_question_mark(study_content: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    specs = expand(parse_study(study_content(domains=["somebody/images"], seeds=[0]), "study"))
    text = dry_run_text(specs, Store(tmp_path / "none"))
    assert "`?`: the size of the domain is not known until it is loaded." in text
    assert next(line for line in text.splitlines() if line.startswith("all")).split()[3] == "?"


def test_images_that_have_passed_a_frozen_trunk_are_not_counted_again(
    study_content: Callable[..., dict[str, Any]],
) -> None:
    content = study_content(protocols=["linear", {"preset": "dino-knn", "neighbours": [3]}])
    specs = [spec for spec in expand(parse_study(content, "study")) if spec.backbone.name == "resnet"]
    stored: dict[Hashable, int] = {}
    estimates = [estimate_cell(spec, [], COST, stored) for spec in specs]
    assert sum(estimate.seconds or 0 for estimate in estimates) == 30 + 20 + 30 + 10 * VARIANTS
    alone = [estimate_cell(spec, [], COST) for spec in specs]
    assert sum(estimate.seconds or 0 for estimate in alone) > 4 * (30 + 20 + 30)
