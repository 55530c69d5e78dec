"""A probe that draws nothing, on published splits, is computed for one seed and found for the others."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.domains.domain_loading import load_domain
from hf_sslgen.study.cells.cell_folder import Cell
from hf_sslgen.study.cells.repeated_runs import run_of, with_stand_ins
from hf_sslgen.study.cells.store import STUDY_FILE, Store
from hf_sslgen.study.config import parse_study
from hf_sslgen.study.dry_run import dry_run_text
from hf_sslgen.study.execution.worker import run_worker
from hf_sslgen.study.finished_cells import read_study_results
from hf_sslgen.study.inference.study_results import infer
from hf_sslgen.study.plan import CellSpec, expand, first_seeds
from hf_sslgen.study.progress import state_of
from hf_sslgen.study.repeated_seeds import repeated_seeds, repeated_sentences

SPLITS = {"train": 5, "validation": 3, "test": 4}


@pytest.fixture
def content(study_content: Callable[..., dict[str, Any]], image_folder: Callable[..., Path]) -> dict[str, Any]:
    """Two networks and their untrained ones on a folder with all three splits, by linear probe, with two seeds."""
    domains = [{"dataset_name": str(image_folder(SPLITS))}]
    return study_content(domains=domains, seeds=[0, 1], untrained_control=True)


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path / "study")
    store.prepare()
    return store


def plan_of(content: dict[str, Any]) -> list[CellSpec]:
    return list(expand(parse_study(content, "study")))


def probes(specs: list[CellSpec]) -> list[CellSpec]:
    return [spec for spec in specs if spec.protocol_name == "linear"]


def test_a_run_is_computed_once_and_found_for_every_seed(
    content: dict[str, Any], store: Store, study_file: Callable[..., Path]
) -> None:
    specs = plan_of(content)
    num_untrained = len({spec.backbone.name for spec in specs if spec.backbone.objective == "untrained"})
    planned = len(specs) - 2  # of two networks, seed 1 repeats seed 0
    before = dry_run_text(specs, store, repeated_seeds(specs)).splitlines()
    row = next(line for line in before if line.startswith("all")).split()
    assert row[1:3] == [str(len(specs)), str(planned)]
    counts = run_worker(specs, store, num_threads=1)
    assert counts == {"computed": planned, "found": 2}
    assert len(list(store.cells.iterdir())) == planned
    assert {state_of(spec, store, {}) for spec in specs} == {"finished"}
    assert run_worker(specs, store, num_threads=1) == {"found": len(specs)}
    (store.folder / STUDY_FILE).write_text(study_file(**content).read_text())
    study = read_study_results(store)
    assert (study.missing, study.damaged, len(study.cells)) == ([], [], planned)
    results = infer(study.cells)
    assert len(results.cells) == planned
    accuracies = [d for d in results.targets if d.metric == "accuracy" and d.protocol == "linear"]
    num_seeds = {(d.first, d.second_objective): d.num_seeds for d in accuracies}
    assert num_untrained and num_seeds["vit", "supervised"] == 1 and num_seeds["vit", "untrained"] == 2
    rows = [d for d in results.differences if d.metric == "accuracy" and d.second_objective == "supervised"]
    assert [d.seed for d in rows] == [0]


def test_finished_cells_of_other_seeds_stay_and_count_as_one_run(content: dict[str, Any], store: Store) -> None:
    specs = probes(plan_of({**content, "untrained_control": False, "seeds": [1]}))
    run_worker(specs, store, num_threads=1)
    both = probes(plan_of({**content, "untrained_control": False}))
    seed_1 = [spec for spec in both if spec.seed == 1]
    folders = {spec: store.indexed(spec) for spec in seed_1}
    run_worker(both, store, num_threads=1)
    assert {spec: store.indexed(spec) for spec in seed_1} == folders
    assert all("--1--" in str(folder) for folder in folders.values())


def test_a_failed_first_seed_does_not_stop_the_others(content: dict[str, Any], store: Store) -> None:
    specs = probes(plan_of({**content, "untrained_control": False}))
    for spec in specs:
        if spec.seed == 0:
            store.record_failure(spec, ValueError("out of luck"))
    assert run_worker(specs, store, num_threads=1) == {"failed": 2, "computed": 2}
    assert all(store.is_finished(spec) == (spec.seed == 1) for spec in specs)


def test_the_dry_run_says_what_repeats(content: dict[str, Any]) -> None:
    specs = plan_of({**content, "protocols": ["linear", "dino-knn", "finetune"], "seeds": [0, 1, 2]})
    repeated = repeated_seeds(specs)
    assert {spec.protocol_name for spec in repeated} == {"linear", "dino-knn"}
    assert {spec.seed for spec in repeated} == {1, 2} and {first.seed for first in repeated.values()} == {0}
    assert not any(spec.backbone.objective == "untrained" for spec in repeated)
    assert repeated_sentences(repeated)[0] == (
        "linear on photo-patches, 100% of the labels: nothing is drawn at random, so seeds 1, 2 repeat seed 0 and are "
        "not computed again, except for untrained networks."
    )
    assert first_seeds(specs)[next(iter(repeated))] == next(iter(repeated.values()))


@pytest.mark.parametrize(
    "changes",
    [{}, {"max_train_samples": 9}, {"max_eval_samples": 6}, {"label_fraction": 0.6}, {"samples_per_class": 2}],
    ids=str,
)
def test_whether_splits_are_drawn_is_what_fingerprints_say(
    image_folder: Callable[..., Path], changes: dict[str, Any]
) -> None:
    arguments = DomainArguments(str(image_folder(SPLITS)), test_seed=0, **changes)
    domains = [load_domain(replace(arguments, split_seed=seed)) for seed in (0, 1, 2)]
    differ = len({str(domain.fingerprints()) for domain in domains}) > 1
    assert [domain.draws_splits for domain in domains] == [differ] * 3 and differ == bool(changes)


@pytest.mark.parametrize("missing", ["validation", "test"])
def test_carved_splits_are_drawn(image_folder: Callable[..., Path], missing: str) -> None:
    folder = image_folder({name: count for name, count in SPLITS.items() if name != missing})
    assert load_domain(DomainArguments(str(folder), test_seed=0)).draws_splits
    assert load_domain(DomainArguments(str(folder))).draws_splits


def cell(backbone: str, seed: int, protocol: str = "linear", weights: str = "w", splits: str = "s") -> Cell:
    settings = {"inverse_regularisations": [1.0]} if protocol == "linear" else {"learning_rates": [0.1]}
    identity = {"backbone": backbone, "domain": "d", "protocol": protocol, "labels": "100%", "seed": seed}
    identity |= {"weights": weights, "splits": {"train": splits}, "protocol_settings": settings}
    return Cell(Path(f"{backbone}-{seed}"), identity, {}, ())


def test_cells_are_one_run_if_nothing_but_an_unused_seed_differs() -> None:
    assert run_of(cell("a", 0)) == run_of(cell("a", 1))
    for other in (cell("b", 1), cell("a", 1, weights="x"), cell("a", 1, splits="x")):
        assert run_of(cell("a", 0)) != run_of(other)
    assert run_of(cell("a", 0, "finetune")) != run_of(cell("a", 1, "finetune"))


def test_a_run_stands_in_for_the_seeds_of_its_splits_alone() -> None:
    cells = [cell("a", 0), cell("u", 0, weights="u0"), cell("u", 1, weights="u1"), cell("b", 2, splits="x")]
    found = {(each.backbone, each.seed) for each in with_stand_ins(cells)[len(cells) :]}
    assert found == {("a", 1)}
    tuned = [cell("a", 0, "finetune"), cell("u", 1, "finetune", weights="u1")]
    assert with_stand_ins(tuned) == tuned
