"""Run `hf-sslgen analyze`, after its options have been parsed."""

import logging
import shutil
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from accelerate import Accelerator

from hf_sslgen.analysis.analysis_settings import AnalysisSettings
from hf_sslgen.analysis.attribution import LABEL_FREE_METHODS
from hf_sslgen.analysis.backbone_analysis import adapted_analysis, pretrained_analysis, validation_logits
from hf_sslgen.analysis.families import FAMILIES, PAIR
from hf_sslgen.analysis.feature_store import FeatureStore
from hf_sslgen.analysis.numbers import Analysis, Number
from hf_sslgen.analysis.pass_shards import Processes, Run
from hf_sslgen.analysis.trunk_passes import counted_passes
from hf_sslgen.commands.analyze import AnalyzeArguments
from hf_sslgen.commands.backbone_check import require_sound
from hf_sslgen.domains.class_restriction import with_classes
from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.domains.domain_loading import Domain, load_domain
from hf_sslgen.domains.taken import print_taken
from hf_sslgen.errors import InputError
from hf_sslgen.files import replace_files
from hf_sslgen.launches import claimed_by_main
from hf_sslgen.metrics.stages import FINE_TUNED_STAGE
from hf_sslgen.names import canonical, listed_names
from hf_sslgen.output_folder import require_output_folder
from hf_sslgen.reporting.figures.checkpoint_figures import write_checkpoint_figures
from hf_sslgen.reporting.figures.error_sheet import MOST, error_sheet
from hf_sslgen.reporting.figures.figure_style import figure_png
from hf_sslgen.study.backbones import backbone_entry
from hf_sslgen.study.cells.cell_folder import PRETRAINED_PROTOCOL, read_cell, write_cell
from hf_sslgen.study.cells.cell_identity import cell_identity, cell_provenance
from hf_sslgen.study.cells.store import Store
from hf_sslgen.study.execution.study_features import study_features
from hf_sslgen.study.pictures.picture_choice import WrongPrediction, errors_of
from hf_sslgen.study.plan import CellSpec
from hf_sslgen.study.prepared_cell import BackboneFacts, PreparedCell
from hf_sslgen.zoo.anatomy import find_attribution_layer
from hf_sslgen.zoo.backbone_loading import LoadedBackbone, load_backbone
from hf_sslgen.zoo.checkpoints import load_config, open_checkpoint
from hf_sslgen.zoo.class_names import output_names, shared_classes

logger = logging.getLogger(__name__)

FINETUNED = "finetune"

UNFINISHED = "unfinished"
"""Subfolder of the output folder with the finished shards of an unfinished analysis, for a later run to resume."""


def _print_numbers(numbers: Sequence[Number]) -> None:
    """Print the overall numbers, leaving out those of single transforms."""
    for number in numbers:
        if number.transform in ("", PAIR, *FAMILIES):
            name = f"{number.metric} ({number.transform})" if number.transform else number.metric
            interval = "" if number.low != number.low else f"  [{number.low:.4f}, {number.high:.4f}]"
            print(f"{name:52} {number.value:9.4f}{interval}  n={number.n}")


def _with_shared_classes(arguments: AnalyzeArguments, domain: Domain) -> Domain:
    """Reduce the domain to the classes the checkpoint also knows; the last two notes list what was left out."""
    name = arguments.model_name_or_path
    config = load_config(name, open_checkpoint(name, arguments.model_revision, with_weights=False).folder)
    reduced = with_classes(domain, shared_classes(name, config, domain.class_names))
    known = [canonical(each) for each in reduced.class_names]
    others = [each for each in output_names(config) or () if each not in known]
    note = f"the checkpoint's outputs: {len(known)} of {config.num_labels}; left out {listed_names(others) or 'none'}"
    return replace(reduced, notes=(*reduced.notes, note))


def _measure(backbone: LoadedBackbone, domain: Domain, settings: AnalysisSettings, run: Run) -> tuple[Analysis, str]:
    """Return the analysis and the protocol it is stored under."""
    if backbone.has_trained_head:
        layer = find_attribution_layer(backbone.model, settings.attribution_layer)
        if run.processes.index == 0:
            logger.info("attribution layer: %s", layer)
        validation = validation_logits(backbone, domain, settings, run)
        return adapted_analysis(backbone, domain, FINE_TUNED_STAGE, settings, validation, run), FINETUNED
    if run.processes.index == 0:
        logger.warning(
            "%s has no classifier for these %d classes; measuring only the invariance of its features%s",
            backbone.name,
            len(domain.class_names),
            " and where it looks" if settings.attribution_method in LABEL_FREE_METHODS else "",
        )
    return pretrained_analysis(backbone, domain, settings, run), PRETRAINED_PROTOCOL


def _write_error_sheet(errors: Sequence[WrongPrediction], domain: Domain, path: Path) -> None:
    """Write pictures of the surest errors, unless there are none."""
    if not errors:
        return
    places = {sample_id: place for place, sample_id in enumerate(domain.test.sample_ids.tolist())}
    images = [domain.test.image(places[error.sample_id]) for error in errors]
    path.write_bytes(figure_png(error_sheet(errors, images, domain.class_names)))


def _stored_features(folder: str | None) -> FeatureStore | None:
    """Return the feature store of a study; None if no study is named."""
    if folder is None:
        return None
    store = Store(Path(folder))
    if not store.cells.is_dir():
        raise InputError(f"features_of {folder!r} is not the folder of a study or comparison: it has no cells/")
    return study_features(store)


def analyze(
    arguments: AnalyzeArguments, domain_arguments: DomainArguments, output_dir: Path, accelerator: Accelerator
) -> None:
    """Load the backbone and the domain, measure, write the cell and draw the figures."""
    processes = Processes(accelerator.process_index, accelerator.num_processes, accelerator.wait_for_everyone)
    started = time.perf_counter()
    domain = load_domain(domain_arguments)
    if arguments.match_classes == "shared":
        domain = _with_shared_classes(arguments, domain)
        if processes.index == 0:
            logger.warning("match_classes shared: %s", "; ".join(domain.notes[-2:]))
    backbone = load_backbone(
        arguments.model_name_or_path,
        domain.class_names,
        arguments.model_revision,
        arguments.seed,
        image_size=arguments.image_size,
        match=arguments.match_classes,
    )
    require_sound(backbone, arguments.accept_inputs, accelerator.is_main_process)
    if accelerator.is_main_process:
        print_taken([domain.taken])
    settings = arguments.settings
    run = Run(output_dir / UNFINISHED, processes, _stored_features(arguments.features_of))
    with counted_passes() as passes:
        analysis, protocol = _measure(backbone, domain, settings, run)
    processes.wait()  # wait until every process has read the files that are removed below
    if not accelerator.is_main_process:
        return
    entry = backbone_entry(arguments.model_name_or_path)
    # The training is part of the weights; these and the test and validation images decide the numbers.
    spec = CellSpec(entry, domain_arguments, protocol, None, arguments.seed, settings, None)
    cell = PreparedCell(spec, BackboneFacts.of(backbone), domain)
    identity = cell_identity(cell, domain.fingerprints())
    provenance = cell_provenance(cell, time.perf_counter() - started, {}, passes.images)
    with replace_files(output_dir, obsolete=["examples.npz", "figures/*.png"]) as unfinished:
        write_cell(unfinished, identity, provenance, analysis)
        if arguments.figures:
            figures = unfinished / "figures"
            measured = read_cell(unfinished)
            write_checkpoint_figures(measured, figures)
            _write_error_sheet(errors_of(measured.columns().clean)[:MOST], domain, figures / "surest_errors.png")
    shutil.rmtree(output_dir / UNFINISHED, ignore_errors=True)
    _print_numbers(analysis.numbers)


def run_analyze(arguments: AnalyzeArguments, domain_arguments: DomainArguments) -> None:
    """Check the output folder and run the analysis."""
    accelerator = Accelerator()
    output_dir = require_output_folder(arguments.output_dir, own=["cell.json"], leftovers=[UNFINISHED])
    _stored_features(arguments.features_of)  # refused before any work
    with claimed_by_main(output_dir):
        analyze(arguments, domain_arguments, output_dir, accelerator)
