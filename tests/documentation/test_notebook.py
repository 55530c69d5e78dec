"""The notebook runs from its first cell to its last, without network access."""

import json
from pathlib import Path
from typing import Any

import pytest

NOTEBOOK = Path(__file__).parents[2] / "notebooks" / "first_comparison.ipynb"
TAKES_MINUTES = "minutes"


def _code_cells() -> list[dict[str, Any]]:
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def _run(cells: list[dict[str, Any]]) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "__main__"}
    for cell in cells:
        exec(compile("".join(cell["source"]), f"cell {cell['id']}", "exec"), names)
    return names


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_notebook_is_stored_without_outputs() -> None:
    assert len(_code_cells()) > 5
    for cell in _code_cells():
        assert (cell["outputs"], cell["execution_count"]) == ([], None)
        assert not any(line.startswith(("!", "%")) for line in cell["source"]), "a test could not run it as Python"


@pytest.mark.usefixtures("folder")
def test_the_first_cells_run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MPLBACKEND", "agg")
    cells = _code_cells()
    slow = next(index for index, cell in enumerate(cells) if TAKES_MINUTES in cell["metadata"].get("tags", ()))
    names = _run(cells[:slow])
    assert "200 test images" in capsys.readouterr().out
    assert [axis.get_title() for axis in names["axes"]] == [
        names["domain"].class_names[names["domain"].test.labels[position]] for position in range(6)
    ]


@pytest.mark.slow
def test_the_whole_notebook_runs_in_a_kernel(folder: Path) -> None:
    nbformat = pytest.importorskip("nbformat", reason="nbformat, of the extra `test`, reads the notebook")
    nbclient = pytest.importorskip("nbclient", reason="nbclient, of the extra `test`, starts the kernel")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    nbclient.NotebookClient(notebook, timeout=900, resources={"metadata": {"path": str(folder)}}).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    printed = "".join(output.get("text", "") for output in outputs)
    for words in ("200 test images", "twin-resnet18-simclr", "untrained", "undecided"):
        assert words in printed
    assert sum("image/png" in output.get("data", {}) for output in outputs) >= 3
    assert (folder / "runs/notebook/report/index.html").stat().st_size > 100_000
