"""Figures of a study as files: which there are, what they are named, and that they are fit for a paper."""

import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from PIL import Image

from hf_sslgen.reporting.figures import figure_files
from hf_sslgen.reporting.figures.figure_files import FIGURES, file_names, save_figure, write_figures
from hf_sslgen.reporting.figures.figure_kinds import FigureKind
from hf_sslgen.reporting.figures.forest import group_forest
from hf_sslgen.reporting.figures.study_figures import study_figures
from hf_sslgen.study.inference.study_results import StudyResults


@pytest.fixture(scope="module")
def one_domain(results: StudyResults) -> StudyResults:
    return replace(results, cells=[cell for cell in results.cells if cell.domain == "specimen-patches"])


def test_every_measurement_has_its_figure(results: StudyResults, large_results: StudyResults) -> None:
    names = ["--".join(figure.name) for figure in study_figures(results)]
    assert len(set(names)) == len(names)
    for domain in ("photo-patches", "specimen-patches"):
        for content in ("accuracy", "reliability", "risk-coverage", "attribution", "overlays"):
            assert f"{domain}--linear--100%--{content}" in names
        assert f"{domain}--pretrained--invariance" in names
    large = [figure for figure in study_figures(large_results) if figure.name[0] == "groups"]
    assert {figure.name[1] for figure in large} >= {"headline_accuracy", "gini", "invariance"}
    assert len(large[0].draw().axes) == len(group_forest([], {}).axes) + 1


def test_files_replace_those_of_their_kind_and_repeat_themselves(
    one_domain: StudyResults, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    figures = list(study_figures(one_domain))
    monkeypatch.setattr(figure_files, "study_figures", lambda _: figures[1:3])
    (tmp_path / FIGURES).mkdir(parents=True)
    for name in ("old.svg", "old.pdf"):
        (tmp_path / FIGURES / name).write_text("")
    paths = write_figures(one_domain, tmp_path, "svg")
    first = {path.name: path.read_bytes() for path in paths}
    assert sorted(path.name for path in (tmp_path / FIGURES).iterdir()) == sorted([*first, "old.pdf"])
    write_figures(one_domain, tmp_path, "svg")
    assert first == {path.name: path.read_bytes() for path in paths}
    assert all(b"<text" not in content and b"<path" in content for content in first.values())


@pytest.mark.parametrize("kind", ["pdf", "png"])
def test_a_file_embeds_its_fonts_and_names_no_time(kind: FigureKind, tmp_path: Path) -> None:
    figure = Figure(figsize=(2, 1))
    figure.text(0.5, 0.5, "Accuracy")
    path = tmp_path / f"figure.{kind}"
    save_figure(figure, path, kind)
    content = path.read_bytes()
    assert b"CreationDate" not in content and b"Matplotlib" not in content
    if kind == "pdf":
        assert b"/FontFile2" in content and b"/Type3" not in content
    else:
        assert Image.open(path).size == (600, 300)


def names_of(parts: Iterable[tuple[str, ...]]) -> list[str]:
    return file_names(parts, "pdf")


def test_names_are_safe_and_distinct() -> None:
    hostile = [("../../etc", "a b"), ("../../ETC", "a/b"), ("",), ("é" * 300,), ("x" * 300,), ("C:\\con",)]
    found = names_of(hostile)
    assert len({name.lower() for name in found}) == len(found)
    assert all(re.fullmatch(r"[A-Za-z0-9.-]{1,80}\.pdf", name) and not name.startswith((".", "-")) for name in found)
    assert names_of([("digits", "linear", "100%", "reliability")]) == ["digits--linear--100--reliability.pdf"]
