"""Cells exist whole or not at all, are computed once, and come back as they were written."""

import json
import math
import os
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from hf_sslgen.analysis.numbers import Analysis, Number
from hf_sslgen.errors import InputError
from hf_sslgen.files import remove_abandoned
from hf_sslgen.study.cells.cell_folder import Cell, cell_folder, identity_hash, read_cell, read_cells, write_cell

IDENTITY: dict[str, Any] = {
    "backbone": "owner/net work:ü",
    "domain": "digits",
    "protocol": "linear",
    "labels": "5-shot",
    "seed": 3,
    "splits": {"test": "0123", "train": "4567"},
}
PROVENANCE: dict[str, Any] = {
    "objective": "simclr",
    "group": "similar",
    "seconds": 1.5,
    "licence": None,
    "class_names": ["0", "1"],
    "not_label_preserving": [],
}
NUMBERS = (
    Number("accuracy", 0.5, 0.25, 0.75, 4),
    Number("invariance", math.nan, n=1, transform="hue", severity="+0.1", n_undefined=3, reason="one image is left"),
)
RECORDS = pd.DataFrame(
    {"sample_id": [4, 2, 9, 7], "transform": "", "correct": [True, False, True, False], "gini": [0.5, np.nan, 0.25, 1]}
)
EXAMPLES = {
    "images": np.arange(24, dtype=np.uint8).reshape(2, 2, 2, 3),
    "maps": np.array([[[0.5]], [[-1]]], dtype=np.float32),
    "sample_ids": np.array([4, 9]),
}


class KillsWhenWritten(pd.DataFrame):
    """Records on whose writing the process dies at once, after the numbers were written."""

    def to_parquet(self, path, **arguments):
        assert sorted(each.name for each in path.parent.iterdir()) == ["results.json"]
        os._exit(9)


def assert_is_what_was_written(cell: Cell) -> None:
    assert (cell.identity, cell.provenance) == (IDENTITY, PROVENANCE)
    assert (cell.backbone, cell.domain, cell.protocol, cell.seed) == ("owner/net work:ü", "digits", "linear", 3)
    assert str(cell.numbers) == str(NUMBERS)
    assert cell.number("accuracy") == NUMBERS[0]
    undefined = cell.number("invariance", "hue", "+0.1")
    assert undefined is not None and math.isnan(undefined.value) and math.isnan(undefined.low)
    assert cell.number("invariance") is None
    pd.testing.assert_frame_equal(cell.records(), RECORDS)
    examples = cell.examples()
    assert examples is not None
    assert list(examples) == list(EXAMPLES)
    for name, expected in EXAMPLES.items():
        np.testing.assert_array_equal(examples[name], expected)
        assert examples[name].dtype == expected.dtype


def test_a_cell_comes_back_as_it_was_written(tmp_path: Path) -> None:
    folder = cell_folder(tmp_path, IDENTITY)
    write_cell(folder, IDENTITY, PROVENANCE, Analysis(NUMBERS, RECORDS, EXAMPLES))
    assert_is_what_was_written(read_cell(folder))
    (only,) = read_cells(tmp_path)
    assert_is_what_was_written(only)
    assert sorted(path.name for path in folder.iterdir()) == [
        "cell.json",
        "examples.npz",
        "records.parquet",
        "results.json",
    ]
    assert "NaN" not in (folder / "results.json").read_text()
    assert folder.name.startswith("digits--owner_net_work_--linear--")


def test_a_cell_without_maps_has_no_examples(tmp_path: Path) -> None:
    folder = cell_folder(tmp_path, IDENTITY)
    write_cell(folder, IDENTITY, PROVENANCE, Analysis(NUMBERS, RECORDS))
    assert read_cell(folder).examples() is None


def test_the_hash_depends_on_values_not_on_their_order() -> None:
    reordered = {key: IDENTITY[key] for key in reversed(IDENTITY)}
    reordered["splits"] = {"train": "4567", "test": "0123"}
    assert identity_hash(reordered) == identity_hash(IDENTITY)
    assert len(identity_hash(IDENTITY)) == 12
    others = [
        {**IDENTITY, "seed": 4},
        {**IDENTITY, "seed": "3"},
        {**IDENTITY, "splits": {"test": "0123", "train": "4568"}},
        {**IDENTITY, "more": None},
    ]
    assert len({identity_hash(identity) for identity in (IDENTITY, *others)}) == 5


def test_a_cell_that_appeared_meanwhile_stays(tmp_path: Path) -> None:
    folder = cell_folder(tmp_path, IDENTITY)
    write_cell(folder, IDENTITY, PROVENANCE, Analysis(NUMBERS, RECORDS, EXAMPLES), replace=False)
    late = Analysis((Number("accuracy", 0.75),), RECORDS)
    write_cell(folder, IDENTITY, PROVENANCE, late, replace=False)
    assert_is_what_was_written(read_cell(folder))
    write_cell(folder, IDENTITY, PROVENANCE, late)
    assert read_cell(folder).number("accuracy") == late.numbers[0]
    assert list(tmp_path.iterdir()) == [folder]


def test_an_error_while_writing_leaves_nothing(tmp_path: Path) -> None:
    infinite = Analysis((Number("accuracy", math.inf),), RECORDS)
    with pytest.raises(ValueError, match="JSON"):
        write_cell(cell_folder(tmp_path, IDENTITY), IDENTITY, PROVENANCE, infinite)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("replace", [False, True])
def test_a_killed_process_leaves_no_cell_and_the_next_writes_it(replace: bool, tmp_path: Path) -> None:
    folder = cell_folder(tmp_path, IDENTITY)
    killed = os.fork()
    if killed == 0:
        try:
            write_cell(folder, IDENTITY, PROVENANCE, Analysis(NUMBERS, KillsWhenWritten(RECORDS)), replace)
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(killed, 0)[1]) == 9
    assert len(list(tmp_path.iterdir())) == 1  # what the killed one left behind
    assert not folder.exists()
    assert list(read_cells(tmp_path)) == []
    write_cell(folder, IDENTITY, PROVENANCE, Analysis(NUMBERS, RECORDS, EXAMPLES), replace)
    assert_is_what_was_written(read_cell(folder))
    remove_abandoned(tmp_path)
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("results.json", None),
        ("results.json", "{"),
        ("results.json", "{}"),
        ("results.json", json.dumps({"numbers": [{"name": "accuracy"}]})),
        ("cell.json", "{}"),
    ],
)
def test_a_damaged_cell_says_so(name: str, content: str | None, tmp_path: Path) -> None:
    folder = cell_folder(tmp_path, IDENTITY)
    write_cell(folder, IDENTITY, PROVENANCE, Analysis(NUMBERS, RECORDS))
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_text(content)
    with pytest.raises(InputError, match="remove it to have it computed again"):
        read_cell(folder)
