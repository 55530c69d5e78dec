"""A study is read back from its folder alone."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hf_sslgen.study.cells.store import STUDY_FILE, Store
from hf_sslgen.study.config import parse_study
from hf_sslgen.study.finished_cells import finished_cells, read_study_results
from hf_sslgen.study.plan import expand
from hf_sslgen.study.progress import damaged_sentences, failure_sentences, living_claims, missing_sentences, state_of
from hf_sslgen.work_claims import kept_alive, try_claim


@pytest.fixture
def store(finished_study: Any, tmp_path: Path) -> Store:
    """A copy elsewhere."""
    return Store(Path(shutil.copytree(finished_study.store.folder, tmp_path / "copy")))


def test_all_comes_from_the_folder(finished_study: Any, store: Store) -> None:
    study = read_study_results(store)
    assert study.config == finished_study.config
    assert study.damaged == []
    assert [(cell.backbone, cell.protocol, cell.seed) for cell in study.cells] == [
        ("resnet", "pretrained", 0),
        ("vit", "pretrained", 0),
        ("resnet", "linear", 0),
        ("vit", "linear", 0),
        ("resnet", "linear", 1),
        ("vit", "linear", 1),
    ]
    assert {cell.folder.parent for cell in study.cells} == {store.cells}
    (sentence,) = study.missing
    assert sentence.startswith("Failed: resnet on digits, impossible")
    assert "; vit on digits, impossible" in sentence
    assert ": InputError: an episode" in sentence


def test_what_the_file_says_now_is_shown(store: Store) -> None:
    path = store.folder / STUDY_FILE
    content = json.loads(path.read_text())
    content["backbones"][1] |= {"objective": "byol", "pretraining_seed": 7}
    content["domains"][0]["group"] = "similar"
    content["seeds"] = [0]
    content["exclude"] = [{"protocol": "impossible"}]
    path.write_text(json.dumps(content))
    study = read_study_results(store)
    vit = [cell for cell in study.cells if cell.backbone == "vit"]
    assert {(cell.provenance["objective"], cell.provenance["pretraining_seed"]) for cell in vit} == {("byol", 7)}
    assert study.missing == [f"2 cells in the store are not part of {STUDY_FILE} and are not shown."]


def test_a_changed_domain_is_another_plan(store: Store, study_content: Callable[..., dict[str, Any]]) -> None:
    specs = expand(parse_study(study_content(samples_per_class=[1]), "study"))
    assert [cell.protocol for cell in finished_cells(specs, store)[0]] == ["pretrained", "pretrained"]
    assert missing_sentences(specs, store) == ["4 of 6 cells are not computed yet."]


def test_states_and_who_is_at_work(finished_study: Any, store: Store) -> None:
    specs = finished_study.specs
    shutil.rmtree(store.cells / str(store.indexed(specs[0])))
    cell = store.indexed(specs[0])
    assert cell is not None
    assert state_of(specs[0], store, living_claims(store)) == "waiting"
    claim = try_claim(store.claims, cell)
    assert claim is not None and claim.owner is not None
    with kept_alive(claim):
        claimed = living_claims(store)
        assert claimed[cell].startswith(f"process {claim.owner.process} on {claim.owner.host} since ")
        states = [state_of(spec, store, claimed) for spec in specs]
    assert states.count("running") == 1
    assert (states.count("finished"), states.count("failed")) == (5, 2)


def test_a_failure_that_somebody_made_good_is_not_told(finished_study: Any, store: Store) -> None:
    done = next(spec for spec in finished_study.specs if spec.protocol_name == "linear")
    store.record_failure(done, RuntimeError("late"))
    assert not store.has_failed(done)
    assert not any("late" in sentence for sentence in failure_sentences(finished_study.specs, store))
    other = replace(done, seed=done.seed + 100)
    store.record_failure(other, RuntimeError("early"))
    assert store.has_failed(other)


def test_a_store_without_a_study_has_all_its_cells(store: Store) -> None:
    (store.folder / STUDY_FILE).unlink()
    study = read_study_results(store)
    assert (study.config, len(study.cells), study.missing, study.damaged) == (None, 6, [], [])


def test_a_damaged_cell_is_named_and_hides_no_other(finished_study: Any, store: Store) -> None:
    spec = finished_study.specs[0]
    cell = store.indexed(spec)
    assert cell is not None
    (store.cells / cell / "results.json").write_text("")
    study = read_study_results(store)
    assert len(study.cells) == 5
    (sentence,) = study.damaged
    assert sentence == (
        f"{store.cells / cell} holds no readable cell (its results.json has changed since it was written); remove "
        "it to have it computed again"
    )
    assert sentence in study.missing
    assert damaged_sentences(finished_study.specs, store) == {spec: sentence}
    (store.folder / STUDY_FILE).unlink()
    assert read_study_results(store).damaged == [sentence]


@pytest.mark.parametrize(
    "content", ["", "[]", "{", '{"cell": 1}', '{"key": "KEY", "cell": "../../elsewhere"}', "\0" * 9]
)
def test_a_damaged_entry_of_the_index_is_none(content: str, finished_study: Any, store: Store) -> None:
    spec, other = finished_study.specs[0], finished_study.specs[1]
    for path in (store.index_path(spec), store.folder / "failures" / f"{spec.key}.json"):
        path.write_text(content.replace("KEY", spec.key))
    assert store.indexed(spec) is None
    assert store.failure(spec) is None
    assert not store.has_failed(spec)
    shutil.copy(store.index_path(other), store.index_path(spec))
    assert store.indexed(spec) is None


def test_an_index_that_leads_to_another_cell_is_named(finished_study: Any, store: Store) -> None:
    spec, other = finished_study.specs[0], finished_study.specs[1]
    store.index(spec, str(store.indexed(other)))
    cells, damaged = finished_cells([spec], store)
    assert cells == []
    assert damaged == [
        f"{store.index_path(spec)} leads from {spec.title} to a different cell; remove the file, and the cell is "
        "looked up again"
    ]
