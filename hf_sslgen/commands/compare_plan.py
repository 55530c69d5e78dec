"""The cells of a comparison, planned from its options without loading anything."""

from collections.abc import Sequence
from typing import Any

from hf_sslgen.analysis.analysis_settings import AnalysisSettings
from hf_sslgen.commands.compare import CompareArguments
from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.domains.domain_names import domain_name, told_apart
from hf_sslgen.errors import InputError
from hf_sslgen.geometry import Geometry
from hf_sslgen.study.backbones import BackboneEntry, entries_of, named_entries, shared_set, untrained_controls
from hf_sslgen.study.cells.cell_folder import PRETRAINED_PROTOCOL
from hf_sslgen.study.plan import CellSpec
from hf_sslgen.study.protocols.presets import FineTuningProtocol, Protocol, get_protocol
from hf_sslgen.study.unconverted import left_out_sentences, require_converted
from hf_sslgen.zoo.backbone_registry import TwinSet, get_twin_set


def backbones_of(twin_set: TwinSet, untrained_control: bool) -> list[BackboneEntry]:
    """Return the set's backbones that need no conversion, and the untrained control."""
    entries, left_out = entries_of(twin_set)
    if not entries:
        require_converted(left_out)
    return entries + (untrained_controls(entries) if untrained_control else [])


def left_out_of(arguments: CompareArguments) -> list[str]:
    """Return sentences on the backbones of the twin set that are left out until they are converted."""
    return [] if arguments.twin_set is None else left_out_sentences(entries_of(get_twin_set(arguments.twin_set))[1])


def domains_of(arguments: CompareArguments, shared: Any) -> list[DomainArguments]:
    """Return each domain's own arguments, combined with those shared by all domains."""
    count = len(arguments.dataset_name)
    stated: list[Sequence[str | None]] = []
    for name, given in (("registered_as", arguments.registered_as), ("group", arguments.group)):
        if given is not None and len(given) != count:
            raise InputError(f"{name} has {len(given)} values for {count} dataset_name; give one each, `-` for none")
        stated.append([None if each == "-" else each for each in given or ["-"] * count])
    domains = [
        DomainArguments(name, registered_as=original, group=group, split_seed=arguments.seed, **vars(shared))
        for name, original, group in zip(arguments.dataset_name, *stated, strict=True)
    ]
    domains = told_apart(domains)
    names = [domain_name(domain) for domain in domains]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"dataset_name: {twice[0]!r} is given twice")
    return domains


def chosen_protocol(name: str, arguments: CompareArguments) -> Protocol:
    """Return a preset, with the arguments' fine-tuning settings in place of its own."""
    preset = get_protocol(name)
    if not isinstance(preset, FineTuningProtocol):
        return preset
    overrides: dict[str, Any] = {"batch_size": arguments.batch_size}
    if arguments.learning_rates is not None:
        overrides["learning_rates"] = arguments.learning_rates
        if preset.optimiser == "by_architecture":
            overrides["sgd_learning_rates"] = arguments.learning_rates
    if arguments.num_train_epochs is not None:
        overrides |= {"num_train_epochs": arguments.num_train_epochs, "max_steps": None}
    if arguments.max_steps is not None:
        overrides["max_steps"] = arguments.max_steps
    return get_protocol(name, overrides)


def planned_cells(arguments: CompareArguments, shared: Any) -> list[CellSpec]:
    """Return the cells of the comparison: the pretrained stage and each protocol, by domain and backbone."""
    if arguments.twin_set is not None:
        backbones = backbones_of(get_twin_set(arguments.twin_set), arguments.untrained_control)
    else:
        backbones = named_entries(arguments.backbones or [], arguments.objectives, arguments.sources)
        backbones += untrained_controls(backbones) if arguments.untrained_control else []
    twin_set = shared_set(backbones)
    protocols: dict[str, Protocol | None] = {PRETRAINED_PROTOCOL: None}
    protocols |= {name: chosen_protocol(name, arguments) for name in arguments.protocol}
    analysis = AnalysisSettings(transforms=arguments.transforms, seed=arguments.seed, batch_size=arguments.batch_size)
    geometry = (
        Geometry(twin_set.image_size, twin_set.crop_pct, twin_set.interpolation) if twin_set is not None else None
    )
    return [
        CellSpec(backbone, domain, name, protocol, arguments.seed, analysis, geometry)
        for domain in domains_of(arguments, shared)
        for backbone in backbones
        for name, protocol in protocols.items()
    ]
