"""`hf-sslgen study --pull`: what others computed is looked at and taken over, and what is here stays."""

import io
import json
import os
import pickle
import re
import signal
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import warm_python
from damage import reseal
from huggingface_hub import HfApi
from huggingface_hub.errors import LocalEntryNotFoundError
from study_on_hub import REPOSITORY, Command, add_cells, cell_names, change_numbers, contents, rewrite_identity

from hf_sslgen.errors import HubError, InputError
from hf_sslgen.hub.cell_check import LARGEST
from hf_sslgen.hub.study_pull import Pulled, pull_cells
from hf_sslgen.study.cells.cell_folder import read_cells
from hf_sslgen.study.cells.store import STUDY_FILE, Store
from hf_sslgen.study.config import read_study
from hf_sslgen.study.execution.worker import run_worker
from hf_sslgen.study.plan import expand
from tests.loopback_hub import Hub

COMPUTED = re.compile(r"^INFO hf_sslgen\.study\.execution\.worker: (.*): [0-9.]+ s$", re.MULTILINE)

Pull = Callable[[Path], Pulled]


@pytest.fixture
def pull(study_hub: Hub) -> Pull:
    def run(folder: Path) -> Pulled:
        Store(folder).prepare()
        return pull_cells(study_hub.api("reader"), REPOSITORY, folder / "cells")

    return run


def test_a_study_goes_on_from_what_others_ran(
    study_hub: Hub, push: Command, study_file: Callable[..., Path], tmp_path: Path
) -> None:
    """Six real cells are pushed; of nine, a second person computes three, and pushes those."""
    first, store = study_file("first.yaml", title="First"), Store(tmp_path / "first")
    store.prepare()
    (store.folder / STUDY_FILE).write_bytes(first.read_bytes())
    specs = expand(read_study(first))
    assert run_worker(specs, store, num_threads=1) == {"computed": 6}
    assert "6 cells added" in push(store.folder)
    larger, folder = study_file("larger.yaml", seeds=[0, 1, 2]), tmp_path / "second"
    command = [
        "-m",
        "hf_sslgen.cli",
        "study",
        str(larger),
        "--output_dir",
        str(folder),
        "--pull",
        REPOSITORY,
        "--verbose",
    ]
    ended = warm_python.run(command, env=study_hub.environment(None))
    assert ended.returncode == 0, ended.stderr
    assert "6 cells pulled, 0 already here" in ended.stderr
    computed = COMPUTED.findall(ended.stderr)
    assert sorted(computed) == sorted(
        f"{name} on digits, linear, 100%, at most 30 images of the labels, seed 2" for name in ("resnet", "vit")
    )
    ours, theirs = contents(store.cells), contents(folder / "cells")
    same = {path: content for path, content in ours.items() if not path.endswith("cell.json")}
    assert same.items() <= theirs.items()
    assert (folder / "report" / "index.html").exists()
    assert f"{len(computed)} cells added, 6 already there" in push(folder)


def test_cells_are_taken_over_once(push: Command, pull: Pull, store: Path, tmp_path: Path) -> None:
    push(store)
    taken = pull(tmp_path / "other")
    assert sorted(taken.taken) == cell_names(store)
    assert (taken.found, taken.conflicts, taken.refused) == ([], {}, {})
    copies = list(read_cells(tmp_path / "other" / "cells"))
    for copy, original in zip(copies, read_cells(store / "cells"), strict=True):
        assert (copy.identity, copy.provenance) == (original.identity, original.provenance)
        pd.testing.assert_frame_equal(copy.records(), original.records())
    files = contents(tmp_path / "other" / "cells")
    again = pull(tmp_path / "other")
    assert (again.taken, sorted(again.found)) == ([], cell_names(store))
    assert contents(tmp_path / "other" / "cells") == files
    assert files.keys() == contents(store / "cells").keys()  # nothing else came with them


def test_other_numbers_here_stay(push: Command, pull: Pull, store: Path, tmp_path: Path) -> None:
    push(store)
    name = cell_names(store)[0]
    change_numbers(store / "cells" / name)
    before = contents(store)
    pulled = pull(store)
    assert list(pulled.conflicts) == [name]
    assert "0.123 here" in pulled.conflicts[name]
    assert len(pulled.found) == 3
    assert {path: contents(store)[path] for path in before} == before


@pytest.mark.parametrize("spoil", [Path.unlink, lambda path: path.write_text("{")])
def test_a_damaged_cell_here_is_named(spoil: Callable[[Path], object], push: Command, pull: Pull, store: Path) -> None:
    push(store)
    spoil(store / "cells" / cell_names(store)[0] / "results.json")
    name = cell_names(store)[0]
    pulled = pull(store)
    assert len(pulled.found) == 3
    assert list(pulled.damaged) == [name]
    assert re.search(
        f"{name} holds no readable cell .*; remove it to have it computed or pulled", pulled.damaged[name]
    )


def test_a_hub_that_goes_away_is_not_taken_for_other_numbers(
    push: Command, pull: Pull, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    push(store)
    change_numbers(store / "cells" / cell_names(store)[0])

    def away(*_: object, **__: object) -> None:
        raise LocalEntryNotFoundError("the Hub gives no answer")

    monkeypatch.setattr(HfApi, "hf_hub_download", away)
    with pytest.raises(HubError, match="datasets/org/study is not in the cache"):
        pull(store)


def test_numbers_of_a_size_that_no_cell_has_are_not_fetched(
    study_hub: Hub, push: Command, pull: Pull, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    push(store)
    name = cell_names(store)[0]
    change_numbers(store / "cells" / name)
    monkeypatch.setitem(LARGEST, "results.json", 10)
    pulled = pull(store)
    assert list(pulled.conflicts) == [name]
    assert "bytes, too many for a cell" in pulled.conflicts[name]
    assert study_hub.visited("/resolve/", "GET") == []


class Trap:
    """Would write a file if it were ever unpickled."""

    path = ""

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (self.path, "w")


def _with_pickle(cell: Path) -> None:
    Trap.path = str(cell.parents[1] / "sprung")
    buffer = io.BytesIO()
    np.save(buffer, np.array([Trap()], dtype=object), allow_pickle=True)
    with np.load(cell / "examples.npz") as arrays, zipfile.ZipFile(cell / "changed.npz", "w") as archive:
        for name in ("maps", "sample_ids"):
            plain = io.BytesIO()
            np.save(plain, arrays[name])
            archive.writestr(f"{name}.npy", plain.getvalue())
        archive.writestr("images.npy", buffer.getvalue())
    (cell / "changed.npz").rename(cell / "examples.npz")


def _with_huge_pictures(cell: Path) -> None:
    with zipfile.ZipFile(cell / "examples.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("images.npy", bytes(501_000_000))


def _with_objects(cell: Path) -> None:
    table = pq.read_table(cell / "records.parquet")
    pq.write_table(table.append_column("object", pa.array([pickle.dumps(1)] * len(table))), cell / "records.parquet")


def _with_long_texts(cell: Path) -> None:
    """A few thousand bytes that unpack to ten gigabytes."""
    rows = 100_000
    table = pq.read_table(cell / "records.parquet").slice(0, 1).take(pa.array([0] * rows))
    text = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array(["x" * 100_000]))
    index = table.schema.get_field_index("transform")
    table = table.set_column(index, pa.field("transform", text.type), text).replace_schema_metadata(None)
    pq.write_table(table, cell / "records.parquet", compression="zstd", store_schema=False)


def _with_column(name: str, value: float) -> Callable[[Path], None]:
    def write(cell: Path) -> None:
        table = pq.read_table(cell / "records.parquet")
        columns = {each: table[each] for each in table.column_names} | {name: pa.array([value] * len(table))}
        pq.write_table(pa.table(columns), cell / "records.parquet")

    return write


def _without_column(cell: Path) -> None:
    pq.write_table(pq.read_table(cell / "records.parquet").drop_columns(["severity"]), cell / "records.parquet")


def _cut(name: str) -> Callable[[Path], None]:
    def cut(cell: Path) -> None:
        content = (cell / name).read_bytes()
        (cell / name).write_bytes(content[: len(content) // 2])

    return cut


def _in_json(name: str, change: Callable[[dict], object]) -> Callable[[Path], None]:
    def write(cell: Path) -> None:
        content = json.loads((cell / name).read_text())
        change(content)
        (cell / name).write_text(json.dumps(content))

    return write


BAD_CELLS: dict[str, tuple[Callable[[Path], object], str]] = {
    "another identity": (_in_json("cell.json", lambda c: c["identity"].update(seed=7)), "does not match its name"),
    "an identity that is none": (
        _in_json("cell.json", lambda c: c.update(identity=[])),
        "does not have the format of a cell",
    ),
    "a provenance without a key": (_in_json("cell.json", lambda c: c["provenance"].pop("seconds")), "'seconds'"),
    "a provenance of another type": (
        _in_json("cell.json", lambda c: c["provenance"].update(parameters="x")),
        "'parameters'",
    ),
    "labels that are no text": (
        _in_json("cell.json", lambda c: c["provenance"].update(class_names=[{}])),
        "'class_names'",
    ),
    "half of a character": (
        _in_json("cell.json", lambda c: c["provenance"].update(notes=["\ud800"])),
        "cell.json holds a value that can't be written again",
    ),
    "a provenance that is not finite": (
        _in_json("cell.json", lambda c: c["provenance"].update(seconds=float("nan"))),
        "cell.json holds a value that can't be written again",
    ),
    "an endless integer": (
        _in_json("cell.json", lambda c: c["provenance"].update(parameters=10**30)),
        "an integer of 31 digits",
    ),
    "an endless number": (
        _in_json("results.json", lambda c: c["numbers"][0].update(value=10**400)),
        "an integer of 401 digits",
    ),
    "half of a character in its numbers": (
        _in_json("results.json", lambda c: c["numbers"][0].update(reason="\ud800")),
        "results.json holds a value that can't be written again",
    ),
    "no numbers": (_in_json("results.json", lambda c: c.update(numbers=[])), "no numbers"),
    "a number that is text": (_in_json("results.json", lambda c: c["numbers"][0].update(value="1")), "'value'"),
    "a number that is infinite": (
        _in_json("results.json", lambda c: c["numbers"][0].update(low=1e999)),
        "written again",
    ),
    "a number of another stage": (
        _in_json("results.json", lambda c: c["numbers"][0].update(stage="best")),
        "unknown stage",
    ),
    "a number with another field": (_in_json("results.json", lambda c: c["numbers"][0].update(x=1)), "results.json"),
    "depth": (lambda c: (c / "results.json").write_text("[" * 200_000), "can't be read"),
    "half a results.json": (_cut("results.json"), "results.json"),
    "half of its records": (_cut("records.parquet"), "can't be read"),
    "half of its pictures": (_cut("examples.npz"), "can't be read"),
    "records without a column": (_without_column, "lack the column 'severity'"),
    "records with endless texts": (_with_long_texts, "a text of more than 1000 bytes in 'transform'"),
    "records that say whose they are": (_with_column("seed", 1), "column of unknown type, 'seed'"),
    "records that are not finite": (_with_column("confidence", float("inf")), "infinite values of 'confidence'"),
    "records with bytes": (_with_objects, "column of unknown type, 'object'"),
    "a pickle": (_with_pickle, "unusable images"),
    "pictures that unpack to half a gigabyte": (_with_huge_pictures, "too large"),
    "a file of another kind": (
        lambda c: (c / "run.py").write_text("print(1)"),
        "'run.py', which does not belong to a cell",
    ),
    "no records": (lambda c: (c / "records.parquet").unlink(), "has no records.parquet"),
    "another name": (lambda c: c.rename(c.with_name(f"x--{'0' * 12}")), "does not match its name"),
    "a name that is none": (lambda c: c.rename(c.with_name("..x")), "not a valid cell name"),
}


def test_what_is_no_cell_is_not_taken_over(study_hub: Hub, pull: Pull, _built: Path, tmp_path: Path) -> None:
    """One repository with a good cell and one of each bad kind: the good one comes, each other says what it is."""
    there, kinds = tmp_path / "there", {}
    add_cells(there, "linear")
    good = cell_names(there)[0]
    for index, (kind, (spoil, _)) in enumerate(BAD_CELLS.items()):
        folder = tmp_path / str(index)
        add_cells(folder, "linear")
        cell = rewrite_identity(folder / "cells" / good, seed=100 + index)
        kinds[kind] = cell.name
        spoil(cell)
        (cell,) = [path for path in (folder / "cells").iterdir() if path.name not in cell_names(there)]
        reseal(cell)
        kinds[kind] = cell.name
        cell.rename(there / "cells" / cell.name)
    api = study_hub.api()
    api.create_repo(REPOSITORY, repo_type="dataset")
    api.upload_folder(repo_id=REPOSITORY, repo_type="dataset", folder_path=there)
    pulled = pull(tmp_path / "here")
    assert sorted(pulled.taken) == sorted(set(cell_names(there)) - set(kinds.values()))
    assert good in pulled.taken
    assert {kind: pulled.refused.get(name, "") for kind, name in kinds.items()} == {
        kind: pulled.refused.get(name, "")
        for kind, name in kinds.items()
        if BAD_CELLS[kind][1] in pulled.refused[name]
    }
    assert cell_names(tmp_path / "here") == sorted(pulled.taken)
    assert list(tmp_path.rglob("sprung")) == []


@pytest.mark.slow
def test_killed_in_the_middle_of_a_pull(
    study_hub: Hub, push: Command, pull: Pull, store: Path, study_file: Callable[..., Path], tmp_path: Path
) -> None:
    push(store)
    folder, study = tmp_path / "here", str(study_file())
    command = ["-m", "hf_sslgen.cli", "study", study, "--output_dir", str(folder), "--pull", REPOSITORY, "--verbose"]
    with warm_python.start(command, env=study_hub.environment(None)) as process:
        study_hub.fail("before", "records.parquet", "GET", action=lambda: os.kill(process.pid, signal.SIGKILL))
        assert process.wait() == -signal.SIGKILL
    whole = {path.name for path in (folder / "cells").glob("[!.]*")}
    assert sorted(whole | set(pull(folder).taken)) == cell_names(store)
    assert contents(folder / "cells") == contents(store / "cells")


def test_a_repository_without_a_study_is_refused(study_hub: Hub, pull: Pull, tmp_path: Path) -> None:
    study_hub.api().create_repo(REPOSITORY, repo_type="dataset")
    with pytest.raises(InputError, match="does not contain a study: it has no `cells` folder"):
        pull(tmp_path / "here")


def test_pulling_and_looking_do_not_go_together(study_file: Callable[..., Path], tmp_path: Path) -> None:
    from hf_sslgen.commands.study import main

    options = [str(study_file()), "--output_dir", str(tmp_path / "out"), "--dry_run", "true", "--pull", REPOSITORY]
    with pytest.raises(InputError, match="give only one of them"):
        main(options)
