"""The CSV files hold every number of a study at full precision."""

from pathlib import Path

import pandas as pd

from hf_sslgen.reporting.results_csv import (
    COMPARISON_COLUMNS,
    GROUP_COLUMNS,
    RESULT_COLUMNS,
    comparisons_frame,
    groups_frame,
    results_frame,
    write_csv_files,
)
from hf_sslgen.study.inference.study_results import infer


def read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, keep_default_na=False, na_values=[""])


def test_files_are_written_whole_and_keep_full_precision(large_results, tmp_path: Path) -> None:
    write_csv_files(large_results, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "backbones.csv",
        "cautions.csv",
        "comparisons.csv",
        "groups.csv",
        "ranking.csv",
        "results.csv",
    ]
    results = read(tmp_path / "results.csv")
    assert list(results.columns) == RESULT_COLUMNS
    counts = results["kind"].value_counts().to_dict()
    assert counts == {
        "cell": sum(len(cell.numbers) for cell in large_results.cells),
        "difference": len(large_results.differences),
        "target": len(large_results.targets),
        "group": len(large_results.groups),
        "interaction": len(large_results.interactions),
    }
    cell = next(c for c in large_results.cells if c.labels == "10%" and c.pretraining_seed == 1)
    keys = {"kind": "cell", "backbone": cell.backbone, "domain": cell.domain, "labels": "10%", "metric": "accuracy"}
    row = results[(results[list(keys)] == pd.Series(keys)).all(axis=1)]
    stored = cell.number("accuracy")
    assert (row.value.item(), row.low.item(), row.high.item()) == (stored.value, stored.low, stored.high)
    assert (row.pretraining_seed.item(), row.seed.item(), row.source.item()) == (1, 0, "tiny-imagenet")
    assert results[results.metric == "expected_calibration_error"].low.isna().all()


def test_comparisons_and_groups_are_parts_of_the_results(large_results, tmp_path: Path) -> None:
    write_csv_files(large_results, tmp_path)
    results = read(tmp_path / "results.csv")
    for name, kinds, columns in (
        ("comparisons.csv", ("difference", "target"), COMPARISON_COLUMNS),
        ("groups.csv", ("group", "interaction"), GROUP_COLUMNS),
    ):
        part = read(tmp_path / name)
        assert list(part.columns) == columns
        shared = [column for column in columns if column in RESULT_COLUMNS]
        whole = results[results["kind"].isin(kinds)][shared].reset_index(drop=True)
        pd.testing.assert_frame_equal(part[shared], whole, check_dtype=False)
    assert list(read(tmp_path / "comparisons.csv")["verdict"]) == [
        d.verdict for d in (*large_results.differences, *large_results.targets)
    ]


def test_whole_numbers_stay_whole(large_results, tmp_path: Path) -> None:
    write_csv_files(large_results, tmp_path)
    text = pd.read_csv(tmp_path / "results.csv", dtype=str, keep_default_na=False)
    assert set(text["seed"]) == {"", "0", "1"} and set(text["pretraining_seed"]) == {"", "0", "1"}
    assert not text["n"].str.contains(".", regex=False).any()


def test_no_comparison_gives_the_columns_and_no_rows(study) -> None:
    alone = infer(study.cells[:1])
    assert comparisons_frame(alone).empty and list(comparisons_frame(alone).columns) == COMPARISON_COLUMNS
    assert groups_frame(alone).empty and list(groups_frame(alone).columns) == GROUP_COLUMNS
    assert list(results_frame(alone).columns) == RESULT_COLUMNS and len(results_frame(alone))
