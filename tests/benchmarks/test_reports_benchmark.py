"""The benchmark of reports: the cells that it draws, its limits, and a run from end to end."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import reports
from measured.report_study import CELLS_OF_DOMAIN, planned_cells, write_cells
from reports import Report

from hf_sslgen.study.cells.cell_folder import stored_folders
from hf_sslgen.study.finished_cells import readable_cells

ROOT = Path(__file__).parents[2]


def test_its_cells_are_whole(tmp_path: Path) -> None:
    cells = planned_cells(CELLS_OF_DOMAIN + 1)
    assert len(set(cells)) == len(cells) and {cell.domain for cell in cells[:-1]} == {0} and cells[-1].domain == 1
    kinds = {(cell.protocol, cell.labels): cell for cell in cells}
    write_cells(tmp_path, list(kinds.values()), 120)
    found, damaged = readable_cells(stored_folders(tmp_path / "cells"))
    assert damaged == [] and {(cell.protocol, cell.labels) for cell in found} == kinds.keys()


@pytest.mark.parametrize("change", [{"seconds": 61.0}, {"memory": 2001.0}, {"page": 5.1}, {"loading": 2.1}])
def test_bars(change: dict[str, float], capsys: pytest.CaptureFixture[str]) -> None:
    kept = Report(ROOT.name, 1000, True, 59.0, 90.0, 1999.0, 4.9, 1.9)
    missed = replace(kept, **change)
    assert reports.keeps_bars([kept, replace(missed, code="earlier")]) and not reports.keeps_bars([kept, missed])
    reports._print([kept], {"quick": False, "images": 2000, "cores": 2})
    said = capsys.readouterr().out
    assert f"| {ROOT.name} | 1,000 | first | 59 | 90 | 1999 | 4.9 | 1.9 |" in said and said.rstrip().endswith("kept.")


@pytest.mark.slow
def test_it_runs_from_end_to_end(tmp_path: Path) -> None:
    command = [sys.executable, ROOT / "benchmarks" / "reports.py", "--quick", "--json", tmp_path / "found.json"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    finished = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=500, check=True)
    found = json.loads((tmp_path / "found.json").read_text())["reports"]
    assert [(each["cells"], each["is_first"]) for each in found] == [(19, True), (20, False), (39, True), (40, False)]
    assert all(each["cpu_seconds"] > 0 and each["memory"] > 50 and each["page"] > 0.1 for each in found)
    assert "| after one more cell |" in finished.stdout
