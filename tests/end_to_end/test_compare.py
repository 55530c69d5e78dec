"""The practitioner's command on real images, from folder to report."""

import json

import numpy as np
import pandas as pd
import pytest

from hf_sslgen.command_line import run_command
from hf_sslgen.metrics.catalogue.rows import undefined_columns
from hf_sslgen.reporting.results_csv import RESULT_COLUMNS
from hf_sslgen.study.cells.cell_folder import read_cells


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """The shipped twins and their control on two embedded domains, both protocols, as small as it gets."""
    folder = tmp_path_factory.mktemp("compare") / "output"
    options = ["--dataset_name", "photo-patches", "digits", "--twin_set", "resnet18-tiny-imagenet-100"]
    options += ["--protocol", "linear", "finetune", "--learning_rates", "1e-3", "3e-3", "--max_steps", "3"]
    options += ["--samples_per_class", "4", "--max_eval_samples", "20", "--max_test_samples", "40"]
    options += ["--batch_size", "16", "--output_dir", str(folder)]
    run_command("hf_sslgen.commands.compare", options)
    return folder, options


def cell_rows(folder):
    """What results.csv says of single cells."""
    results = pd.read_csv(folder / "results.csv", keep_default_na=False, na_values=[""])
    return results[results["kind"] == "cell"]


def test_every_backbone_gets_every_cell(compared):
    folder, _ = compared
    cells = list(read_cells(folder / "cells"))
    assert len(cells) == 2 * 4 * 3
    assert {cell.backbone for cell in cells} == {
        "twin-resnet18-supervised",
        "twin-resnet18-simclr",
        "twin-resnet18-barlow-twins",
        "untrained:twin-resnet18-supervised",
    }
    assert not (folder / "unfinished").exists() or not list((folder / "unfinished").iterdir())


def test_results_hold_the_four_measurements_with_intervals(compared):
    folder, _ = compared
    results = cell_rows(folder)
    assert list(results.columns) == RESULT_COLUMNS
    for metric in ("accuracy", "zero_map_rate", "mean_confidence", "gini", "spatial_spread"):
        rows = results[results["metric"] == metric]
        assert len(rows) == 2 * 4 * 2
        given = rows[rows["low"].notna()]
        assert ((given["low"] <= given["value"]) & (given["value"] <= given["high"])).all()
        assert set(given["domain"]) <= {"digits"}  # six photographs are too few groups of images
        if metric in ("accuracy", "zero_map_rate"):
            assert len(given) == 4 * 2 and (given["low"] < given["high"]).all()
            of_patches = rows[rows["domain"] == "photo-patches"]
            assert set(of_patches["reason"]) == {"only 6 groups of images; an interval needs 10"}
        if metric in ("gini", "spatial_spread"):
            assert (given["n"] >= 100).all()
    cell = ["backbone", "domain", "protocol"]
    gap, accuracy = (
        results[results["metric"] == metric].set_index(cell).sort_index() for metric in ("confidence_gap", "accuracy")
    )
    num_right = (accuracy["value"] * accuracy["n"]).round()
    # Fewer right or wrong predictions give no interval that covers.
    decided = num_right.between(10, accuracy["n"] - 10) & (accuracy.index.get_level_values("domain") == "digits")
    assert decided.any()
    assert (gap["low"].notna() == decided).all()
    assert ((gap["low"] <= gap["value"]) & (gap["value"] <= gap["high"]))[decided].all()
    per_class = results[results["metric"] == "mean_per_class_accuracy"]
    assert per_class["value"].between(0, 1).all()
    assert per_class["low"].isna().any()  # six digits of a class are too few for an interval that covers
    ece = results[results["metric"] == "expected_calibration_error"]
    assert ece["low"].isna().all()
    published = results[(results["metric"] == "invariance") & (results["protocol"] == "pretrained")]
    assert set(published["stage"]) == {"pretrained"}
    assert published[published["transform"] == "mean"]["value"].between(-1, 1).all()
    assert set(results["group"]) == {"similar", "different"}
    assert set(results["objective"]) == {"supervised", "simclr", "barlow-twins", "untrained"}


def test_backbones_saw_the_same_images_and_differ_only_in_weights(compared):
    folder, _ = compared
    linear = [cell for cell in read_cells(folder / "cells") if cell.protocol == "linear" and cell.domain == "digits"]
    identities = [{k: v for k, v in cell.identity.items() if k not in ("backbone", "weights")} for cell in linear]
    assert len(identities) == 4
    assert all(identity == identities[0] for identity in identities)
    assert len({cell.identity["weights"] for cell in linear}) == 4
    shown = [cell.examples() for cell in linear]
    np.testing.assert_array_equal(shown[0]["images"], shown[1]["images"])
    assert not np.array_equal(shown[0]["maps"], shown[1]["maps"])


def test_the_learning_rate_is_selected_by_validation_likelihood(compared):
    folder, _ = compared
    for cell in read_cells(folder / "cells"):
        if cell.protocol == "finetune":
            selection = cell.provenance["selection"]
            candidates = {row["learning_rate"]: row for row in selection["candidates"]}
            assert set(candidates) == {1e-3, 3e-3}
            best = min(candidates, key=lambda rate: candidates[rate]["validation_negative_log_likelihood"])
            assert selection["chosen"]["learning_rate"] == best


def test_differences_are_between_the_cells_values(compared):
    folder, _ = compared
    results = cell_rows(folder).fillna({"transform": "", "severity": ""})
    comparisons = pd.read_csv(folder / "comparisons.csv", keep_default_na=False, na_values=[""])
    values = results.set_index(["backbone", "domain", "protocol", "metric", "transform", "severity"])["value"]
    comparisons = comparisons.fillna({"transform": "", "severity": ""})
    checked = 0
    for row in comparisons.itertuples():
        if row.metric in undefined_columns():  # compared where both maps are non-zero only
            continue
        key = [row.domain, row.protocol, row.metric, row.transform, row.severity]
        first, second = (values.loc[(name, *key)] for name in (row.first, row.second))
        if pd.notna(first) and pd.notna(second):
            assert row.value == pytest.approx(first - second, abs=1e-9)
            checked += 1
    assert checked > 100


def test_the_report_stands_alone(compared):
    folder, _ = compared
    page = (folder / "report" / "index.html").read_text(encoding="utf-8")
    assert 'src="http' not in page
    assert 'href="http' not in page
    assert "photo-patches" in page
    assert "undecided" in page.lower()


def test_a_second_call_computes_nothing_again(compared):
    folder, options = compared
    before = {path: path.stat().st_mtime_ns for path in (folder / "cells").rglob("*")}
    run_command("hf_sslgen.commands.compare", options)
    assert {path: path.stat().st_mtime_ns for path in (folder / "cells").rglob("*")} == before


def test_provenance_tells_how_it_was_made(compared):
    folder, _ = compared
    for cell in read_cells(folder / "cells"):
        stored = json.loads((cell.folder / "cell.json").read_text())["provenance"]
        assert stored["libraries"]["torch"]
        assert stored["seconds"] > 0
        assert stored["parameters"] == 1_592_336
