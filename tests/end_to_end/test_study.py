"""A study ends with the same cells however it is run, and whatever happens to its processes.

What is compared is `results.json` of every cell, under names that hold the hash of its identity.
"""

import json
import multiprocessing
import random
import re
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
import warm_python

from hf_sslgen.command_line import run_command
from hf_sslgen.study.cells.cell_folder import read_cell, read_cells
from hf_sslgen.study.cells.store import Store
from hf_sslgen.study.config import read_study
from hf_sslgen.study.execution.worker import run_worker
from hf_sslgen.study.plan import expand

SIZES = {"max_train_samples": 30, "max_eval_samples": 20, "max_test_samples": 30}
LARGE = {
    "analysis": {"max_subset": 20, "num_examples": 2, "batch_size": 20},
    "domains": [{"dataset_name": name, **SIZES} for name in ("digits", "photo-patches")],
    "protocols": [
        {"preset": "linear", "grid": {"standardise": [True, False]}},
        {"preset": "dino-knn", "neighbours": [5]},
        {"preset": "finetune", "learning_rates": [1e-3], "max_steps": 2, "batch_size": 10},
    ],
}
LARGE_COUNT = 2 * (2 + 4 * 2 * 2)
COMPUTED = re.compile(r"^INFO hf_sslgen\.study\.execution\.worker: (.*): [0-9.]+ s$", re.MULTILINE)
KILLS = 30
PRELOADED = [
    "hf_sslgen.commands.study",
    "pyarrow.parquet",
    "timm",
    "transformers.models.timm_wrapper.modeling_timm_wrapper",
]


def start(study: Path, output_dir: Path, *options: str) -> warm_python.WarmProcess:
    return warm_python.start(
        ["-m", "hf_sslgen.cli", "study", str(study), "--output_dir", str(output_dir), "--verbose", *options]
    )


def outputs(processes: list[warm_python.WarmProcess]) -> list[str]:
    """What processes say until they end; all of them have to end well."""
    said = ["".join(process.communicate()) for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes), "\n".join(said)
    return said


def results(output_dir: Path) -> dict[str, str]:
    return {path.parent.name: path.read_text() for path in (output_dir / "cells").glob("[!.]*/results.json")}


def assert_is_tidy(output_dir: Path) -> None:
    """All cells can be read, and nothing else is left of the work."""
    assert list((output_dir / "claims").glob("*.json")) == []
    assert not (output_dir / "scratch").exists()
    assert [str(path) for path in output_dir.rglob("*") if path.name.endswith(".unfinished")] == []
    folders = list((output_dir / "cells").iterdir())
    assert len({json.dumps(read_cell(folder).identity, sort_keys=True) for folder in folders}) == len(folders)
    for folder in folders:
        assert len(read_cell(folder).records()) > 0


def written(path: Path, content: dict[str, Any]) -> Path:
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def test_two_processes_share_a_study(study_file: Callable[..., Path], tmp_path: Path) -> None:
    protocols = ["linear", {"preset": "dino-knn", "neighbours": [5]}]
    study = study_file(protocols=protocols, samples_per_class=[2])
    specs = expand(read_study(study))
    assert len(specs) == 2 * (1 + 2 * 2)
    alone = Store(tmp_path / "alone")
    alone.prepare()
    assert run_worker(specs, alone, num_threads=1) == {"computed": 10}
    together = [start(study, tmp_path / "shared") for _ in range(2)]
    titles = [title for said in outputs(together) for title in COMPUTED.findall(said)]
    assert sorted(titles) == sorted(spec.title for spec in specs)
    assert results(tmp_path / "shared") == results(tmp_path / "alone")
    assert_is_tidy(tmp_path / "shared")
    assert (tmp_path / "shared" / "report" / "index.html").exists()


@pytest.fixture(scope="module")
def large(
    study_content: Callable[..., dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, dict[str, str]]]:
    """A study of 36 cells, and its results when it ran undisturbed in this process.

    Overhead is what the worker's loop takes beyond its cells' own seconds (`provenance.seconds`: from the backbone's
    loading to the last number), among it reading domains, fingerprints, claims and writing. Everything is imported and
    each kind of cell was computed once before the clock starts, as in a study of hours.
    """
    folder = tmp_path_factory.mktemp("large")
    study = written(folder / "study.yaml", study_content(**LARGE))
    specs = expand(read_study(study))
    assert len(specs) == LARGE_COUNT == 36
    warm, store = Store(folder / "warm"), Store(folder / "alone")
    for each in (warm, store):
        each.prepare()
    run_worker([spec for spec in specs if spec.seed == 0 and spec.domain_name == "digits"], warm, num_threads=1)
    started = time.perf_counter()
    counts = run_worker(specs, store, num_threads=1)
    wall = time.perf_counter() - started
    assert counts == {"computed": LARGE_COUNT}
    computing = sum(cell.provenance["seconds"] for cell in read_cells(store.cells))
    overhead = (wall - computing) / computing
    print(f"\n{LARGE_COUNT} cells: {wall:.1f} s, of which computing {computing:.1f} s; overhead {overhead:.1%}")
    assert overhead < 0.06
    assert_is_tidy(store.folder)
    yield study, results(store.folder)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_three_processes_compute_each_cell_once(large: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    study, expected = large
    titles = [
        title for said in outputs([start(study, tmp_path) for _ in range(3)]) for title in COMPUTED.findall(said)
    ]
    assert sorted(titles) == sorted(spec.title for spec in expand(read_study(study)))
    assert results(tmp_path) == expected
    assert_is_tidy(tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_two_ray_workers_compute_each_cell_once(large: tuple[Path, dict[str, str]], tmp_path: Path) -> None:
    pytest.importorskip("ray")
    study, expected = large
    (said,) = outputs([start(study, tmp_path, "--executor", "ray", "--workers", "2")])
    ended = re.findall(r"a Ray worker ended: (.*)$", said, re.MULTILINE)
    assert len(ended) == 2
    assert sum(int(count) for counts in ended for count in re.findall(r"(\d+) computed", counts)) == LARGE_COUNT
    assert results(tmp_path) == expected
    assert_is_tidy(tmp_path)


def launch(study: Path, output_dir: Path) -> BaseProcess:
    """The command in a process of its own, forked from one that has imported everything, so that it starts at once."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    options = [str(study), "--output_dir", str(output_dir), "--write_report", "false"]
    process = context.Process(target=run_command, args=("hf_sslgen.commands.study", options))
    process.start()
    return process


def wait_for_moment(moments: random.Random, output_dir: Path, process: BaseProcess) -> str:
    """Until a random while after work began, or until a cell is being written, was just finished or just claimed."""
    kind = moments.choice(["later", "writing", "finished", "claimed"])
    claims, cells, deadline = output_dir / "claims", output_dir / "cells", time.monotonic() + 120
    while process.is_alive() and not list(claims.glob("*.json")) and time.monotonic() < deadline:
        time.sleep(0.002)
    if kind == "later":
        time.sleep(moments.uniform(0, 3))
        return kind
    pattern = {"writing": ".*.unfinished", "finished": "[!.]*", "claimed": "*.json"}[kind]
    folder = claims if kind == "claimed" else cells
    before = {path.name for path in folder.glob(pattern)}
    while process.is_alive() and {path.name for path in folder.glob(pattern)} <= before:
        if time.monotonic() > deadline:
            break
        time.sleep(0.0005)
    time.sleep(moments.choice([0, 0.001, 0.005]))
    return kind


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_kill_9_at_random_moments_loses_nothing(study_file: Callable[..., Path], tmp_path: Path) -> None:
    """Half of the kills hit a study that runs alone, half one of two processes on one store."""
    study = study_file(protocols=["linear", {"preset": "dino-knn", "neighbours": [5]}])
    specs = expand(read_study(study))
    undisturbed = Store(tmp_path / "undisturbed")
    undisturbed.prepare()
    run_worker(specs, undisturbed, num_threads=1)
    expected = results(undisturbed.folder)
    seed = random.SystemRandom().randrange(10**6)
    moments = random.Random(seed)
    print(f"\nseed of the kills: {seed}")
    stores, kinds = [tmp_path / "store-0"], Counter[str]()
    for kill in range(KILLS):
        if len(results(stores[-1])) > len(specs) - 3:  # there must be something left to be killed
            stores.append(tmp_path / f"store-{len(stores)}")
        victim = launch(study, stores[-1])
        companion = launch(study, stores[-1]) if kill % 2 else None
        kind = wait_for_moment(moments, stores[-1], victim)
        victim.kill()
        victim.join()
        kinds[kind if victim.exitcode == -signal.SIGKILL else "too late"] += 1
        found = results(stores[-1])
        assert found.items() <= expected.items()
        for folder in (stores[-1] / "cells").glob("[!.]*"):
            read_cell(folder).records()
        print(f"kill {kill}: {kind}, exit code {victim.exitcode}, {len(found)} cells", flush=True)
        if companion is not None:  # it goes on for a while, and ends as a study does that is asked to
            time.sleep(moments.uniform(0, 1))
            companion.terminate()
            companion.join(120)
            assert companion.exitcode in (0, 128 + signal.SIGTERM)
    print(dict(kinds))
    assert kinds["too late"] < KILLS / 5
    for folder in stores:
        store = Store(folder)
        store.prepare()
        assert run_worker(specs, store, num_threads=1).total() == len(specs)
        assert results(folder) == expected
        assert_is_tidy(folder)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_kill_9_among_the_candidates_of_a_grid(study_file: Callable[..., Path], tmp_path: Path) -> None:
    """Two processes share the candidates of a cell, one of them is killed, and the numbers are those of one alone."""
    grid = {"preset": "finetune", "learning_rates": [1e-4, 1e-3, 3e-3, 1e-2, 1e-3 / 3], "max_steps": 8}
    study = study_file(protocols=[grid], seeds=[0], exclude=[{"protocol": "pretrained"}, {"backbone": "vit"}])
    specs = expand(read_study(study))
    alone = Store(tmp_path / "alone")
    alone.prepare()
    assert run_worker(specs, alone, num_threads=1) == {"computed": 1}
    for victim in (0, 1):
        folder = tmp_path / f"killed-{victim}"
        both = [launch(study, folder) for _ in range(2)]
        while all(process.is_alive() for process in both) and not list(folder.glob("unfinished/*/*/*/result.json")):
            time.sleep(0.002)
        both[victim].kill()
        for process in both:
            process.join(300)
        assert [process.exitcode for process in both].count(0) >= 1
        store = Store(folder)
        store.prepare()
        assert run_worker(specs, store, num_threads=1) == {"found": 1}
        assert results(folder) == results(alone.folder)
        assert_is_tidy(folder)
        (cell,), (whole,) = (list(read_cells(each.cells)) for each in (store, alone))
        assert cell.provenance["selection"] == whole.provenance["selection"]
