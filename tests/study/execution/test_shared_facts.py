"""Workers recognise cells by facts that one of them established, and notice when these no longer hold."""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from hf_sslgen import file_signatures
from hf_sslgen.analysis.numbers import Analysis, Number
from hf_sslgen.domains import images
from hf_sslgen.domains.domain_facts import source_signature
from hf_sslgen.file_signatures import UNKNOWN, Signature, file_signature
from hf_sslgen.geometry import Geometry
from hf_sslgen.preprocessing import Preprocessing
from hf_sslgen.study.cells.cell_folder import read_cells
from hf_sslgen.study.cells.store import Store
from hf_sslgen.study.config import read_study
from hf_sslgen.study.execution import workbench, worker
from hf_sslgen.study.execution.rounds import Outcome
from hf_sslgen.study.execution.shared_facts import (
    BackboneRequest,
    EstablishedElsewhereError,
    find_facts,
    share_facts,
)
from hf_sslgen.study.execution.worker import run_worker, work_on
from hf_sslgen.study.plan import CellSpec, expand
from hf_sslgen.study.preparation import prepare
from hf_sslgen.study.prepared_cell import BackboneFacts
from hf_sslgen.work_claims import try_claim
from hf_sslgen.zoo.network_description import NetworkDescription

Monkey = pytest.MonkeyPatch

RECORDS = pd.DataFrame({"sample_id": [0], "stage": [""], "transform": ["clean"], "severity": [""], "correct": [1.0]})
MEASURED = Analysis((Number("accuracy", 1.0, n=1),), RECORDS)
PIXELS = Preprocessing(Geometry(32, None, "bilinear"), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@pytest.fixture
def work(monkeypatch: Monkey) -> Iterator[Counter[str]]:
    """Counts what is loaded and read to find and prepare cells; files count as settled at once."""
    monkeypatch.setattr(file_signatures, "SETTLED_SECONDS", -1.0)
    done: Counter[str] = Counter()

    def counted(module: Any, name: str, label: str) -> None:
        action = getattr(module, name)

        def act(*arguments: Any, **options: Any) -> Any:
            done[label] += 1
            return action(*arguments, **options)

        monkeypatch.setattr(module, name, act)

    counted(workbench, "read_published", "data sets")
    counted(workbench, "load_backbone", "backbones")
    counted(images, "encoded_bytes", "pictures hashed")
    monkeypatch.setattr(worker, "measure", lambda *_: (MEASURED, {}))
    as_another_process()
    yield done
    as_another_process()


def as_another_process() -> None:
    """Forget what this process has seen, as one that has just started."""
    workbench._looks.clear()
    for each in vars(workbench).values():
        if callable(forget := getattr(each, "cache_clear", None)):
            forget()


@pytest.fixture
def study(study_file: Callable[..., Path], image_folder: Callable[..., Path]) -> tuple[Path, tuple[CellSpec, ...]]:
    """Pictures, and the twelve cells of a network on them."""
    pictures = image_folder({"train": 8, "test": 4})
    protocols = [
        {"preset": "dino-knn", "neighbours": [2]},
        {"preset": "few-shot", "ways": 2, "shots": 1, "queries": 1},
    ]
    budgets = {"label_fractions": [1, 0.5], "samples_per_class": [2]}
    content = {"domains": [str(pictures)], "protocols": protocols, "seeds": [0, 1], **budgets}
    specs = expand(read_study(study_file(**content)))
    return pictures, tuple(spec for spec in specs if spec.backbone.name == "vit" and spec.protocol is not None)


def prepared(folder: Path) -> Store:
    store = Store(folder)
    store.prepare()
    return store


def rewrite(path: Path) -> None:
    """Change a picture's bytes, but neither its size nor its time of modification."""
    state, content = path.stat(), bytearray(path.read_bytes())
    content[-1] ^= 1  # of the checksum behind the last chunk, which decoders ignore
    path.write_bytes(content)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


def test_a_data_set_is_read_once_and_finished_cells_are_found_without_it(
    study: tuple[Path, tuple[CellSpec, ...]], tmp_path: Path, work: Counter[str]
) -> None:
    pictures, specs = study
    store = prepared(tmp_path / "store")
    assert len(specs) == 2 * (3 + 1)
    prepare(specs, store, {})
    assert run_worker(specs, store) == {"computed": 8}
    assert work == {
        "data sets": 1,
        "backbones": 1,
        "pictures hashed": len(list(pictures.rglob("*.png"))),
    }
    work.clear()
    for _ in range(3):
        as_another_process()
        prepare(specs, store, {})
        assert run_worker(specs, store) == {"found": 8}
    assert work == {}


def test_another_worker_loads_only_what_it_computes(
    study: tuple[Path, tuple[CellSpec, ...]], tmp_path: Path, work: Counter[str]
) -> None:
    _, specs = study
    store = prepared(tmp_path / "store")
    run_worker(specs[:2], store)
    as_another_process()
    work.clear()
    assert run_worker(specs[:3], store) == {"found": 2, "computed": 1}
    assert work["data sets"] == 1
    assert work["backbones"] == 0  # only the network that is measured


def test_a_picture_changed_in_place_gives_other_cells(
    study: tuple[Path, tuple[CellSpec, ...]], tmp_path: Path, work: Counter[str], monkeypatch: Monkey
) -> None:
    for name in ("LOOK_AGAIN", "LOOK_AGAIN_SECONDS"):
        monkeypatch.setattr(workbench, name, 0.0)
    pictures, specs = study
    store = prepared(tmp_path / "store")
    assert run_worker(specs[:2], store) == {"computed": 2}
    rewrite(next(pictures.rglob("test/*/*.png")))
    assert run_worker(specs[:2], store) == {"computed": 2}  # even in the same process
    as_another_process()
    assert run_worker(specs[:2], store) == {"found": 2}
    assert len(list(read_cells(store.cells))) == 4


def test_a_picture_that_changes_during_a_cell_makes_it_fail(
    study: tuple[Path, tuple[CellSpec, ...]], tmp_path: Path, work: Counter[str], monkeypatch: Monkey
) -> None:
    pictures, specs = study
    store = prepared(tmp_path / "store")

    def measure_and_change(*_: Any) -> Any:
        rewrite(next(pictures.rglob("train/*/*.png")))
        return MEASURED, {}

    monkeypatch.setattr(worker, "measure", measure_and_change)
    assert run_worker(specs[:1], store) == {"failed": 1}
    failure = store.failure(specs[0])
    assert failure is not None and "was changed while the cell was computed" in failure.error
    assert list(read_cells(store.cells)) == []


@pytest.mark.parametrize("damage", [b"", b"{}", b'{"facts": {}, "sha256": ""}'])
def test_damaged_facts_are_established_again(
    damage: bytes, study: tuple[Path, tuple[CellSpec, ...]], tmp_path: Path, work: Counter[str]
) -> None:
    _, specs = study
    store = prepared(tmp_path / "store")
    known = workbench.identify(specs[0], store.folder)
    files = sorted((store.folder / "facts").iterdir())
    whole = [path.read_bytes() for path in files]
    assert len(files) == 2
    for path in files:
        path.write_bytes(damage)
    as_another_process()
    assert workbench.identify(specs[0], store.folder) == known
    assert [path.read_bytes() for path in files] == whole


def test_facts_about_files_that_may_still_change_are_not_shared(
    study: tuple[Path, tuple[CellSpec, ...]], tmp_path: Path, monkeypatch: Monkey
) -> None:
    pictures, specs = study
    monkeypatch.setattr(file_signatures, "SETTLED_SECONDS", 3600.0)
    as_another_process()
    store = prepared(tmp_path / "store")
    workbench.identify(specs[0], store.folder)
    assert not (store.folder / "facts").exists()
    assert not source_signature(pictures).is_final


def test_facts_that_another_is_establishing_are_not_established_twice(tmp_path: Path) -> None:
    store = prepared(tmp_path)
    request = BackboneRequest("somewhere", 0, None, Signature("0", is_final=True))
    network = NetworkDescription("timm", "resnet18", "0" * 16, "1" * 16, 512)
    facts = BackboneFacts("0" * 16, PIXELS, 1, "somewhere", network)

    def establish() -> BackboneFacts:
        with pytest.raises(EstablishedElsewhereError):
            share_facts(store.folder, request, lambda: facts)
        return facts

    assert share_facts(store.folder, request, establish) == facts
    assert find_facts(store.folder, request) == facts
    assert list(store.claims.glob("*.json")) == []


def test_a_cell_whose_facts_another_is_establishing_is_taken_later(
    study: tuple[Path, tuple[CellSpec, ...]], tmp_path: Path, work: Counter[str]
) -> None:
    _, specs = study
    store = prepared(tmp_path / "store")
    workbench.identify(specs[0], store.folder)
    (path,) = (store.folder / "facts").glob("domain-*.json")
    content = path.read_bytes()
    path.unlink()
    claim = try_claim(store.claims, path.stem)
    assert claim is not None
    as_another_process()
    assert work_on(specs[0], store) is Outcome.WAITING
    path.write_bytes(content)
    assert work_on(specs[0], store) is Outcome.COMPUTED


def test_a_signature_tells_names_sizes_times_and_links(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    for each in (folder / "inner", elsewhere):
        each.mkdir(parents=True)
    (folder / "inner" / "a").write_bytes(b"first")
    (elsewhere / "b").write_bytes(b"linked")
    (folder / "link").symlink_to(elsewhere)
    (folder / "around").symlink_to(folder)
    (folder / "nowhere").symlink_to(tmp_path / "missing")
    seen = [file_signature(folder)]
    assert file_signature(folder).digest == seen[0].digest

    def differs() -> bool:
        seen.append(file_signature(folder))
        return len({each.digest for each in seen}) == len(seen)

    (folder / "inner" / "a").write_bytes(b"longer")
    assert differs()
    (elsewhere / "b").write_bytes(b"behind a link")
    assert differs()
    (folder / "inner" / "a").rename(folder / "inner" / "c")
    assert differs()
    (folder / "nowhere").unlink()
    assert differs()
    assert file_signature(tmp_path / "missing") == UNKNOWN
    (folder / "README.md").write_text("---\nconfigs:\n- data_files: ../elsewhere/*.png\n---\n")
    assert source_signature(folder) == UNKNOWN  # its files are not all below it
