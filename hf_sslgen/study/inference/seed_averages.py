"""Paired differences averaged over seeds: one per contrast, target, protocol, label budget and number.

Fine-tuning seeds are averaged first, then pretraining seeds, on the same resampled images. The spreads over the two
are reported separately.
"""

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from hf_sslgen.metrics.results import Interval
from hf_sslgen.study.cells.cell_folder import Cell
from hf_sslgen.study.inference.contrasts import CellKey, cell_key
from hf_sslgen.study.inference.differences import Difference, compare_averaged
from hf_sslgen.study.inference.judgement import Judgement
from hf_sslgen.study.inference.scopes import scoped_intervals

Item = TypeVar("Item")
Key = TypeVar("Key", bound=Hashable)
Pair = tuple[str, str, int | None]
Contrast = tuple[str, str, str]


@dataclass(frozen=True)
class TargetDifference(Difference):
    """A difference on one target, averaged over seeds, with the interval over the images that all share.

    `first` and `second` are backbones, or objectives where the average is over pretraining seeds; `seed` and
    `pretraining_seed` are the first of those averaged. A spread is a standard deviation, NaN below two seeds.

    Attributes:
        num_seeds: fine-tuning seeds, those of all pretraining seeds counted together.
        seed_spread: over fine-tuning seeds, pooled over pretraining seeds.
        num_pretraining_seeds: pairs of pretraining runs.
        pretraining_seed_spread: over pretraining seeds, each averaged over its fine-tuning seeds.
        run_values: the difference by pretraining seed.
        judgement: what may be claimed of it, and in which scope.
    """

    num_seeds: int = 1
    seed_spread: float = math.nan
    num_pretraining_seeds: int = 1
    pretraining_seed_spread: float = math.nan
    run_values: Mapping[int, float] = field(default_factory=dict)
    judgement: Judgement = field(kw_only=True)

    @property
    def verdict(self) -> str:
        """`higher`, `lower` or `undecided`, in the widest scope that the study's runs can test."""
        return self.judgement.verdict


def target_differences(cells: Sequence[Cell], differences: Sequence[Difference]) -> list[TargetDifference]:
    """Average differences over seeds, including differences from untrained controls.

    Args:
        cells: the cells that were compared; their records are read again if several seeds are averaged.
        differences: from `hf_sslgen.study.inference.contrasts.compare_all`.
    """
    by_key = {cell_key(cell): cell for cell in cells}
    parameters = {cell.backbone: cell.provenance.get("parameters") for cell in cells}
    contrasts = _contrasts(differences, parameters)
    settings = grouped(differences, [(contrasts[_pair(d)], d.domain, d.protocol, d.labels) for d in differences])
    targets = []
    for (contrast, *_), members in settings.items():
        runs = grouped(members, [_pair(d) for d in members])
        seeds = {pair: list(dict.fromkeys(d.seed for d in run)) for pair, run in runs.items()}
        one = len(seeds) == 1 and len(next(iter(seeds.values()))) == 1
        averaged = members if one else _averaged(by_key, members[0], seeds)
        replicates = grouped(members, [_number(d) for d in members])
        targets += [
            _target(difference, contrast, replicates[_number(difference)])
            for difference in averaged
            if _number(difference) in replicates  # a caller may have selected some numbers
        ]
    return targets


def grouped(items: Sequence[Item], keys: Sequence[Key]) -> dict[Key, list[Item]]:
    """Group items by key, both in order of first appearance."""
    groups: dict[Key, list[Item]] = {}
    for item, key in zip(items, keys, strict=True):
        groups.setdefault(key, []).append(item)
    return groups


def same_size(parameters: Sequence[object]) -> bool:
    """Return whether no two networks are known to have different numbers of parameters."""
    return len(set(parameters) - {None}) <= 1


def _pair(d: Difference) -> Pair:
    return d.first, d.second, d.pretraining_seed


def _number(d: Difference) -> tuple[str, str, str, str]:
    return d.metric, d.stage, d.transform, d.severity


def _contrasts(differences: Sequence[Difference], parameters: Mapping[str, object]) -> dict[Pair, Contrast]:
    """Return the contrast that each pair of backbones replicates: first, second and source.

    Pairs are pretraining seeds of one contrast if all of them state a seed and no two the same, and if no two networks
    of one objective differ in size; never if one is confounded, because it does not contrast objectives. Otherwise
    each pair is a contrast of its own, since two networks with the same objective may differ in more than a seed.
    """
    pairs = {_pair(d): d for d in differences}
    candidates = grouped(list(pairs), [(d.first_objective, d.second_objective, d.source) for d in pairs.values()])
    contrasts: dict[Pair, Contrast] = {}
    for (first, second, source), members in candidates.items():
        seeds = [seed for _, _, seed in members]
        are_seeds = len(members) > 1 and None not in seeds and len(set(seeds)) == len(seeds)
        are_seeds = are_seeds and not any(pairs[pair].confounded_by for pair in members)
        are_seeds = are_seeds and same_size([parameters.get(name) for name, _, _ in members])
        are_seeds = are_seeds and same_size([parameters.get(name) for _, name, _ in members])
        for pair in members:
            contrasts[pair] = (first, second, source) if are_seeds else (pair[0], pair[1], source)
    return contrasts


def _averaged(
    by_key: Mapping[CellKey, Cell], example: Difference, seeds: Mapping[Pair, Sequence[int]]
) -> list[Difference]:
    setting = example.domain, example.protocol, example.labels
    return compare_averaged(
        [
            [(by_key[(first, *setting, seed)], by_key[(second, *setting, seed)]) for seed in of_pair]
            for (first, second, _), of_pair in seeds.items()
        ],
        {key: vars(example)[key] for key in ("confounded_by", "also_differs_in", "not_known")},
    )


def _target(difference: Difference, contrast: Contrast, replicates: Sequence[Difference]) -> TargetDifference:
    first, second, source = contrast
    by_run = grouped([d.value for d in replicates], [_pair(d) for d in replicates])
    means = [float(np.mean(values)) for values in by_run.values()]
    variances = [float(np.var(values, ddof=1)) for values in by_run.values() if len(values) > 1]
    named = vars(difference) | {"first": first, "second": second, "source": source}
    over_images = Interval(difference.low, difference.high)
    return TargetDifference(
        **named,
        num_seeds=len(replicates),
        seed_spread=float(np.sqrt(np.mean(variances))) if variances else math.nan,
        num_pretraining_seeds=len(means),
        pretraining_seed_spread=float(np.std(means, ddof=1)) if len(means) > 1 else math.nan,
        judgement=Judgement(
            scoped_intervals(difference.value, over_images, difference.variances, difference.row_degrees_of_freedom)
        ),
        run_values={seed: mean for (*_, seed), mean in zip(by_run, means, strict=True) if seed is not None},
    )
