"""What workers take first, and that cells which share a pass are taken together."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from hf_sslgen.study.cells.store import Store
from hf_sslgen.study.config import parse_study
from hf_sslgen.study.estimate import Sizes
from hf_sslgen.study.execution import rounds
from hf_sslgen.study.execution.rounds import Outcome, work_through
from hf_sslgen.study.execution.schedule import ordered_units
from hf_sslgen.study.plan import CellSpec, expand
from hf_sslgen.work_claims import kept_alive, try_claim

SIZES = {"digits": Sizes(100, 20, 30), "photo-patches": Sizes(1000, 200, 300)}


@pytest.fixture(scope="module")
def specs(study_content: Callable[..., dict[str, Any]]) -> tuple[CellSpec, ...]:
    """Two backbones on two domains under two frozen protocols and two that train networks, with two seeds."""
    protocols = [
        "linear",
        {"preset": "dino-knn", "neighbours": [5]},
        {"preset": "finetune", "name": "short", "max_steps": 2},
        {"preset": "finetune", "name": "long", "num_train_epochs": 100},
    ]
    domains = ["digits", "photo-patches"]
    return expand(parse_study(study_content(domains=domains, protocols=protocols), "study"))


def sizes(spec: CellSpec) -> Sizes:
    return SIZES[spec.domain_name]


def test_cells_that_share_a_pass_are_together_and_the_longest_come_first(specs: tuple[CellSpec, ...]) -> None:
    units = ordered_units(specs, sizes)
    assert sorted(spec.key for unit in units for spec in unit.cells) == sorted(spec.key for spec in specs)
    trained = [unit for unit in units if unit.trains_networks]
    assert units[: len(trained)] == trained and all(len(unit.cells) == 1 for unit in trained)
    named = [(unit.cells[0].protocol_name, unit.cells[0].domain_name) for unit in trained]
    assert list(dict.fromkeys(named)) == [
        *[("long", "photo-patches"), ("long", "digits"), ("short", "photo-patches"), ("short", "digits")]
    ]
    frozen = units[len(trained) :]
    assert [unit.cells[0].domain_name for unit in frozen] == ["photo-patches"] * 2 + ["digits"] * 2
    for unit in frozen:  # the pretrained stage, and two protocols with two seeds
        assert len(unit.cells) == 5
        assert len({(spec.backbone.name, spec.domain_name) for spec in unit.cells}) == 1


def test_an_untrained_network_has_other_features_with_every_seed(specs: tuple[CellSpec, ...]) -> None:
    name = replace(specs[0].backbone, location="untrained:somewhere")
    untrained = [replace(spec, backbone=name) for spec in specs if spec.protocol_name == "linear"]
    units = ordered_units(untrained, sizes)
    assert {len({spec.seed for spec in unit.cells}) for unit in units} == {1}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    store = Store(tmp_path)
    store.prepare()
    return store


def test_a_unit_in_which_another_is_at_work_is_left_for_later(specs: tuple[CellSpec, ...], store: Store) -> None:
    first, second = specs[:3], specs[3:5]
    taken: list[CellSpec] = []

    def attempt(spec: CellSpec) -> Outcome:
        taken.append(spec)
        return Outcome.BUSY if spec == first[1] and taken.count(spec) == 1 else Outcome.COMPUTED

    assert work_through([first, second], attempt, store) == {Outcome.COMPUTED: 5}
    assert taken == [*first[:2], *second, *first[1:]]


def test_a_claimed_cell_is_waited_for_without_looking_at_it(
    specs: tuple[CellSpec, ...], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec, name = specs[0], "digits--net--linear--0123456789ab"
    store.index(spec, name)
    claim = try_claim(store.claims, name)
    assert claim is not None
    attempts, pauses = Counter[CellSpec](), []

    def attempt(spec: CellSpec) -> Outcome:
        attempts[spec] += 1
        return Outcome.BUSY if claim is not None and claim.path.exists() else Outcome.FOUND

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 4:
            assert claim is not None
            claim.path.unlink()

    monkeypatch.setattr(rounds.time, "sleep", pause)
    assert work_through([[spec]], attempt, store) == {Outcome.FOUND: 1}
    assert attempts[spec] == 2
    assert pauses == sorted(pauses) and pauses[0] < pauses[-1] <= rounds.LONGEST_POLL_SECONDS


def test_who_does_not_wait_leaves_when_others_compute_all_that_is_left(
    specs: tuple[CellSpec, ...], store: Store
) -> None:
    units = [specs[:2], specs[2:4]]
    for each in (specs[0], specs[2]):
        store.index(each, f"{each.key}--0123456789ab")
    first, third = (try_claim(store.claims, f"{each.key}--0123456789ab") for each in (specs[0], specs[2]))
    assert first is not None and third is not None

    def attempt(spec: CellSpec) -> Outcome:
        return Outcome.BUSY if spec in (specs[0], specs[2]) else Outcome.COMPUTED

    with kept_alive(first), kept_alive(third):
        assert work_through(units, attempt, store, wait=False) == {Outcome.COMPUTED: 2, Outcome.BUSY: 2}


def test_who_does_not_wait_still_waits_for_what_cells_are_recognised_by(
    specs: tuple[CellSpec, ...], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes = iter([Outcome.WAITING, Outcome.WAITING, Outcome.COMPUTED])
    monkeypatch.setattr(rounds.time, "sleep", lambda _: None)
    assert work_through([specs[:1]], lambda _: next(outcomes), store, wait=False) == {Outcome.COMPUTED: 1}
