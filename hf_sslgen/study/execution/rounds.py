"""Go through a study's cells until none is left: first where nobody else is at work, then what others gave up."""

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum

from hf_sslgen.study.cells.store import Store
from hf_sslgen.study.plan import CellSpec
from hf_sslgen.work_claims import find_living_claims

logger = logging.getLogger(__name__)

POLL_SECONDS = 1.0
LONGEST_POLL_SECONDS = 15.0
"""A worker without work looks this often; a shared file system has to answer all of them."""


class Outcome(StrEnum):
    """The outcome of a worker's attempt at a cell.

    `BUSY`: another process is computing it. `WAITING`: another process is establishing what the cell's identity
    depends on. `HELPED`: another process is computing it and was helped.
    """

    COMPUTED = "computed"
    FOUND = "found"
    FAILED = "failed"
    BUSY = "busy"
    WAITING = "waiting"
    HELPED = "helped"

    @property
    def is_final(self) -> bool:
        """Whether the cell needs no further attempt."""
        return self in (Outcome.COMPUTED, Outcome.FOUND, Outcome.FAILED)


Attempt = Callable[[CellSpec], Outcome]


def work_through(
    units: Iterable[Sequence[CellSpec]],
    attempt: Attempt,
    store: Store,
    assist: Attempt = lambda _: Outcome.BUSY,
    wait: bool = True,
    advance: Callable[[], object] = lambda: None,
) -> Counter[Outcome]:
    """Attempt every cell until all are finished or have failed.

    A unit in which another process is at work is left to it until all others have been attempted.

    Args:
        units: cells to attempt one after the other.
        assist: attempts to help with a cell that another process is computing.
        wait: whether to wait for cells that others are computing; otherwise they are counted as `BUSY`.
        advance: called for each cell that needs no further attempt.
    """
    counts: Counter[Outcome] = Counter()

    def noted(spec: CellSpec, outcome: Outcome) -> Outcome:
        if outcome.is_final:
            counts[outcome] += 1
            advance()
        return outcome

    left = [spec for unit in units for spec in _postponed(unit, attempt, noted)]
    if left and wait:
        logger.info("%d cells are left to other processes or wait for them", len(left))
    pause, names = POLL_SECONDS, _Names(store)
    while left:
        living = {claim.name for claim in find_living_claims(store.claims)}
        claimed = {spec for spec in left if names.of(spec) in living}
        outcomes = {spec: noted(spec, attempt(spec)) for spec in left if spec not in claimed}
        outcomes |= {spec: assist(spec) for spec in claimed}
        left = [spec for spec in left if not outcomes[spec].is_final]
        if not set(outcomes.values()) <= {Outcome.BUSY, Outcome.WAITING}:
            pause = POLL_SECONDS
            continue
        if not wait and Outcome.WAITING not in outcomes.values():
            counts[Outcome.BUSY] = len(left)
            break
        time.sleep(pause)
        pause = min(1.5 * pause, LONGEST_POLL_SECONDS)
    return counts


def _postponed(
    unit: Sequence[CellSpec], attempt: Attempt, noted: Callable[[CellSpec, Outcome], Outcome]
) -> Sequence[CellSpec]:
    """Attempt the cells of a unit up to one that has to wait; returns it and those behind it."""
    for index, spec in enumerate(unit):
        if not noted(spec, attempt(spec)).is_final:
            return unit[index:]
    return ()


class _Names:
    """The folders that cells' identities lead to, each looked up once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[CellSpec, str] = {}

    def of(self, spec: CellSpec) -> str | None:
        name = self._known.get(spec) or self._store.indexed(spec)
        if name is not None:
            self._known[spec] = name
        return name
