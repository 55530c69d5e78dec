"""Paired differences of real cells against the cells' own numbers and a bootstrap written here."""

import math
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from hf_sslgen.analysis.families import GEOMETRIC
from hf_sslgen.analysis.few_shot_records import few_shot_records
from hf_sslgen.analysis.numbers import Analysis
from hf_sslgen.metrics.episodes import NO_EFFECTS
from hf_sslgen.study.cells.cell_folder import Cell, read_cell, write_cell
from hf_sslgen.study.inference.contrasts import compare_all
from hf_sslgen.study.inference.differences import Difference, compare_averaged, compare_cells

CellsOf = Callable[[str], list[Cell]]
PROTOCOLS = {"pretrained": 0, "linear": 1, "finetune": 2}
ATTRIBUTION = (
    *("gini", "spatial_spread", "effective_area", "participation_ratio"),
    *("top_10_percent_mass", "area_at_80_percent_mass", "entropy"),
)
LOCALIZATION = ("lift", "mass_accuracy", "pointing_game")
COMPARED = {
    "accuracy",
    "mean_per_class_accuracy",
    "mean_confidence",
    "confidence_gap",
    "negative_log_likelihood",
    "brier_score",
    *ATTRIBUTION,
    "zero_map_rate",
    "invariance",
    "recall_at_1",
}


@pytest.fixture(params=PROTOCOLS)
def pair(request: pytest.FixtureRequest, cells_of: CellsOf) -> tuple[Cell, Cell]:
    first, second = (cells_of(name)[PROTOCOLS[request.param]] for name in ("timm_vit", "transformers_resnet"))
    return first, second


@pytest.fixture
def linear(cells_of: CellsOf) -> tuple[Cell, Cell]:
    return cells_of("timm_vit")[1], cells_of("transformers_resnet")[1]


@pytest.fixture
def pretrained(cells_of: CellsOf) -> tuple[Cell, Cell]:
    return cells_of("timm_vit")[0], cells_of("transformers_resnet")[0]


def with_records(cell: Cell, records: pd.DataFrame, folder: Path) -> Cell:
    """The cell with other records, through the disk."""
    write_cell(folder, cell.identity, cell.provenance, Analysis(cell.numbers, records))
    return read_cell(folder)


def by_name(differences: list[Difference]) -> dict[tuple[str, str, str], Difference]:
    found = {(d.metric, d.transform, d.severity): d for d in differences}
    assert len(found) == len(differences)
    return found


def clean(cell: Cell) -> pd.DataFrame:
    records = cell.records()
    return records[records["transform"] == ""].set_index("sample_id")


def moved(cell: Cell, transform: str) -> pd.DataFrame:
    records = cell.records()
    return records[records["transform"] == transform].set_index("sample_id")


def test_every_difference_is_first_minus_second(pair: tuple[Cell, Cell]) -> None:
    first, second = pair
    differences = by_name(compare_cells(first, second))
    for name, difference in differences.items():
        values = [cell.number(*name) for cell in pair]
        assert values[0] is not None and values[1] is not None
        if name[0] not in ATTRIBUTION or values[0].n_undefined == values[1].n_undefined == 0:
            assert difference.value == pytest.approx(values[0].value - values[1].value, nan_ok=True), name
            assert difference.low <= difference.value <= difference.high or difference.reason
        assert (difference.first, difference.second) == (first.backbone, second.backbone)
        assert (difference.domain, difference.group, difference.seed) == ("digits", "different", 0)
        assert (difference.protocol, difference.stage) == (first.protocol, values[0].stage)
    compared = {(n.metric, n.transform, n.severity) for n in first.numbers if n.metric in COMPARED}
    assert set(differences) == compared


def test_swapping_negates(pair: tuple[Cell, Cell]) -> None:
    ours, others = (by_name(compare_cells(*cells)) for cells in (pair, pair[::-1]))
    assert ours.keys() == others.keys()
    opposite = {"higher": "lower", "lower": "higher", "undecided": "undecided"}
    for name, difference in ours.items():
        swapped = others[name]
        expected = (-difference.value, -difference.high, -difference.low)
        assert (swapped.value, swapped.low, swapped.high) == pytest.approx(expected, abs=1e-12, nan_ok=True)
        assert swapped.verdict == opposite[difference.verdict]


def paired_bootstrap(statistic: Callable[[np.ndarray], float], num_images: int) -> tuple[float, float]:
    generator = np.random.default_rng(20)
    drawn = [statistic(generator.integers(0, num_images, num_images)) for _ in range(3000)]
    low, high = np.nanquantile(drawn, [0.025, 0.975])
    return float(low), float(high)


def assert_interval(difference: Difference, expected: tuple[float, float]) -> None:
    tolerance = 0.12 * (expected[1] - expected[0])
    assert (difference.low, difference.high) == pytest.approx(expected, abs=tolerance)


def mean_per_class(rows: pd.DataFrame, drawn: np.ndarray) -> float:
    correct, reference = rows["correct"].to_numpy()[drawn], rows["reference"].to_numpy()[drawn]
    return float(np.mean([correct[reference == label].mean() for label in np.unique(reference)]))


def test_values_and_intervals_agree_with_a_paired_bootstrap(linear: tuple[Cell, Cell]) -> None:
    differences = by_name(compare_cells(*linear))
    a, b = (clean(cell) for cell in linear)
    assert (a.index == b.index).all()
    for metric, column in {"accuracy": "correct", "brier_score": "brier_score"}.items():
        apart = (a[column].astype(float) - b[column].astype(float)).to_numpy()
        interval = paired_bootstrap(lambda drawn, apart=apart: np.nanmean(apart[drawn]), len(apart))
        assert_interval(differences[metric, "", ""], interval)


def test_means_of_fewer_than_100_images_have_no_interval(
    linear: tuple[Cell, Cell], pretrained: tuple[Cell, Cell]
) -> None:
    for differences in (by_name(compare_cells(*linear)), by_name(compare_cells(*pretrained))):
        for (metric, *_), difference in differences.items():
            if metric in (*ATTRIBUTION, "invariance") and not math.isnan(difference.value):
                assert math.isnan(difference.low)
                assert difference.verdict == "undecided"
                assert "an interval needs 100" in difference.reason
            if metric in ("accuracy", "recall_at_1", "zero_map_rate") and not math.isnan(difference.value):
                assert difference.low <= difference.value <= difference.high
                assert difference.low < difference.high


def with_outcomes(cell: Cell, correct: np.ndarray, folder: Path, num_classes: int = 2) -> Cell:
    """The cell with other outcomes of its clean images, whose references fall into `num_classes` equal classes."""
    records = cell.records()
    rows = records.index[records["transform"] == ""]
    records.loc[rows, "correct"] = correct
    records.loc[rows, "reference"] = np.arange(len(rows)) % num_classes
    return with_records(cell, records, folder)


@pytest.mark.parametrize("num_wrong", [9, 10])
def test_with_few_wrong_predictions_what_follows_from_them_has_no_interval(
    num_wrong: int, linear: tuple[Cell, Cell], tmp_path: Path
) -> None:
    outcomes = np.ones(40, dtype=bool)
    others = np.arange(40) >= num_wrong
    cells = [
        with_outcomes(c, y, tmp_path / str(i)) for i, (c, y) in enumerate(zip(linear, (outcomes, others), strict=True))
    ]
    differences = by_name(compare_cells(*cells))
    for metric in ("confidence_gap", "brier_score", "negative_log_likelihood"):
        difference = differences[metric, "", ""]
        assert not math.isnan(difference.value)
        assert math.isnan(difference.low) == math.isnan(difference.high) == (num_wrong < 10)
        assert ("only 9 images are predicted wrongly by either" in difference.reason) == (num_wrong < 10)
    for metric in ("accuracy", "mean_per_class_accuracy"):
        difference = differences[metric, "", ""]
        assert difference.value == pytest.approx(num_wrong / 40)
        assert 0.0 < difference.low < num_wrong / 40 < difference.high


@pytest.mark.parametrize(
    ("num_apart", "verdict"), [(0, "undecided"), (4, "undecided"), (5, "undecided"), (6, "higher")]
)
def test_accuracy_is_decided_where_mcnemars_exact_test_rejects(
    num_apart: int, verdict: str, linear: tuple[Cell, Cell], tmp_path: Path
) -> None:
    others = np.arange(40) >= num_apart
    cells = [
        with_outcomes(c, y, tmp_path / str(i))
        for i, (c, y) in enumerate(zip(linear, (np.ones(40, dtype=bool), others), strict=True))
    ]
    difference = by_name(compare_cells(*cells))["accuracy", "", ""]
    assert difference.verdict == verdict
    assert difference.low < difference.high


@pytest.mark.parametrize(("num_classes", "covers"), [(4, True), (5, False)])
def test_a_class_of_few_images_gives_no_interval(
    num_classes: int, covers: bool, linear: tuple[Cell, Cell], tmp_path: Path
) -> None:
    outcomes = np.arange(40) % 3 == 0
    cells = [
        with_outcomes(c, y, tmp_path / str(i), num_classes)
        for i, (c, y) in enumerate(zip(linear, (outcomes, ~outcomes), strict=True))
    ]
    difference = by_name(compare_cells(*cells))["mean_per_class_accuracy", "", ""]
    if covers:
        a, b = (clean(cell) for cell in cells)
        interval = paired_bootstrap(lambda drawn: mean_per_class(a, drawn) - mean_per_class(b, drawn), len(a))
        assert_interval(difference, interval)
    else:
        assert math.isnan(difference.low) and "only 8 images" in difference.reason


def test_maps_are_compared_where_both_have_one(linear: tuple[Cell, Cell], tmp_path: Path) -> None:
    cells = []
    for index, (cell, zero) in enumerate(zip(linear, ([2, 5, 11], [5, 7]), strict=True)):
        records = cell.records()
        rows = records.index[records["zero_map"].notna()]
        for metric in (*ATTRIBUTION, *LOCALIZATION):
            records.loc[rows, metric] = np.linspace(0.1, 0.7, len(rows)) ** (index + 1)
            records.loc[rows[zero], metric] = np.nan
        records.loc[rows, "zero_map"] = records.loc[rows, "gini"].isna().astype(float)
        cells.append(with_records(cell, records, tmp_path / str(index)))
    a, b = (clean(cell) for cell in cells)
    both = a["gini"].notna() & b["gini"].notna()
    assert both.sum() == 26
    differences = by_name(compare_cells(*cells))
    for metric in (*ATTRIBUTION, *LOCALIZATION):
        difference = differences[metric, "", ""]
        assert difference.value == pytest.approx((a[metric] - b[metric])[both].mean())
        assert difference.value != pytest.approx(a[metric].mean() - b[metric].mean(), abs=1e-3)
        assert difference.n == 26
    rate = differences["zero_map_rate", "", ""]
    assert (rate.value, rate.n) == (pytest.approx((3 - 2) / 30), 30)
    assert differences["accuracy", "", ""].n == 40


@pytest.mark.parametrize(("num_apart", "verdict"), [(5, "undecided"), (6, "higher")])
def test_hits_of_one_backbone_alone_are_decided_as_outcomes_are(
    num_apart: int, verdict: str, linear: tuple[Cell, Cell], tmp_path: Path
) -> None:
    cells = []
    for index, (cell, hits) in enumerate(zip(linear, (15 + num_apart, 15), strict=True)):
        records = cell.records()
        rows = records.index[records["zero_map"].notna()]
        records.loc[rows, "pointing_game"] = (np.arange(len(rows)) < hits).astype(float)
        cells.append(with_records(cell, records, tmp_path / str(index)))
    difference = by_name(compare_cells(*cells))["pointing_game", "", ""]
    assert difference.value == pytest.approx(num_apart / 30)
    assert difference.verdict == verdict


def test_images_are_matched_by_their_ids(linear: tuple[Cell, Cell], tmp_path: Path) -> None:
    first, second = linear
    shuffled = with_records(second, second.records().sample(frac=1, random_state=0), tmp_path / "shuffled")
    assert compare_cells(first, shuffled) == compare_cells(first, second)
    fewer = with_records(second, second.records().iloc[::2], tmp_path / "fewer")
    difference = by_name(compare_cells(first, fewer))["negative_log_likelihood", "", ""]
    a, b = (clean(cell)["negative_log_likelihood"] for cell in (first, fewer))
    assert (difference.value, difference.n) == (pytest.approx((a - b).dropna().mean()), 20)


@pytest.mark.parametrize("num_kept", [0, 1, 2])
def test_family_means_leave_out_variants_that_change_too_few_images(
    num_kept: int, pretrained: tuple[Cell, Cell], tmp_path: Path
) -> None:
    first, second = pretrained
    records = second.records()
    rows = records.index[records["transform"] == "rotation"][num_kept:]
    records.loc[rows, ["cosine", "chance_cosine", "candidate_chance_cosine", "recall_at_1"]] = np.nan
    differences = by_name(compare_cells(first, with_records(second, records, tmp_path / "cell")))
    alone = differences["invariance", "rotation", "+20"]
    assert alone.n == num_kept
    assert math.isnan(alone.value) == (num_kept == 0)
    if num_kept == 0:
        assert (alone.verdict, alone.reason) == ("undecided", "the number is undefined on all images of a pair")
    for metric in ("invariance", "recall_at_1"):
        geometric = [
            difference.value
            for name, difference in differences.items()
            if name[0] == metric and name[1] in GEOMETRIC and (name[1] != "rotation" or num_kept == 2)
        ]
        assert len(geometric) == (3 if num_kept == 2 else 2)
        assert differences[metric, "mean_geometric", ""].value == pytest.approx(np.mean(geometric))


def test_family_means_leave_out_what_may_change_labels(pretrained: tuple[Cell, Cell]) -> None:
    first, second = pretrained
    strict = replace(first, provenance={**first.provenance, "not_label_preserving": ["rotation", "translation"]})
    differences = by_name(compare_cells(strict, second))
    of_crops = differences["invariance", "resized_crop", "0.5"].value
    assert differences["invariance", "mean_geometric", ""].value == pytest.approx(of_crops)
    assert ("invariance", "rotation", "+20") in differences


def test_a_variant_only_one_has_is_not_compared(pretrained: tuple[Cell, Cell], tmp_path: Path) -> None:
    first, second = pretrained
    records = second.records()
    without = with_records(second, records[records["transform"] != "jpeg"], tmp_path / "cell")
    names = {name for _, name, _ in by_name(compare_cells(first, without))}
    assert "jpeg" not in names
    assert "rotation" in names


def test_ssl_meets_supervised_and_both_meet_the_untrained(pretrained: tuple[Cell, Cell]) -> None:
    first, second = pretrained

    def playing(cell: Cell, name: str, objective: str, **changes: object) -> Cell:
        identity = {**cell.identity, "backbone": name, **changes}
        return replace(cell, identity=identity, provenance={**cell.provenance, "objective": objective})

    cells = [
        playing(first, "simclr", "simclr"),
        playing(second, "dino", "dino"),
        playing(second, "supervised", "supervised"),
        playing(first, "control", "untrained"),
        playing(first, "mystery", "unknown"),
        playing(second, "other seed", "supervised", seed=1),
        playing(second, "other protocol", "supervised", protocol="linear"),
        playing(second, "other domain", "supervised", domain="photo-patches"),
    ]
    pairs = {(difference.first, difference.second) for difference in compare_all(cells)}
    assert pairs == {
        ("simclr", "supervised"),
        ("dino", "supervised"),
        ("simclr", "control"),
        ("dino", "control"),
        ("supervised", "control"),
    }


def test_comparing_stored_cells_needs_no_torch() -> None:
    modules = "hf_sslgen.study.inference.contrasts, hf_sslgen.reporting.terminal_tables"
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def with_role(cell: Cell, name: str, objective: str, identity: dict | None = None, **provenance: object) -> Cell:
    identity = {**cell.identity, "backbone": name, **(identity or {})}
    return replace(cell, identity=identity, provenance={**cell.provenance, "objective": objective, **provenance})


def pairs_of(cells: list[Cell], pairs: list[tuple[str, str]] | None = None) -> set[tuple[str, str]]:
    return {(difference.first, difference.second) for difference in compare_all(cells, pairs)}


def test_twins_share_source_and_pretraining_seed_where_both_state_them(pretrained: tuple[Cell, Cell]) -> None:
    first, second = pretrained
    cells = [
        with_role(first, "ssl-a0", "simclr", source="a", pretraining_seed=0),
        with_role(first, "ssl-b", "simclr", source="b"),
        with_role(first, "ssl-silent", "simclr", pretraining_seed=None),
        with_role(second, "sup-a0", "supervised", source="a", pretraining_seed=0),
        with_role(second, "sup-a1", "supervised", source="a", pretraining_seed=1),
        with_role(second, "sup-b", "supervised", source="b"),
        with_role(second, "control", "untrained"),
    ]
    found = {pair for pair in pairs_of(cells) if "control" not in pair}
    assert found == {
        ("ssl-a0", "sup-a0"),
        ("ssl-b", "sup-b"),
        ("ssl-silent", "sup-a0"),
        ("ssl-silent", "sup-a1"),
        ("ssl-silent", "sup-b"),
    }
    assert {first for first, second in pairs_of(cells) if second == "control"} == {
        cell.backbone for cell in cells if cell.backbone != "control"
    }


def test_stated_pairs_replace_the_rule(pretrained: tuple[Cell, Cell]) -> None:
    first, second = pretrained
    cells = [
        with_role(first, "mine", "unknown"),
        with_role(first, "other", "simclr"),
        with_role(second, "sup", "supervised", source="elsewhere"),
        with_role(second, "control", "untrained"),
    ]
    assert pairs_of(cells, [("mine", "sup")]) == {("mine", "sup"), ("mine", "control"), ("sup", "control")}


def test_label_budgets_are_not_mixed(linear: tuple[Cell, Cell]) -> None:
    first, second = linear
    few = {"labels": "10%"}
    cells = [
        with_role(first, "ssl", "simclr"),
        with_role(first, "ssl", "simclr", few),
        with_role(second, "sup", "supervised", few),
    ]
    assert cells[0].labels == "3-shot"  # as the domain of these tests is given
    assert {difference.labels for difference in compare_all(cells)} == {"10%"}


def test_episodes_are_compared_over_images_and_draws(linear: tuple[Cell, Cell], tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    accuracies = generator.normal([[0.7], [0.6]], 0.05, (2, 80))
    effects = generator.normal(0, 0.5, (2, 300))
    cells = [
        with_records(cell, few_shot_records(accuracies[index], np.arange(300), effects[index]), tmp_path / str(index))
        for index, cell in enumerate(linear)
    ]
    accuracy, _ = compare_cells(*cells)
    draws, images = accuracies[0] - accuracies[1], effects[0] - effects[1]
    variance = draws.var(ddof=1) / 80 + np.square(images).sum() / 300**2
    assert (accuracy.n, accuracy.unit) == (80, "episodes") and accuracy.value == pytest.approx(draws.mean())
    assert accuracy.high - accuracy.value == pytest.approx(1.967 * np.sqrt(variance), rel=0.003)
    assert accuracy.low == pytest.approx(2 * accuracy.value - accuracy.high)
    # Pretrained again, the images that all draws share stay in the variance.
    averaged, _ = compare_averaged([[(cells[0], cells[1])], [(cells[0], cells[0])]])
    error = (averaged.high - averaged.low) / 2 / 1.96
    assert averaged.variances.pretraining.row == pytest.approx(error**2, rel=1e-4)


def test_a_protocol_without_predictions_is_compared_in_what_it_has(linear: tuple[Cell, Cell], tmp_path: Path) -> None:
    episodes = []
    for index, cell in enumerate(linear):
        records = pd.DataFrame(
            {"sample_id": range(50), "stage": "pretrained", "transform": "", "severity": ""}
        ).assign(correct=np.linspace(0.2, 0.8, 50) + 0.1 * index)
        episodes.append(with_records(cell, records, tmp_path / str(index)))
    differences = compare_cells(*episodes)
    assert [difference.metric for difference in differences] == ["accuracy", "mean_per_class_accuracy"]
    for difference in differences:
        assert (difference.n, difference.unit) == (50, "episodes")
        assert difference.value == pytest.approx(-0.1)
        assert math.isnan(difference.low) and difference.reason == NO_EFFECTS  # as in cells of earlier versions
