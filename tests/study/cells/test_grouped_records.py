"""Records with the groups of images are checked like the rest of a cell."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from fake_study import SELF_SUPERVISED, Setting, write_study

from hf_sslgen.analysis.numbers import Analysis
from hf_sslgen.study.cells.cell_folder import Cell, read_cell, read_cells, write_cell
from hf_sslgen.study.cells.cell_form import NoCellError
from hf_sslgen.study.cells.cell_records import require_consistent


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Cell:
    store = tmp_path_factory.mktemp("cells")
    write_study(store, (SELF_SUPERVISED,), (("here", "similar"),), settings=(Setting("pretrained"),))
    (cell,) = read_cells(store)
    return cell


def of_ten(records: pd.DataFrame) -> pd.Series:
    return records["sample_id"].str[-4:].astype("int64") % 24


SPOILT: dict[str, tuple[Callable[[pd.DataFrame], pd.Series], str]] = {
    "numbers with fractions": (lambda records: of_ten(records) / 2, "column 'group_id' of the wrong type"),
    "missing numbers": (lambda records: of_ten(records).where(records.index > 3), "'group_id' of the wrong type"),
    "two groups of one image": (
        lambda records: of_ten(records) + (records["transform"] == "rotation"),
        "several groups",
    ),
}


def with_groups(cell: Cell, groups: Callable[[pd.DataFrame], pd.Series], folder: Path) -> Cell:
    records = cell.records()
    analysis = Analysis(cell.numbers, records.assign(group_id=groups(records)))
    write_cell(folder, cell.identity, cell.provenance, analysis)
    return read_cell(folder)


def test_groups_of_images_are_consistent(published: Cell, tmp_path: Path) -> None:
    require_consistent(published)
    require_consistent(with_groups(published, of_ten, tmp_path / "grouped"))


@pytest.mark.parametrize("what", SPOILT)
def test_groups_that_contradict_each_other_are_refused(published: Cell, tmp_path: Path, what: str) -> None:
    groups, reason = SPOILT[what]
    with pytest.raises(NoCellError, match=reason):
        require_consistent(with_groups(published, groups, tmp_path / "spoilt"))
