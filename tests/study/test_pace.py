"""How fast a study advances, from its folder alone, and what a comparison's folder says was asked for."""

import io
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest
from fake_study import BACKBONES, DOMAINS, build_study

from hf_sslgen.study.cells.store import Store
from hf_sslgen.study.comparison_file import PlannedCell, not_asked_for, read_comparison, write_comparison
from hf_sslgen.study.config import parse_study
from hf_sslgen.study.finished_cells import read_study_results
from hf_sslgen.study.pace import Pace, pace_of
from hf_sslgen.study.pace_line import show_pace
from hf_sslgen.study.plan import CellSpec, expand

SET = {"twin_set": "resnet18-tiny-imagenet-100"}


def specs_on(domain: str, **settings: object) -> tuple[CellSpec, ...]:
    content = {"backbones": [SET], "domains": [domain], "protocols": ["linear"], **settings}
    return expand(parse_study(content, "study"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the cells on digits, three are finished, a quarter of an hour apart, and one has failed."""
    folder = tmp_path_factory.mktemp("study")
    cells = build_study(folder / "cells", BACKBONES[:2], domains=DOMAINS[:1]).cells
    store, specs = Store(folder), specs_on("digits")
    for index, (spec, cell) in enumerate(zip(specs, cells[:3], strict=False)):
        store.index(spec, cell.folder.name)
        ended = time.time() - 900 * (3 - index)
        os.utime(cell.folder, (ended, ended))
    store.record_failure(specs[3], ValueError("the reason"))
    return folder


def test_the_pace_is_that_of_the_latest_cells(folder: Path) -> None:
    found = pace_of(specs_on("digits"), folder)
    assert (found.total, found.finished, found.failed, found.left) == (8, 3, 1, 4)
    assert found.per_hour == pytest.approx(4, rel=0.01) and found.seconds_left == pytest.approx(3600, rel=0.01)
    assert found.line() == "3 of 8 cells, 1 failed, 4 an hour, about 60 min left, nothing is running"
    assert pace_of(specs_on("photo-patches"), folder).line() == "0 of 8 cells, nothing is running"
    assert Pace(8, 8, 0, (), 4.0).line() == "8 of 8 cells"
    assert Pace(9, 2, 0, ("a", "b"), 0.0).line() == "2 of 9 cells, now a and 1 more"


def test_watching_ends_with_the_last_state_and_repeats_nothing(folder: Path) -> None:
    looks, shown = [], io.StringIO()

    def has_ended(pace: Pace) -> bool:
        looks.append(pace)
        return len(looks) == 3

    show_pace(specs_on("digits"), folder, has_ended, shown, pause=lambda _: None)
    assert len(shown.getvalue().splitlines()) == 1 and shown.getvalue().startswith("3 of 8 cells")


def test_a_comparison_is_recorded_and_reported_without_the_cells_of_others(folder: Path) -> None:
    store, specs = Store(folder), specs_on("digits")
    assert read_comparison(folder) is None
    grouped = [replace(spec, domain=replace(spec.domain, group="similar")) for spec in specs[:2]]
    write_comparison(store, "my title", grouped)
    comparison = read_comparison(folder)
    assert comparison is not None and comparison.title == "my title"
    backbone = specs[0].backbone
    assert comparison.cells[0] == PlannedCell(
        specs[0].key, specs[0].title, "digits", "similar", backbone.objective, backbone.source or ""
    )
    assert not_asked_for(folder, specs) == 0 and not_asked_for(folder, specs[1:]) == 1
    read = read_study_results(store)
    assert (read.title, read.config, len(read.cells)) == ("my title", None, 2)
    assert {cell.group for cell in read.cells} == {"similar"}
    assert read.missing == ["2 cells in the folder are not part of its last comparison and are not shown."]
    (folder / "comparison.json").write_text('{"title": 3, "cells": 4}')
    assert read_comparison(folder) is None
