"""A configuration becomes its cells: each combination once, less what is excluded."""

import os
import shutil
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hf_sslgen.errors import InputError
from hf_sslgen.study.config import parse_study, read_study
from hf_sslgen.study.plan import CellSpec, expand

Content = Callable[..., dict[str, Any]]


def cells(content: dict[str, Any]) -> tuple[CellSpec, ...]:
    return expand(parse_study(content, "study"))


@given(
    fractions=st.lists(st.sampled_from([0.1, 0.5, 1.0]), unique=True, max_size=3),
    shots=st.lists(st.sampled_from([1, 5]), unique=True, max_size=2),
    seeds=st.lists(st.integers(0, 9), unique=True, min_size=1, max_size=3),
    protocols=st.lists(st.sampled_from(["linear", "dino-knn", "few-shot"]), unique=True, min_size=1),
)
def test_every_combination_is_one_cell(
    study_content: Content, fractions: list[float], shots: list[int], seeds: list[int], protocols: list[str]
) -> None:
    specs = cells(study_content(label_fractions=fractions, samples_per_class=shots, seeds=seeds, protocols=protocols))
    budgets = max(1, len(fractions) + len(shots))
    per_seed = sum(1 if name == "few-shot" else budgets for name in protocols)  # episodes take no training images
    assert len(specs) == 2 * (1 + len(seeds) * per_seed)
    assert len({spec.key for spec in specs}) == len(specs)
    assert len({spec.domain.test_seed for spec in specs}) == 1  # all measure on the same images


def test_a_grid_names_its_protocols(study_content: Content) -> None:
    grid = {"standardise": [True, False], "max_iterations": [10, 20]}
    names = {spec.protocol_name for spec in cells(study_content(protocols=[{"preset": "linear", "grid": grid}]))}
    assert len(names) == 5
    assert "linear standardise=False max_iterations=20" in names


def test_exclusions_take_names_patterns_and_lists(study_content: Content) -> None:
    exclude = [{"backbone": "v*", "seed": [1, 2]}, {"protocol": "pretrained", "backbone": "resnet"}]
    found = Counter(
        (spec.backbone.name, spec.protocol_name, spec.seed) for spec in cells(study_content(exclude=exclude))
    )
    assert found == {
        ("vit", "pretrained", 0): 1,  # shared by all seeds, so no exclusion of a seed takes it
        ("resnet", "linear", 0): 1,
        ("vit", "linear", 0): 1,
        ("resnet", "linear", 1): 1,
    }


def test_a_folder_is_excluded_by_name_also_where_it_is_gone(
    study_content: Content, image_folder: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = image_folder({"train": 2, "test": 1})
    content = study_content(
        domains=["digits", str(folder)], exclude=[{"domain": folder.name, "protocol": "linear"}], seeds=[0]
    )
    before = [spec.key for spec in cells(content)]
    assert len(before) == 2 * 2 + 2
    shutil.rmtree(folder)
    assert [spec.key for spec in cells(content)] == before


def test_the_key_is_of_what_decides_numbers(study_content: Content) -> None:
    spec = cells(study_content())[-1]
    assert replace(spec, backbone=replace(spec.backbone, objective="byol", source="other")).key == spec.key
    assert replace(spec, seed=spec.seed + 1).key != spec.key
    assert replace(spec, geometry=None).key != spec.key
    assert os.path.sep not in spec.key


def test_the_pretrained_stage_is_shared_by_label_budgets(study_content: Content) -> None:
    specs = cells(study_content(samples_per_class=[1, 5]))
    pretrained = [spec for spec in specs if spec.protocol is None]
    assert [(spec.backbone.name, spec.labels) for spec in pretrained] == [("resnet", "100%"), ("vit", "100%")]
    assert {spec.labels for spec in specs if spec.protocol is not None} == {
        "1-shot, at most 30 images",
        "5-shot, at most 30 images",
    }


def test_cells_of_earlier_definitions_are_not_taken_for_finished(
    study_file: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = read_study(study_file())
    now = {spec.key for spec in expand(config)}
    assert now == {spec.key for spec in expand(config)}
    monkeypatch.setattr("hf_sslgen.study.plan.METRIC_DEFINITIONS", 1)
    assert not now & {spec.key for spec in expand(config)}


def test_a_range_of_intensities_is_part_of_a_cell(study_content: Content) -> None:
    keys = []
    for intensity_range in (None, "0,200", "dataset"):
        content = study_content()
        if intensity_range is not None:
            content["domains"][0]["intensity_range"] = intensity_range
        assert {spec.domain.intensity_range for spec in cells(content)} == {intensity_range}
        keys.append({spec.key for spec in cells(content)})
    assert len(set.union(*keys)) == sum(map(len, keys))
    content["domains"][0]["intensity_range"] = "200,0"
    with pytest.raises(InputError, match="intensity_range '200,0' must be LOW,HIGH"):
        cells(content)
