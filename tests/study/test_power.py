"""What a planned study can find: its size read from the configuration, and the text that says it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from simulated_differences import draw_domains, simulated_targets

from hf_sslgen.commands.run_power import power_text
from hf_sslgen.errors import InputError
from hf_sslgen.metrics.variance_components import Design, VarianceComponents
from hf_sslgen.reporting.power_table import power_lines, power_table
from hf_sslgen.study.config import StudyConfig, parse_study
from hf_sslgen.study.inference.design.assumed_components import IMAGENET_SIZE, SMALL
from hf_sslgen.study.plan import expand
from hf_sslgen.study.planned_design import PlannedStudy, planned_study
from hf_sslgen.study.power import power_of

SOURCE = "tiny-imagenet-100"
RUNS = [
    {"location": f"runs/{objective}-{seed}", "objective": objective, "source": SOURCE, "pretraining_seed": seed}
    for objective in ("supervised", "simclr")
    for seed in range(3)
]
DOMAINS = ["cifar10", "cifar100", "stl10", {"dataset_name": "mnist", "max_test_samples": 500}]


def planned(**content: Any) -> tuple[StudyConfig, PlannedStudy]:
    config = parse_study({"backbones": RUNS, "domains": DOMAINS, "seeds": [0, 1, 2], **content}, "study")
    study = planned_study(config, expand(config))
    assert study is not None
    return config, study


def test_the_plan_is_counted() -> None:
    config, study = planned(protocols=["linear", "few-shot"], exclude=[{"protocol": "linear", "seed": 2}])
    sizes = {setting.protocol: (setting.seeds, len(setting.domains)) for setting in study.settings}
    assert sizes == {"pretrained": (1, 4), "linear": (2, 4)}
    assert study.runs == 3
    cells = len(expand(config))
    assert cells == 4 * 7 * (1 + 2 + 3)
    design = Design(images=500, seeds=2, runs=3, domains=4)
    assert study.cells(design, design) == cells
    assert study.cells(design, Design(500, 2, 3, 8)) == 2 * cells
    assert study.cells(design, Design(500, 2, 6, 4)) == cells + 4 * 6 * 6  # one untrained network all the same
    domains = {domain.name: domain for domain in study.settings[1].domains}
    assert (domains["mnist"].images, domains["mnist"].available) == (500, 10_000)
    assert (domains["cifar10"].images, domains["cifar10"].group) == (10_000, "similar")


def test_the_plan_with_more_runs_is_the_plan_of_a_longer_file() -> None:
    config, study = planned()
    longer = [{**row, "location": f"{row['location']}+", "pretraining_seed": 3 + i % 3} for i, row in enumerate(RUNS)]
    config, again = planned(backbones=RUNS + longer)
    assert study.cells(Design(1, 3, 3, 4), Design(1, 3, 6, 4)) == len(expand(config))
    assert again.runs == 6


def test_the_fewest_runs_count_and_networks_of_one_seed_are_one_run() -> None:
    barlow = {"location": "runs/barlow", "objective": "barlow-twins", "source": SOURCE, "pretraining_seed": 0}
    assert planned(backbones=[*RUNS, barlow])[1].runs == 1
    unstated = [{key: value for key, value in row.items() if key != "pretraining_seed"} for row in RUNS]
    assert planned(backbones=unstated)[1].runs == 1


def test_a_study_without_twins_has_nothing_to_find() -> None:
    config = parse_study({"backbones": RUNS[:2], "domains": ["cifar10"]}, "study")
    assert planned_study(config, expand(config)) is None


def test_sizes_that_are_not_known_are_said_to_be_assumed() -> None:
    _, study = planned(domains=["somebody/images"])
    power = power_of(study, [], {}, IMAGENET_SIZE, max_subset=1000)
    assert power.assumed_sizes == ("somebody/images",)
    text = power_table(power, "", IMAGENET_SIZE)
    assert "Test images not counted before loading, assumed to be 1,000: somebody/images." in text


def test_images_in_groups_are_not_planned_as_independent_ones(earlier: list[Any]) -> None:
    patches = {"dataset_name": "photo-patches"}
    _, study = planned(domains=[patches], protocols=["finetune"])
    (only,) = {each.scopes[0].reason for each in power_of(study, [], {}, SMALL, max_subset=1000).differences}
    assert "groups" in only
    measured = power_of(study, earlier, {}, SMALL, max_subset=1000)
    assert not any(each.scopes[0].reason for each in measured.differences if each.metric == "headline_accuracy")
    _, with_digits = planned(domains=[patches, "digits"])
    found = power_of(with_digits, [], {}, SMALL, max_subset=1000).differences
    assert {(each.place, each.scopes[0].reason) for each in found} == {("digits", "")}


@pytest.fixture
def earlier() -> list[Any]:
    components = VarianceComponents(0.1, 0.05, 0.05, 4e-4, 4e-4, 4e-4, 9e-4)
    drawn = draw_domains(components, Design(300, 3, 3, 4), 0.0, np.random.default_rng(0))
    return [target for metric in ("accuracy", "gini") for target in simulated_targets(drawn, metric)]


def test_numbers_come_from_an_earlier_study_or_are_assumed_or_left_out(earlier: list[Any]) -> None:
    _, study = planned(protocols=["finetune"], domains=[*DOMAINS, "eurosat", "dtd", "svhn"])
    assumed = power_of(study, [], {}, SMALL, max_subset=1000)
    assert {each.metric for each in assumed.differences} == {"headline_accuracy"}
    assert "brier_score" in assumed.without_evidence
    measured = power_of(study, earlier, {}, SMALL, max_subset=1000)
    assert {each.metric for each in measured.differences} == {"headline_accuracy", "gini"}
    assert {what for each in measured.differences for what in each.evidence.assumed} == set()
    of_gini = next(each for each in measured.differences if each.metric == "gini")
    assert of_gini.design.images == 1000  # attribution is measured on a subset
    places = [(each.place, each.design.domains) for each in measured.differences if each.metric == "gini"]
    assert places[1:] == [("similar", 3), ("different", 4)]
    text = power_table(measured, "runs/earlier", SMALL)
    assert "over 4 different domains" in text and "Variances measured on up to 4 differences of runs/earlier." in text
    assert "assumed" not in text
    text = power_table(assumed, "", SMALL)
    assert "docs/results.md" in text and "No variances are known for Invariance, Confidence gap, Brier score" in text


def test_a_dry_run_says_it_in_a_few_lines(earlier: list[Any]) -> None:
    _, study = planned(protocols=["finetune"], seeds=[0])
    lines = power_lines(power_of(study, earlier, {}, SMALL, max_subset=1000), "runs/earlier", SMALL).splitlines()
    assert len(lines) == 3
    assert lines[1].startswith("  fine-tuning: Accuracy ") and "over 3 similar domains" in lines[1]
    assert "instead of 3" in lines[1] and "more cells)" in lines[1]
    _, study = planned(protocols=["finetune"], seeds=[0], backbones=[RUNS[0], RUNS[3]])
    text = power_lines(power_of(study, [], {}, SMALL, max_subset=1000), "", SMALL)
    assert "pretrained again not testable: one run; 3 are needed" in text
    assert "assumed as for small networks" in text


def test_the_folder_of_the_study_itself_is_the_earlier_one(finished_study: Any, tmp_path: Path) -> None:
    config, specs, folder = finished_study.config, finished_study.specs, finished_study.store.folder
    text = power_text(config, specs, folder, None, short=False)
    assert text == power_text(config, specs, tmp_path, str(folder), short=False)
    assert f"Variances measured on up to 1 differences of {folder}." in text
    assert "on digits, 30 images" in text
    assert f"of {folder}" not in power_text(config, specs, tmp_path / "none", None, short=False)
    with pytest.raises(InputError, match=r"power_from .* holds no finished cell; name the folder of a study"):
        power_text(config, specs, folder, str(tmp_path), short=False)
