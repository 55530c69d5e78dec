"""Which cells are one run: a probe without random numbers gives the same cell for every seed on the same splits.

The linear probe and the nearest neighbours draw nothing. Their seed decides only how splits are carved and labels
chosen, both of which are in the identity, and the weights of an untrained network, which are there too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from hf_sslgen.study.cells.cell_folder import Cell, identity_hash

DRAWING_NOTHING = ("inverse_regularisations", "neighbours")
"""Settings that only protocols without random numbers have."""


def draws_nothing(identity: Mapping[str, Any]) -> bool:
    """Return whether the cell's protocol uses no random numbers, and the identity says which splits it used."""
    settings, splits = identity.get("protocol_settings"), identity.get("splits")
    if not isinstance(settings, dict) or not isinstance(splits, dict):
        return False
    return any(name in settings for name in DRAWING_NOTHING)


def run_of(cell: Cell) -> str:
    """Return text that is equal for cells that are the same run."""
    identity = cell.identity
    return identity_hash({**identity, "seed": None} if draws_nothing(identity) else identity)


def with_stand_ins(cells: Sequence[Cell]) -> list[Cell]:
    """Return the cells, and each run without random numbers also under the other seeds that its splits were used with.

    It can then be compared with cells of those seeds, such as untrained networks.
    """
    seeds: dict[str, dict[int, None]] = {}
    for cell in cells:
        seeds.setdefault(_place(cell), {})[cell.seed] = None
    found = {(cell.backbone, _place(cell), cell.seed) for cell in cells}
    stand_ins = []
    for cell in cells:
        for seed in seeds[_place(cell)]:
            key = cell.backbone, _place(cell), seed
            if key not in found and draws_nothing(cell.identity):
                found.add(key)
                stand_ins.append(replace(cell, identity={**cell.identity, "seed": seed}))
    return [*cells, *stand_ins]


def _place(cell: Cell) -> str:
    """Return text that is equal for cells with the same domain, protocol, label budget and splits."""
    names = ("domain", "protocol", "labels", "splits")
    return identity_hash({name: cell.identity.get(name) for name in names})
