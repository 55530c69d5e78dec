"""Tables hold every stored number, and a terminal shows them within its width."""

from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from hf_sslgen.analysis.numbers import Number
from hf_sslgen.reporting.tables import (
    COMPARISON_COLUMNS,
    differences_frame,
    results_frame,
    terminal_table,
    write_comparisons_csv,
    write_results_csv,
)


def test_results_csv_has_a_row_per_number_and_keeps_full_precision(study, tmp_path: Path) -> None:
    path = tmp_path / "results.csv"
    write_results_csv(study.cells, path)
    frame = pd.read_csv(path, keep_default_na=False, na_values={"value": [""], "low": [""], "high": [""]})
    named = "backbone objective domain group protocol stage seed transform severity metric value low high n"
    assert " ".join(frame.columns) == named
    assert len(frame) == sum(len(cell.numbers) for cell in study.cells)
    cell = next(c for c in study.cells if c.protocol == "linear" and c.domain == "photo-patches")
    row = frame[
        (frame.backbone == cell.backbone)
        & (frame.domain == cell.domain)
        & (frame.protocol == "linear")
        & (frame.metric == "accuracy")
    ]
    stored = cell.number("accuracy")
    assert (row.value.item(), row.low.item(), row.high.item()) == (stored.value, stored.low, stored.high)
    assert frame[frame.metric == "expected_calibration_error"].low.isna().all()
    assert not list(tmp_path.glob("*.unfinished"))


def test_comparisons_csv_has_a_row_per_difference(study, tmp_path: Path) -> None:
    path = tmp_path / "comparisons.csv"
    write_comparisons_csv(study.differences, path)
    frame = pd.read_csv(path)
    assert list(frame.columns) == COMPARISON_COLUMNS
    assert len(frame) == len(study.differences)
    assert list(frame.verdict) == [difference.verdict for difference in study.differences]


def test_empty_input_gives_the_columns_and_no_rows() -> None:
    assert results_frame([]).empty and len(results_frame([]).columns) == 14
    assert list(differences_frame([]).columns) == COMPARISON_COLUMNS
    assert terminal_table([], []) == "no cells"


def test_terminal_table_shows_every_backbone_and_verdict(study) -> None:
    text = terminal_table(study.cells, study.differences)
    lines = text.splitlines()
    assert max(len(line) for line in lines) <= 160
    for domain in ("photo-patches", "specimen-patches"):
        assert any(line.startswith(domain) and "linear probe" in line for line in lines)
    supervised = next(line for line in lines if line.startswith("resnet50-supervised"))
    cell = next(c for c in study.cells if c.protocol == "linear" and c.backbone == "resnet50-supervised")
    assert f"{100 * cell.number('accuracy').value:.1f} [" in supervised and "23.5M" in supervised
    accuracy = next(d for d in study.differences if d.metric == "accuracy" and d.first == "resnet50-simclr")
    line = next(line for line in lines if "resnet50-simclr - resnet50-supervised" in line and " Accuracy " in line)
    assert line.endswith(accuracy.verdict)


def test_terminal_table_writes_a_dash_for_nan_and_no_control_characters(study) -> None:
    cell = next(c for c in study.cells if c.protocol == "linear")
    bare = replace(
        cell,
        identity={**cell.identity, "backbone": "evil\x1b[31m\nname"},
        numbers=tuple(replace(n, value=float("nan"), low=float("nan"), high=float("nan")) for n in cell.numbers),
        provenance={**cell.provenance, "licence": None, "parameters": None, "seconds": None},
    )
    text = terminal_table([bare], [])
    assert "–" in text and "nan" not in text.lower().replace("name", "") and "\x1b" not in text


@pytest.mark.parametrize("name", ["x" * 80, "timm/a_very_long_name_of_a_backbone.with_a_tag_in1k"])
def test_long_names_do_not_widen_the_terminal_table(study, name: str) -> None:
    cells = [replace(c, identity={**c.identity, "backbone": name}) for c in study.cells if c.protocol == "linear"][:1]
    assert max(map(len, terminal_table(cells, []).splitlines())) <= 160


def test_headline_follows_the_domain(study) -> None:
    cell = next(c for c in study.cells if c.protocol == "linear")
    per_class = Number("mean_per_class_accuracy", 0.1234, 0.1, 0.15, 240)
    changed = replace(
        cell,
        numbers=(*cell.numbers, per_class),
        provenance={**cell.provenance, "domain_metric": "mean_per_class_accuracy"},
    )
    assert "12.3 [10.0, 15.0]" in terminal_table([changed], [])
