"""A study's folder with very many cells and workers: real files and the real code of stores, workers and `status`.

To fill it in minutes, finished cells share their files of numbers and records as hard links.

Nothing is measured in the cells. A process holds many claims, so that a few processes stand for many workers.
"""

import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import pandas as pd
import yaml

from hf_sslgen.analysis.numbers import Analysis, Number
from hf_sslgen.commands.status import status_text
from hf_sslgen.domains.domain_facts import DomainFacts
from hf_sslgen.domains.taken import Taken, TakenSplit
from hf_sslgen.files import write_json
from hf_sslgen.geometry import Geometry
from hf_sslgen.preprocessing import Preprocessing
from hf_sslgen.study.cells.cell_folder import cell_folder
from hf_sslgen.study.cells.cell_form import CELL, cell_content
from hf_sslgen.study.cells.cell_identity import cell_identity
from hf_sslgen.study.cells.store import STUDY_FILE, Store
from hf_sslgen.study.config import read_study
from hf_sslgen.study.execution import worker
from hf_sslgen.study.execution.shared_facts import Facts, share_facts
from hf_sslgen.study.execution.workbench import backbone_request, domain_request, identify
from hf_sslgen.study.execution.worker import run_worker
from hf_sslgen.study.plan import CellSpec, expand
from hf_sslgen.study.prepared_cell import BackboneFacts
from hf_sslgen.work_claims import find_living_claims, kept_alive, try_claim
from hf_sslgen.zoo.network_description import NetworkDescription

EVENTS = ("open", "os.listdir", "os.scandir", "os.rename", "os.link", "os.remove", "os.mkdir", "os.rmdir", "os.utime")
PROTOCOLS = ("linear", "ssl-transfer-linear", "dino-knn", "full", "finetune")
COUNTS = (3, 3)
NETWORK = NetworkDescription("timm", "none", "0" * 16, "0" * 16, 1)
MEASURED = Analysis((Number("accuracy", 0.5, n=1),), pd.DataFrame({"sample_id": [0], "correct": [1.0]}))
PROVENANCE: dict[str, Any] = {
    "objective": "supervised",
    "group": "unstated",
    "seconds": 1.0,
    "class_names": ["a", "b"],
    "not_label_preserving": [],
    "parameters": 1,
    "licence": None,
    "domain_metric": "accuracy",
}

_operations: Counter[str] = Counter()


def _count(event: str, _: Any) -> None:
    if event in EVENTS:
        _operations[event] += 1


def write_study(folder: Path, cells: int) -> Path:
    """Write a study of about so many cells, with 20 folders for backbones and 20 for domains."""
    for kind in ("backbones", "domains"):
        for number in range(20):
            (folder / kind / f"{kind[:-1]}-{number}").mkdir(parents=True)
            (folder / kind / f"{kind[:-1]}-{number}" / "content").write_text(str(number))
    pairs, of_a_seed = 400, len(PROTOCOLS) * 3
    content = {
        "backbones": [
            {"location": str(path), "name": path.name, "objective": "supervised", "source": "none"}
            for path in sorted((folder / "backbones").iterdir())
        ],
        "untrained_control": False,
        "domains": [str(path) for path in sorted((folder / "domains").iterdir())],
        "protocols": list(PROTOCOLS),
        "label_fractions": [1, 0.1],
        "samples_per_class": [5],
        "seeds": list(range(max(1, (cells - pairs) // (pairs * of_a_seed)))),
        "geometry": {"image_size": 224},
    }
    write_json(folder / "results.json", {"numbers": [number.to_json() for number in MEASURED.numbers]})
    (folder / "records.parquet").write_bytes(b"nothing was measured")
    path = folder / "store" / STUDY_FILE
    (path.parent / "cells").mkdir(parents=True)
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def _same(value: Facts) -> Facts:
    return value


def fill(specs: tuple[CellSpec, ...], store: Store, facts_of: range, cells_of: slice) -> None:
    """Write a part of the facts or of the finished cells, with everything that workers leave of these."""
    pixels = Preprocessing(Geometry(224, 1.0, "bilinear"), (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    for spec in {spec.domain: spec for spec in specs}.values() if facts_of else ():
        splits = tuple(TakenSplit(role, role, sum(COUNTS), COUNTS) for role in ("train", "validation", "test"))
        taken = Taken(spec.domain_name, "image", "folders", ("a", "b"), splits, (), ())
        prints = dict.fromkeys(("train", "validation"), f"{spec.domain.split_seed:016x}") | {"test": "0" * 16}
        prints["train"] += spec.labels
        facts = DomainFacts(spec.domain_name, ("a", "b"), (), True, prints, taken)
        share_facts(store.folder, domain_request(spec.domain), partial(_same, facts))
    for spec in {spec.backbone: spec for spec in specs}.values() if facts_of else ():
        weights = BackboneFacts(spec.backbone.name, pixels, 1, spec.backbone.location, NETWORK)
        request = backbone_request(spec.backbone.location, spec.seed, spec.geometry)
        share_facts(store.folder, request, partial(_same, weights))
    for spec in specs[cells_of]:
        known = identify(spec, store.folder)
        identity = cell_identity(known, known.domain.fingerprints)
        folder = cell_folder(store.cells, identity)
        store.index(spec, folder.name)
        folder.mkdir()
        for name in ("results.json", "records.parquet"):
            os.link(store.folder.parent / name, folder / name)
        content = cell_content(identity, PROVENANCE, folder)
        (folder / CELL).write_text(json.dumps(content), encoding="utf-8")


def _filled(path: Path, part: int, parts: int, count: int) -> None:
    specs = expand(read_study(path))
    fill(specs, Store(path.parent), range(0), slice(part, count, parts))


@contextmanager
def _nothing_measured() -> Iterator[None]:
    with (
        mock.patch.object(worker, "measure", lambda *_: (MEASURED, {})),
        mock.patch.object(worker, "prepare_cell", lambda *_: None),
        mock.patch.object(worker, "cell_provenance", lambda *_: PROVENANCE),
    ):
        yield


def _worked(path: Path, claims: int, queue: "multiprocessing.Queue[Any]") -> None:
    """Work as `claims` workers' share of the store's load: one that works, and claims that are kept alive."""
    sys.addaudithook(_count)
    specs, store = expand(read_study(path)), Store(path.parent)
    _operations.clear()
    started = time.process_time()
    with ExitStack() as stack, _nothing_measured():
        for number in range(claims - 1):
            claim = try_claim(store.claims, f"held-{os.getpid()}-{number}--0123456789ab")
            assert claim is not None
            stack.enter_context(kept_alive(claim))
        counts = run_worker(specs, store)
    queue.put((time.process_time() - started, {str(key): value for key, value in counts.items()}, dict(_operations)))


def _seconds(label: str, action: Any) -> Any:
    started, used = time.perf_counter(), time.process_time()
    found = action()
    of_processor = time.process_time() - used  # of this process, without those that it starts
    print(f"{label:62} {time.perf_counter() - started:8.2f} s, of the processor {of_processor:8.2f} s", flush=True)
    return found


def measure_store(cells: int, processes: int, claims: int, new: int, folder: Path | None) -> None:
    """Fill a store but for `new` cells, and print what its use takes."""
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        path = write_study(Path(temporary), cells)
        store, context = Store(path.parent), multiprocessing.get_context("fork")
        store.prepare()
        specs = _seconds("planning", lambda: expand(read_study(path)))
        print(f"{len(specs):,} cells, {processes} processes with {claims} claims each")
        time.sleep(2.5)  # until the folders count as settled
        fill(specs, store, range(1), slice(0))

        def fill_all() -> None:
            parts = min(2, os.cpu_count() or 1)
            filling = [
                context.Process(target=_filled, args=(path, part, parts, len(specs) - new)) for part in range(parts)
            ]
            for process in filling:
                process.start()
            for process in filling:
                process.join()

        _seconds(f"writing {len(specs) - new:,} finished cells", fill_all)
        _seconds("status", lambda: status_text(store.folder))
        _seconds("status again", lambda: status_text(store.folder))
        queue: multiprocessing.Queue[Any] = context.Queue()
        working = [context.Process(target=_worked, args=(path, claims, queue)) for _ in range(processes)]

        def work_all() -> list[Any]:
            for process in working:
                process.start()
            return [queue.get() for _ in working]

        found = _seconds(f"{processes} workers find all and compute {new:,}", work_all)
        for process in working:
            process.join()
        print(f"{'of the processor, each':62} {[round(used, 1) for used, _, _ in found]}")
        totals: Counter[str] = Counter()
        for _, counts, _ in found:
            totals.update(counts)
        print(f"{'outcomes':62} {dict(totals)}")
        operations: Counter[str] = Counter()
        for _, _, counted in found:
            operations.update(counted)
        print(f"{'file operations of all workers':62} {operations.total():,}: {dict(operations)}")
        _seconds("one worker finds all finished", lambda: run_worker(specs, store))
        for number in range(processes * claims):
            try_claim(store.claims, f"listed-{number}--0123456789ab")
        _seconds(f"listing {processes * claims} living claims", lambda: find_living_claims(store.claims))
