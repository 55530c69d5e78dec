"""The size of a planned study, setting by setting: domains and their test images, training seeds, pretraining runs."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from hf_sslgen.domains.sources import registered_entry
from hf_sslgen.metrics.variance_components import Design
from hf_sslgen.study.backbones import BackboneEntry
from hf_sslgen.study.cells.cell_folder import PRETRAINED_PROTOCOL
from hf_sslgen.study.config import StudyConfig
from hf_sslgen.study.estimate import domain_sizes
from hf_sslgen.study.inference.contrasts import are_twins
from hf_sslgen.study.inference.seed_averages import grouped
from hf_sslgen.study.plan import CellSpec
from hf_sslgen.study.protocols.presets import FewShotProtocol

ASSUMED_IMAGES = 1000
"""Test images of a domain whose size is not known until it is loaded."""


@dataclass(frozen=True)
class PlannedDomain:
    """A domain with its test images as planned and as available; `is_assumed` if unknown.

    `has_groups` if its images come in groups, such as patients.
    """

    name: str
    group: str
    images: int
    available: int
    is_assumed: bool
    has_groups: bool = False


@dataclass(frozen=True)
class PlannedSetting:
    """What is planned under one protocol and label budget."""

    protocol: str
    labels: str
    domains: tuple[PlannedDomain, ...]
    seeds: int


@dataclass(frozen=True)
class PlannedStudy:
    """Everything that is planned.

    Attributes:
        runs: pretraining runs, of the contrast that has the fewest.
        num_domains: of all groups.
        pretrained_cells, trained_cells: numbers of cells, of backbones that are compared and of all others.
    """

    settings: tuple[PlannedSetting, ...]
    runs: int
    num_domains: int
    pretrained_cells: tuple[int, int]
    trained_cells: tuple[int, int]

    def cells(self, planned: Design, changed: Design) -> int:
        """Return the number of cells if one setting's design is changed, and the rest of the study with it."""
        runs, seeds = changed.runs / planned.runs, changed.seeds / planned.seeds
        domains = (self.num_domains + changed.domains - planned.domains) / self.num_domains
        pretrained, trained = (
            compared * runs + others for compared, others in (self.pretrained_cells, self.trained_cells)
        )
        return round(domains * (pretrained + trained * seeds))


def planned_study(config: StudyConfig, specs: Sequence[CellSpec]) -> PlannedStudy | None:
    """Return the size of a study, or None if it compares no backbones; nothing is downloaded.

    Few-shot settings are left out: an image takes part in many episodes, so more images add less than elsewhere.

    Args:
        specs: the cells of the configuration.
    """
    pairs = _pairs(config)
    if not pairs:
        return None
    compared = {each.name for pair in pairs for each in pair}
    settings = []
    planned = [s for s in specs if not isinstance(s.protocol, FewShotProtocol)]
    for (protocol, labels), members in grouped(planned, [(s.protocol_name, s.labels) for s in planned]).items():
        of_domains = grouped(members, [s.domain_name for s in members])
        seeds = min(len({s.seed for s in of_domain}) for of_domain in of_domains.values())
        domains = tuple(_planned_domain(of_domain[0]) for of_domain in of_domains.values())
        settings.append(PlannedSetting(protocol, labels, domains, seeds))
    pretrained = [s.backbone.name in compared for s in specs if s.protocol_name == PRETRAINED_PROTOCOL]
    trained = [s.backbone.name in compared for s in specs if s.protocol_name != PRETRAINED_PROTOCOL]
    return PlannedStudy(
        tuple(settings),
        _fewest_runs(pairs),
        len({s.domain_name for s in specs}),
        (pretrained.count(True), pretrained.count(False)),
        (trained.count(True), trained.count(False)),
    )


def _pairs(config: StudyConfig) -> list[tuple[BackboneEntry, BackboneEntry]]:
    if config.pairs is None:
        return [(a, b) for a in config.backbones for b in config.backbones if are_twins(a, b)]
    named = {backbone.name: backbone for backbone in config.backbones}
    return [(named[first], named[second]) for first, second in config.pairs if {first, second} <= named.keys()]


def _fewest_runs(pairs: Sequence[tuple[BackboneEntry, BackboneEntry]]) -> int:
    """Return the runs of the contrast with the fewest; pairs are pretraining runs if all state different seeds."""
    contrasts = grouped(pairs, [(a.objective, b.objective, a.source or "") for a, b in pairs])
    counts = []
    for members in contrasts.values():
        seeds = [a.pretraining_seed if b.pretraining_seed is not None else None for a, b in members]
        are_runs = None not in seeds and len(set(seeds)) == len(seeds)
        counts.append(len(seeds) if are_runs else 1)
    return min(counts)


def _planned_domain(spec: CellSpec) -> PlannedDomain:
    entry = registered_entry(spec.domain)
    group = spec.domain.group or (entry.group if entry is not None else "unstated")
    has_groups = bool(spec.domain.group_column_name or (entry is not None and entry.group_column))
    sizes = domain_sizes(replace(spec, domain=replace(spec.domain, max_test_samples=None)))
    limit, is_assumed = spec.domain.max_test_samples, sizes is None or sizes.test == 0
    if sizes is None or sizes.test == 0:
        known = limit or ASSUMED_IMAGES
        return PlannedDomain(spec.domain_name, group, known, known, is_assumed, has_groups)
    images = min(limit or sizes.test, sizes.test)
    return PlannedDomain(spec.domain_name, group, images, sizes.test, is_assumed, has_groups)
