"""Figures drawn before are used again if, and only if, they would look the same."""

import json
import pickle
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from hf_sslgen.reporting.figures import figure_drawer, figure_store
from hf_sslgen.reporting.figures.charts import accuracy_bars
from hf_sslgen.reporting.figures.drawing import Drawing, DrawnFigure
from hf_sslgen.reporting.figures.figure_drawer import FigureDrawer
from hf_sslgen.reporting.figures.figure_style import BackboneStyle
from hf_sslgen.reporting.figures.reliability_diagrams import reliability_of_cells
from hf_sslgen.reporting.page.page_figures import only_numbers, with_predictions
from hf_sslgen.study.cells.cell_folder import Cell
from hf_sslgen.study.cells.held_records import RecordsInMemory

DRAWN: list[int] = []


def a_figure(length: int, *_: object) -> Figure:
    DRAWN.append(length)
    figure = Figure(figsize=(2, 1))
    figure.subplots().plot(range(length))
    return figure


def drawn_figures(drawings: list[Drawing], folder: Path | None, processes: int = 1) -> list[DrawnFigure]:
    with FigureDrawer(folder, processes) as drawer:
        drawer.begin(drawings)
        return [drawer.drawn(each) for each in drawings]


@pytest.fixture(autouse=True)
def forget() -> None:
    DRAWN.clear()
    figure_store.drawing_version.cache_clear()


@pytest.fixture
def linear(study) -> Cell:
    return next(cell for cell in study.cells if cell.protocol == "linear")


def test_only_what_has_changed_is_drawn_again(tmp_path: Path) -> None:
    folder = tmp_path / "figures"
    first = drawn_figures([Drawing(a_figure, (2,)), Drawing(a_figure, (3,))], folder)
    assert DRAWN == [2, 3] and len(list(folder.iterdir())) == 2
    again = drawn_figures([Drawing(a_figure, (4,)), Drawing(a_figure, (3,))], folder)
    assert DRAWN == [2, 3, 4] and again[1] == first[1] != again[0]
    assert len(list(folder.iterdir())) == 2  # what the last report shows
    assert drawn_figures([Drawing(a_figure, (3,))], None) == [first[1]] and DRAWN == [2, 3, 4, 3]


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_text(path.read_text()[:-20]),
        lambda path: path.write_text(path.read_text().replace("<path", "<mask", 1)),
        lambda path: path.write_text(json.dumps({"width": 1, "content": "<script>", "checksum": ""})),
        lambda path: path.write_bytes(b"\xff\x00"),
        lambda path: path.unlink(),
    ],
)
def test_a_damaged_figure_is_drawn_again(damage: Callable[[Path], object], tmp_path: Path) -> None:
    first = drawn_figures([Drawing(a_figure, (2,))], tmp_path)
    damage(next(tmp_path.iterdir()))
    assert drawn_figures([Drawing(a_figure, (2,))], tmp_path) == first and DRAWN == [2, 2]
    assert drawn_figures([Drawing(a_figure, (2,))], tmp_path) == first and DRAWN == [2, 2]


def test_a_figure_of_other_code_libraries_or_settings_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawing = Drawing(a_figure, (2,))
    keys = [drawing.key(figure_store.drawing_version())]
    sources = figure_store._sources
    changes: list[Callable[[], object]] = [
        lambda: monkeypatch.setattr(figure_store, "_sources", lambda folder: [*sources(folder), b"x = 1"]),
        lambda: monkeypatch.setattr(figure_store, "version", lambda name: f"{name} 99"),
        lambda: monkeypatch.setitem(matplotlib.rcParams, "font.size", 17.0),
    ]
    for change in changes:
        change()
        figure_store.drawing_version.cache_clear()
        keys.append(drawing.key(figure_store.drawing_version()))
    assert len(set(keys)) == 4


def test_everything_that_a_figure_depends_on_is_in_its_key(linear: Cell) -> None:
    style = BackboneStyle("#000000", "o", "")
    other_number = replace(linear.numbers[0], value=linear.numbers[0].value + 1e-9)
    predictions = with_predictions(linear)
    halved = linear.records().assign(confidence=lambda records: records["confidence"] / 2)
    spoilt = with_predictions(replace(linear, reader=RecordsInMemory(halved)))
    drawings = [
        Drawing(accuracy_bars, ([only_numbers(linear)], {linear.backbone: style})),
        Drawing(accuracy_bars, ([only_numbers(linear)], {linear.backbone: replace(style, color="#000001")})),
        Drawing(accuracy_bars, ([only_numbers(linear)], {linear.backbone: style}), is_image=True),
        Drawing(a_figure, ([only_numbers(linear)], {linear.backbone: style})),
        Drawing(accuracy_bars, ([only_numbers(replace(linear, numbers=(other_number,)))], {linear.backbone: style})),
        Drawing(accuracy_bars, ([only_numbers(renamed(linear))], {linear.backbone: style})),
        Drawing(accuracy_bars, ([predictions], {linear.backbone: style})),
        Drawing(accuracy_bars, ([spoilt], {linear.backbone: style})),
        Drawing(a_figure, (np.zeros(2), pd.DataFrame({"a": ["x", "y"]}))),
        Drawing(a_figure, (np.zeros((1, 2)), pd.DataFrame({"a": ["x", "y"]}))),
        Drawing(a_figure, (np.zeros(2), pd.DataFrame({"a": ["x", "z"]}))),
        Drawing(a_figure, (("a", "b"), "c")),
        Drawing(a_figure, (("a",), "b", "c")),
        Drawing(a_figure, (1,)),
        Drawing(a_figure, (1.0,)),
        Drawing(a_figure, ("1",)),
    ]
    assert len({each.key("") for each in drawings}) == len(drawings)
    assert drawings[0].key("") == Drawing(accuracy_bars, ([only_numbers(linear)], {linear.backbone: style})).key("")
    assert drawings[0].key("") != drawings[0].key("later")
    with pytest.raises(TypeError, match="can't depend on object"):
        Drawing(a_figure, (object(),)).key("")


def renamed(cell: Cell) -> Cell:
    return replace(cell, provenance=cell.provenance | {"objective": "other"})


def pair_of(cell: Cell) -> list[Drawing]:
    return [Drawing(accuracy_bars, ([only_numbers(each)],)) for each in (cell, renamed(cell))]


def test_a_drawing_can_be_sent_to_another_process(linear: Cell) -> None:
    style = {linear.backbone: BackboneStyle("#000000", "o", "")}
    sent = Drawing(reliability_of_cells, ([with_predictions(linear)], style))
    received = pickle.loads(pickle.dumps(sent))
    assert received.key("") == sent.key("") and received.drawn() == sent.drawn()


@pytest.mark.slow
def test_other_processes_draw_the_same(linear: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(figure_drawer, "WORTH_PROCESSES", 1)
    assert drawn_figures(pair_of(linear), None, 2) == [each.drawn() for each in pair_of(linear)]


def test_without_other_processes_figures_are_drawn_here(linear: Cell, monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(ThreadPoolExecutor):
        def submit(self, *_: object, **__: object) -> Future:
            future: Future = Future()
            future.set_exception(BrokenProcessPool())
            return future

    monkeypatch.setattr(figure_drawer, "WORTH_PROCESSES", 1)
    monkeypatch.setattr(figure_drawer, "ProcessPoolExecutor", lambda processes, **_: Broken(processes))
    assert drawn_figures(pair_of(linear), None, 2) == [each.drawn() for each in pair_of(linear)]
