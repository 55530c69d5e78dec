"""Damaged stores and made-up cells: what is read is what was written, and all else is refused with a sentence.

Every case goes through what the commands call: reading a study's results and its state, and the check of a pulled
cell. A case fails with anything but an InputError (a traceback), and where something is read that is not as it was
written (a silent acceptance). Seeds decide the cases, so that each can be run again.
"""

import contextlib
import io
import json
import shutil
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from damage import change_json, reseal
from fake_study import SELF_SUPERVISED, SUPERVISED, Setting, protocol_analysis, provenance_of
from hostile import HOSTILE_NAMES

from hf_sslgen.commands.status import status_text
from hf_sslgen.errors import InputError
from hf_sslgen.hub.cell_check import check_cell
from hf_sslgen.hub.remote_study import in_lines
from hf_sslgen.reporting.results_csv import results_frame
from hf_sslgen.study.cells.cell_folder import CELL_NAME, Cell, cell_folder, read_cells, write_cell
from hf_sslgen.study.cells.store import STUDY_FILE, Store
from hf_sslgen.study.config import read_study
from hf_sslgen.study.finished_cells import read_study_results
from hf_sslgen.study.inference.study_results import infer
from hf_sslgen.study.plan import expand

DOMAIN = "photo-patches"
FILES = ("cell.json", "results.json", "records.parquet", "examples.npz")
FOLLOWING = {"accuracy": "correct", "mean_confidence": "confidence", "brier_score": "brier_score", "gini": "gini"}
"""Numbers that are the mean of a column, so that anyone can work them out."""

Random = np.random.Generator


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study's folder with the four cells of its plan: two networks, before and after a linear probe."""
    store = Store(tmp_path_factory.mktemp("fuzz") / "original")
    store.prepare()
    twins = (SUPERVISED, SELF_SUPERVISED)
    content = {
        "backbones": [{"location": each.name, "objective": each.objective, "source": "noise"} for each in twins],
        "untrained_control": False,
        "domains": [DOMAIN],
        "protocols": ["linear"],
    }
    (store.folder / STUDY_FILE).write_text(json.dumps(content))
    for spec in expand(read_study(store.folder / STUDY_FILE)):
        twin = next(each for each in twins if each.name == spec.backbone.name)
        identity = {
            "backbone": twin.name,
            "domain": DOMAIN,
            "protocol": spec.protocol_name,
            "labels": spec.labels,
            "seed": 0,
        }
        folder = cell_folder(store.cells, identity)
        analysis = protocol_analysis(twin, DOMAIN, Setting(spec.protocol_name), 0)
        write_cell(folder, identity, provenance_of(twin, "similar", list("abcde")), analysis)
        store.index(spec, folder.name)
    return store.folder


@dataclass(frozen=True)
class Known:
    """What a cell holds."""

    identity: str
    provenance: str
    numbers: str
    records: pd.DataFrame
    examples: dict[str, bytes] | None

    @classmethod
    def of(cls, cell: Cell) -> "Known":
        examples = cell.examples()
        return cls(
            str(cell.identity),
            str({key: value for key, value in cell.provenance.items() if key not in ("source", "pretraining_seed")}),
            str(cell.numbers),
            cell.records(),
            None if examples is None else {name: array.tobytes() for name, array in examples.items()},
        )

    def equals(self, other: "Known") -> bool:
        plain = (self.identity, self.provenance, self.numbers, self.examples)
        return plain == (other.identity, other.provenance, other.numbers, other.examples) and self.records.equals(
            other.records
        )


@pytest.fixture(scope="module")
def known(original: Path) -> dict[str, Known]:
    return {cell.folder.name: Known.of(cell) for cell in read_cells(original / "cells")}


def cell_of(store: Path, random: Random, protocol: str = "") -> Path:
    return random.choice(sorted(store.glob(f"cells/*--{protocol}*")))


def file_of(store: Path, random: Random) -> Path:
    return cell_of(store, random) / str(random.choice(FILES))


def flip_a_bit(path: Path, random: Random) -> None:
    content = bytearray(path.read_bytes())
    content[random.integers(len(content))] ^= 1 << random.integers(8)
    path.write_bytes(content)


def cut(path: Path, random: Random) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: random.integers(len(content))])


def lengthen(path: Path, random: Random) -> None:
    path.write_bytes(path.read_bytes() + random.bytes(int(random.integers(1, 50))))


def blank(path: Path, random: Random) -> None:
    content = bytearray(path.read_bytes())
    start = int(random.integers(len(content)))
    stop = min(len(content), start + int(random.integers(1, 4096)))
    content[start:stop] = bytes(stop - start)
    path.write_bytes(content)


def overwrite(path: Path, random: Random) -> None:
    content = (b"", b"null", b"[]", b"{}", b"\xff\xfe", b"[" * 100_000, b'{"numbers": 1}', b"NaN", random.bytes(100))
    path.write_bytes(content[random.integers(len(content))])


def replace_by_a_folder(path: Path, random: Random) -> None:
    path.unlink()
    path.mkdir()


def replace_by_a_loop(path: Path, random: Random) -> None:
    path.unlink()
    path.symlink_to(path.name)


def remove(path: Path, random: Random) -> None:
    path.unlink()


IN_FILES = (flip_a_bit, cut, lengthen, blank, overwrite, replace_by_a_folder, replace_by_a_loop, remove)


def swap_files(store: Path, random: Random) -> None:
    name = str(random.choice(FILES))
    one, other = (path / name for path in random.choice(sorted(store.glob("cells/*")), 2, replace=False))
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)


def swap_folders(store: Path, random: Random) -> None:
    one, other = random.choice(sorted(store.glob("cells/*")), 2, replace=False)
    one.rename(store / "aside")
    other.rename(one)
    (store / "aside").rename(other)


def rename_a_folder(store: Path, random: Random) -> None:
    cell = cell_of(store, random)
    cell.rename(cell.with_name(f"{cell.name[:-12]}{int(random.integers(16**12)):012x}"))


def edit_a_number(cell: Path, random: Random) -> None:
    def edit(content: dict[str, Any]) -> None:
        row = content["numbers"][random.integers(len(content["numbers"]))]
        key = str(random.choice(["value", "low", "n", "metric", "stage", "transform", "n_undefined"]))
        edits = {"n": row["n"] - 1, "n_undefined": 7, "metric": "accuracy", "stage": "fine-tuned", "transform": "hue"}
        row[key] = edits[key] if key in edits else (row[key] or 0) + 0.01

    change_json(cell / "results.json", edit)


def edit_the_identity(cell: Path, random: Random) -> None:
    part = str(random.choice(["identity", "provenance"]))
    edits = [("seed", 9), ("labels", "1%"), ("group", "different"), ("class_names", ["b", "a"]), ("objective", "dino")]
    key, value = edits[random.integers(len(edits))]
    change_json(cell / "cell.json", lambda content: content[part].update({key: value}))


def rewrite_records(cell: Path, random: Random) -> None:
    """Other rows or columns, in a file that is whole."""
    records = pd.read_parquet(cell / "records.parquet")
    kind = random.integers(8)
    numbers = [name for name in records if records[name].dtype.kind == "f"]
    column = str(random.choice(numbers))
    if kind == 0:
        records = records.drop(index=random.choice(len(records), 3, replace=False))
    elif kind == 1:
        records[column] = random.permutation(records[column].to_numpy())
    elif kind == 2:
        records = records.rename(columns={column: f"{column}_"})
    elif kind == 3:
        records[column] = records[column].astype(str)
    elif kind == 4:
        records = pd.concat([records, records.iloc[:2]])
    elif kind == 5:
        records.loc[int(random.integers(len(records))), column] = float(random.choice([np.inf, -np.inf]))
    elif kind == 6:
        records = records.iloc[random.permutation(len(records))]
    else:
        records[column] = records[column].astype(np.float32)
    records.to_parquet(cell / "records.parquet", index=False)


def damage_the_index(store: Path, random: Random) -> None:
    paths = sorted(store.glob("index/*.json"))
    one, other = random.choice(paths, 2, replace=False)
    if random.integers(2):
        IN_FILES[random.integers(len(IN_FILES))](one, random)
    else:
        shutil.copy(one, other)


def add_litter(store: Path, random: Random) -> None:
    """What somebody or a file system may have left."""
    kind = random.integers(6)
    cells = store / "cells"
    if kind == 0:
        (cells / "notes.txt").write_text("mine")
    elif kind == 1:
        (cells / "empty").mkdir()
    elif kind == 2:
        (cells / "loop").symlink_to("loop")
    elif kind == 3:
        (cells / ".hidden").mkdir()
    elif kind == 4:
        spec = sorted(store.glob("index/*.json"))[0].name
        (store / "failures").mkdir(exist_ok=True)
        (store / "failures" / spec).write_bytes(random.bytes(20))
    else:
        (store / "claims" / f"{cell_of(store, random).name}.1.json").write_bytes(random.bytes(20))


def in_a_file(store: Path, random: Random) -> None:
    IN_FILES[random.integers(len(IN_FILES))](file_of(store, random), random)


DAMAGES: tuple[Callable[[Path, Random], None], ...] = (
    *(in_a_file,) * 6,
    swap_files,
    swap_folders,
    rename_a_folder,
    lambda store, random: edit_a_number(cell_of(store, random), random),
    lambda store, random: edit_the_identity(cell_of(store, random), random),
    *(lambda store, random: rewrite_records(cell_of(store, random), random),) * 2,
    damage_the_index,
    add_litter,
)


def read_damaged(store: Path, known: dict[str, Known], with_frames: bool) -> str:
    """What became of a case: `refused` where a cell is named, `read` where all are as they were."""
    shown = status_text(store)
    study = read_study_results(Store(store))
    for cell in study.cells:
        assert Known.of(cell).equals(known[cell.folder.name]), f"silently accepted: {cell.folder.name}"
    assert all("; remove it" in sentence for sentence in study.damaged)
    if study.cells and with_frames:
        assert len(results_frame(infer(study.cells)))
    told = len(study.damaged) + len(study.missing)
    assert len(study.cells) == len(known) or told, "a cell is gone without a word"
    assert "all" in shown
    return "refused" if told else "read"


def damaged_stores(seeds: range, original: Path, known: dict[str, Known], folder: Path) -> Counter[str]:
    counts: Counter[str] = Counter()
    for seed in seeds:
        random = np.random.default_rng(seed)
        store = Path(shutil.copytree(original, folder / "store", symlinks=True))
        for _ in range(int(random.integers(1, 3))):
            try:
                DAMAGES[random.integers(len(DAMAGES))](store, random)
            except (OSError, ValueError, KeyError, TypeError):  # the first damage left nothing for the second
                continue
        try:
            counts[read_damaged(store, known, with_frames=seed % 10 == 0)] += 1
        except BaseException as error:
            error.add_note(f"seed {seed}")
            raise
        shutil.rmtree(store)
    return counts


def with_records(change: Callable[[pd.DataFrame], pd.DataFrame]) -> Callable[[Path, Random], None]:
    def make_up(cell: Path, random: Random) -> None:
        change(pd.read_parquet(cell / "records.parquet")).to_parquet(cell / "records.parquet", index=False)

    return make_up


def with_table(change: Callable[[pa.Table], pa.Table], **options: Any) -> Callable[[Path, Random], None]:
    def make_up(cell: Path, random: Random) -> None:
        table = pq.read_table(cell / "records.parquet").replace_schema_metadata(None)
        pq.write_table(change(table), cell / "records.parquet", **options)

    return make_up


def with_column(name: str, values: Callable[[int], pa.Array]) -> Callable[[Path, Random], None]:
    return with_table(lambda table: table.append_column(name, values(len(table))))


def with_numbers(change: Callable[[list[dict[str, Any]]], object]) -> Callable[[Path, Random], None]:
    return lambda cell, random: change_json(cell / "results.json", lambda content: change(content["numbers"]))


def shifted(metric: str, key: str, by: float) -> Callable[[Path, Random], None]:
    def change(numbers: list[dict[str, Any]]) -> None:
        row = next(row for row in numbers if row["metric"] == metric)
        row[key] += by

    return with_numbers(change)


def with_arrays(change: Callable[[dict[str, bytes]], None], compression: int = zipfile.ZIP_DEFLATED) -> Any:
    """The files inside `examples.npz`, by their names."""

    def make_up(cell: Path, random: Random) -> None:
        with zipfile.ZipFile(cell / "examples.npz") as archive:
            files = {name: archive.read(name) for name in archive.namelist()}
        change(files)
        with zipfile.ZipFile(cell / "examples.npz", "w", compression) as archive:
            for name, content in files.items():
                archive.writestr(name, content)

    return make_up


def header_of(shape: tuple[int, ...], kind: str) -> bytes:
    """A header without what it announces."""
    buffer = io.BytesIO()
    np.lib.format.write_array_header_1_0(buffer, {"descr": kind, "fortran_order": False, "shape": shape})
    return buffer.getvalue()


def stored(array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, array)
    return buffer.getvalue()


def permuted(records: pd.DataFrame, column: str) -> pd.DataFrame:
    return records.assign(**{column: records[column].to_numpy()[::-1]})


def many_rows(table: pa.Table) -> pa.Table:
    return pa.concat_tables([table.slice(0, 1)] * 200_000).combine_chunks()


MADE_UP: dict[str, Callable[[Path, Random], None]] = {
    **{f"another {metric}": shifted(metric, "value", 0.01) for metric in FOLLOWING},
    **{f"{metric} of fewer images": shifted(metric, "n", -1) for metric in FOLLOWING},
    "another confidence gap": shifted("confidence_gap", "value", 1e-4),
    "a negative count": shifted("temperature", "n", -(10**6)),
    "a number twice": with_numbers(lambda numbers: numbers.append(numbers[0])),
    "no numbers": with_numbers(list.clear),
    "fewer records": with_records(lambda records: records.iloc[5:]),
    "records twice": with_records(lambda records: pd.concat([records, records])),
    "one record twice": with_records(lambda records: pd.concat([records, records.iloc[:1]])),
    "another order of what is right": with_records(lambda records: permuted(records, "correct")),
    "another order of predictions": with_records(lambda records: permuted(records, "prediction")),
    "another order of classes": with_records(lambda records: permuted(records, "reference")),
    "another order of confidences": with_records(lambda records: permuted(records, "confidence")),
    "a class that there is none of": with_records(lambda r: r.assign(reference=r["reference"] + 5, correct=0.0)),
    "a confidence above 1": with_records(lambda records: records.assign(confidence=records["confidence"] + 1)),
    "infinite values": with_records(lambda records: records.assign(gini=np.inf)),
    "a missing column": with_records(lambda records: records.drop(columns="gini")),
    "a renamed column": with_records(lambda records: records.rename(columns={"gini": "Gini"})),
    "ids that are missing": with_records(lambda records: records.assign(sample_id=None)),
    "stages that are numbers": with_records(lambda records: records.assign(stage=1)),
    "a column of texts": with_column("note", lambda n: pa.array(["x"] * n)),
    "a column of lists": with_column("note", lambda n: pa.array([[1]] * n)),
    "a column of times": with_column("note", lambda n: pa.array([0] * n, pa.timestamp("s"))),
    "a column with a hostile name": with_column("a b", lambda n: pa.array([1.0] * n)),
    "a column twice": with_column("gini", lambda n: pa.array([0.5] * n)),
    "very many columns": with_table(
        lambda table: pa.table(
            {
                **dict(zip(table.column_names, table.columns, strict=True)),
                **{f"c{i}": table["gini"] for i in range(300)},
            }
        )
    ),
    "very many rows": with_table(many_rows, compression="zstd"),
    "texts written as parts of others": with_table(
        lambda table: table, use_dictionary=False, column_encoding={"sample_id": "DELTA_BYTE_ARRAY"}
    ),
    "a dictionary of long texts": with_table(
        lambda table: table.set_column(0, "sample_id", pa.array(["x" * 4000 + str(i) for i in range(len(table))]))
    ),
    "pictures that are not there": with_arrays(
        lambda files: files.update({"images.npy": header_of((10**6, 64, 64, 3), "|u1")})
    ),
    "pictures beyond all bounds": with_arrays(
        lambda files: files.update({"images.npy": header_of((2**62, 2**62, 2, 3), "|u1")})
    ),
    "pictures as objects": with_arrays(lambda files: files.update({"images.npy": header_of((6, 64, 64, 3), "|O")})),
    "pictures of another type": with_arrays(
        lambda files: files.update({"images.npy": stored(np.zeros((6, 4, 4, 3)))})
    ),
    "fewer maps than pictures": with_arrays(lambda files: files.update({"maps.npy": stored(np.zeros((1, 7, 7)))})),
    "maps that are not finite": with_arrays(
        lambda files: files.update({"maps.npy": stored(np.full((6, 7, 7), np.inf))})
    ),
    "another array": with_arrays(lambda files: files.update({"more.npy": stored(np.zeros(3))})),
    "an array elsewhere": with_arrays(lambda files: files.update({"../images.npy": stored(np.zeros(3))})),
    "pictures compressed otherwise": with_arrays(lambda files: None, zipfile.ZIP_LZMA),
    "another name": lambda cell, random: cell.rename(
        cell.with_name(f"{cell.name[:-1]}{'1' if cell.name[-1] == '0' else '0'}")
    ),
    "a link to somewhere else": lambda cell, random: (
        (cell / "examples.npz").unlink(),
        (cell / "examples.npz").symlink_to("/etc/hostname"),
    ),
}
"""Cells that contradict themselves, or are not cells, with checksums that fit; each is refused."""


def checked(cell: Path, name: str) -> str:
    """What the check of a pulled cell says; empty where it may be taken over."""
    try:
        check_cell(cell, name)
    except InputError as error:
        assert str(error) and "\n" not in str(error)
        return str(error)
    return ""


@pytest.fixture
def linear(original: Path, tmp_path: Path) -> Path:
    """A copy of a cell with predictions, pictures and maps."""
    (cell, *_) = sorted(original.glob("cells/*--linear--*"))
    return Path(shutil.copytree(cell, tmp_path / cell.name))


def test_a_cell_as_it_was_pushed_is_taken_over(original: Path) -> None:
    assert [checked(cell, cell.name) for cell in sorted((original / "cells").iterdir())] == [""] * 4


@pytest.mark.parametrize("kind", list(MADE_UP))
def test_a_made_up_cell_is_refused(kind: str, linear: Path) -> None:
    MADE_UP[kind](linear, np.random.default_rng(0))
    (cell,) = linear.parent.iterdir()
    reseal(cell)
    assert checked(cell, linear.name if kind != "another name" else cell.name)


def bears_out(cell: Path) -> bool:
    """Whether what anybody can work out of a cell's records is what its numbers say."""
    records = pd.read_parquet(cell / "records.parquet")
    clean = records[records["transform"] == ""]
    numbers = json.loads((cell / "results.json").read_text())["numbers"]
    told = {row["metric"]: row for row in numbers if not row["transform"] and row["value"] is not None}
    return not records.duplicated(["sample_id", "transform", "severity"]).any() and all(
        np.isclose(clean[column].astype(float).mean(), told[metric]["value"], atol=1e-5)
        and clean[column].notna().sum() == told[metric]["n"]
        for metric, column in FOLLOWING.items()
        if metric in told
    )


def pulled_cells(seeds: range, original: Path, folder: Path) -> Counter[str]:
    """Random damage to files whose checksums fit, and random edits."""
    counts: Counter[str] = Counter()
    for seed in seeds:
        random = np.random.default_rng(seed)
        cell = cell_of(original, random)
        copy = Path(shutil.copytree(cell, folder / cell.name))
        changes = (*IN_FILES[:5], edit_a_number, edit_the_identity, rewrite_records)
        change = changes[random.integers(len(changes))]
        with contextlib.suppress(FileNotFoundError):  # it has no pictures
            change(copy / str(random.choice(FILES)) if change in IN_FILES else copy, random)
        reseal(copy)
        try:
            refused = checked(copy, cell.name)
            assert refused or bears_out(copy), "silently accepted"
        except BaseException as error:
            error.add_note(f"seed {seed}, {change.__name__}")
            raise
        counts["refused" if refused else "taken over"] += 1
        shutil.rmtree(copy)
    return counts


def test_some_damaged_stores(original: Path, known: dict[str, Known], tmp_path: Path) -> None:
    counts = damaged_stores(range(25), original, known, tmp_path)
    assert counts["refused"] > 15


def test_some_pulled_cells(original: Path, tmp_path: Path) -> None:
    counts = pulled_cells(range(40), original, tmp_path)
    assert counts["refused"] > 20


@pytest.mark.slow
@pytest.mark.parametrize("start", [1000, 1300, 1600])
def test_many_damaged_stores(start: int, original: Path, known: dict[str, Known], tmp_path: Path) -> None:
    counts = damaged_stores(range(start, start + 300), original, known, tmp_path)
    print(f"damaged stores: {dict(counts)}")
    assert counts.total() == 300


@pytest.mark.slow
def test_many_pulled_cells(original: Path, tmp_path: Path) -> None:
    counts = pulled_cells(range(2000, 3000), original, tmp_path)
    print(f"pulled cells: {dict(counts)}")
    assert counts.total() == 1000


def test_hostile_names_are_no_names_of_cells() -> None:
    for name in (
        *HOSTILE_NAMES,
        "..",
        "a/b",
        "a\\b--" + "0" * 12,
        "x--" + "0" * 12 + "\n",
        "\x1b[2J--" + "0" * 12,
        "",
    ):
        assert CELL_NAME.fullmatch(name) is None
        assert len(in_lines({name: "refused"}).splitlines()) == 2
