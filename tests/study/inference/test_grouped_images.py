"""Differences on images that come in groups: their intervals, degrees of freedom and variances are those of groups."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from fake_study import SELF_SUPERVISED, SUPERVISED, UNTRAINED, Setting, write_study
from numpy.typing import NDArray
from scipy import stats

from hf_sslgen.study.cells.cell_folder import Cell, read_cells
from hf_sslgen.study.cells.held_records import RecordsInMemory
from hf_sslgen.study.inference.contrasts import compare_all
from hf_sslgen.study.inference.differences import Difference, compare_averaged, compare_cells
from hf_sslgen.study.inference.seed_averages import target_differences

GROUPS = 24
"""Of ten images each."""


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> list[Cell]:
    store = tmp_path_factory.mktemp("cells")
    settings = (Setting("finetune", seeds=(0, 1, 2)), Setting("pretrained"))
    write_study(store, (SELF_SUPERVISED, SUPERVISED, UNTRAINED), (("here", "similar"),), settings=settings)
    return list(read_cells(store))


def grouped(cells: list[Cell], group_of: Callable[[NDArray[np.int64]], NDArray[np.int64]]) -> list[Cell]:
    """The cells with a group for every image."""

    def with_groups(cell: Cell) -> Cell:
        records = cell.records()
        groups = group_of(records["sample_id"].str[-4:].astype(int).to_numpy())
        return replace(cell, reader=RecordsInMemory(records.assign(group_id=groups)))

    return [with_groups(cell) for cell in cells]


def of_ten(cells: list[Cell]) -> list[Cell]:
    return grouped(cells, lambda ids: ids % GROUPS)


def pairs(cells: list[Cell]) -> list[tuple[Cell, Cell]]:
    """The self-supervised and the supervised backbone, fine-tuned, by seed."""
    tuned = [cell for cell in cells if cell.protocol == "finetune"]
    first, second = (
        sorted((cell for cell in tuned if cell.backbone == each.name), key=lambda cell: cell.seed)
        for each in (SELF_SUPERVISED, SUPERVISED)
    )
    return list(zip(first, second, strict=True))


def numbers(differences: list[Difference]) -> dict[tuple[str, str], Difference]:
    return {(each.metric, each.transform): each for each in differences}


def group_means(first: Cell, second: Cell, column: str) -> NDArray[np.float64]:
    """(24,), the mean difference of each group's images."""
    a, b = (cell.records().query("transform == ''").set_index("sample_id") for cell in (first, second))
    difference = (a[column].astype(float) - b[column].astype(float)).groupby(a["group_id"])
    return difference.mean().to_numpy()


def test_the_interval_is_over_groups(stored: list[Cell]) -> None:
    first, second = pairs(of_ten(stored))[0]
    found, over_images = numbers(compare_cells(first, second)), numbers(compare_cells(*pairs(stored)[0]))
    accuracy = found["accuracy", ""]
    expected = stats.ttest_1samp(group_means(first, second, "correct"), 0.0).confidence_interval()
    assert (accuracy.low, accuracy.high) == pytest.approx(tuple(expected))
    assert accuracy.value == over_images["accuracy", ""].value and accuracy.n == 240
    assert accuracy.row_degrees_of_freedom == GROUPS - 1
    assert over_images["accuracy", ""].row_degrees_of_freedom == math.inf
    for key, each in over_images.items():
        assert found[key].value == each.value or math.isnan(each.value)
        assert (found[key].low, found[key].high) != (each.low, each.high) or math.isnan(each.low)


def test_groups_of_one_image_change_no_interval_of_a_mean(stored: list[Cell]) -> None:
    alone = numbers(compare_cells(*pairs(grouped(stored, lambda ids: ids))[0]))
    over_images = numbers(compare_cells(*pairs(stored)[0]))
    for metric in ("gini", "negative_log_likelihood"):
        one, other = alone[metric, ""], over_images[metric, ""]
        assert (one.low, one.high) == pytest.approx((other.low, other.high))


def test_invariance_is_compared_over_groups(stored: list[Cell]) -> None:
    published = [cell for cell in of_ten(stored) if cell.protocol == "pretrained"]
    differences = numbers(compare_all(published))
    for transform in ("rotation", "mean", "mean_geometric"):
        each = differences["invariance", transform]
        assert each.row_degrees_of_freedom == GROUPS - 1 and each.low < each.value < each.high
    few = numbers(compare_all(grouped(published, lambda ids: ids % 6)))
    assert few["invariance", "mean"].reason == "only 6 groups of images; an interval needs 10"


def test_runs_are_crossed_with_groups(stored: list[Cell]) -> None:
    runs = pairs(of_ten(stored))
    variance = numbers(compare_averaged([runs]))["accuracy", ""].variances.training
    means = np.stack([group_means(*pair, "correct") for pair in runs], axis=1)
    assert variance.row == pytest.approx(means.mean(axis=1).var(ddof=1) / GROUPS)
    residual = means - means.mean(axis=0) - means.mean(axis=1, keepdims=True) + means.mean()
    assert variance.interaction == pytest.approx((residual**2).sum() / (2 * (GROUPS - 1)) / (3 * GROUPS))
    assert variance.column == pytest.approx(means.mean(axis=0).var(ddof=1) / 3)


def test_runs_of_a_family_of_transforms_are_crossed_with_groups(stored: list[Cell]) -> None:
    published = {cell.backbone: cell for cell in of_ten(stored) if cell.protocol == "pretrained"}
    first, second, control = (published[each.name] for each in (SELF_SUPERVISED, SUPERVISED, UNTRAINED))
    found = numbers(compare_averaged([[(first, second)], [(control, second)]]))
    one, other = numbers(compare_cells(first, second)), numbers(compare_cells(control, second))
    key = ("recall_at_1", "mean_geometric")
    assert found[key].value == pytest.approx((one[key].value + other[key].value) / 2)
    moved = [cell.records().query("transform in ('rotation', 'resized_crop')") for cell in (first, second, control)]
    means = [rows.groupby("group_id")["recall_at_1"].mean().to_numpy() for rows in moved]
    over_runs = (means[0] + means[2]) / 2 - means[1]
    assert found[key].variances.pretraining.row == pytest.approx(over_runs.var(ddof=1) / GROUPS)


def test_the_p_value_is_that_of_groups(stored: list[Cell]) -> None:
    first, second = pairs(of_ten(stored))[0]
    (target,) = (
        each for each in target_differences([first, second], compare_all([first, second])) if each.metric == "accuracy"
    )
    expected = stats.ttest_1samp(group_means(first, second, "correct"), 0.0).pvalue
    assert target.judgement.scopes[0].p_value == pytest.approx(expected)


def test_six_groups_decide_nothing(stored: list[Cell]) -> None:
    few = compare_cells(*pairs(grouped(stored, lambda ids: ids % 6))[0])
    assert few and all(math.isnan(each.low) and each.verdict == "undecided" for each in few)
    assert {each.reason for each in few if each.metric in ("accuracy", "gini")} == {
        "only 6 groups of images; an interval needs 10"
    }
