"""`hf-sslgen analyze`: measure one checkpoint on one domain."""

import logging
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from accelerate import Accelerator

from hf_sslgen.analysis.analysis_settings import AnalysisSettings, AttributionMethod, TransformPreset
from hf_sslgen.analysis.attribution import LABEL_FREE_METHODS
from hf_sslgen.analysis.backbone_analysis import adapted_analysis, pretrained_analysis, validation_logits
from hf_sslgen.analysis.families import FAMILIES, PAIR
from hf_sslgen.analysis.numbers import Analysis, Number
from hf_sslgen.analysis.pass_shards import Processes, Run
from hf_sslgen.domains.class_restriction import with_classes
from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.domains.domain_loading import Domain, load_domain
from hf_sslgen.domains.taken import print_taken
from hf_sslgen.files import replace_files
from hf_sslgen.launches import claimed_by_main
from hf_sslgen.metrics.stages import FINE_TUNED_STAGE
from hf_sslgen.names import canonical, listed_names
from hf_sslgen.output_folder import require_output_folder
from hf_sslgen.reporting.figures.checkpoint_figures import write_checkpoint_figures
from hf_sslgen.settings import AT_LEAST_ONE, SEED, SIDE, check_fields, fields_from, setting
from hf_sslgen.study.backbones import backbone_entry
from hf_sslgen.study.cells.cell_folder import PRETRAINED_PROTOCOL, read_cell, write_cell
from hf_sslgen.study.cells.cell_identity import cell_identity, cell_provenance
from hf_sslgen.study.plan import CellSpec
from hf_sslgen.study.prepared_cell import BackboneFacts, PreparedCell
from hf_sslgen.training.configuration import parse_arguments
from hf_sslgen.zoo.anatomy import find_attribution_layer
from hf_sslgen.zoo.backbone_loading import LoadedBackbone, load_backbone
from hf_sslgen.zoo.checkpoints import load_config, open_checkpoint
from hf_sslgen.zoo.class_names import ClassMatch, output_names, shared_classes

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class AnalyzeArguments:
    """What to measure and where to write it."""

    model_name_or_path: str = field(
        metadata={
            "help": "A fine-tuned checkpoint or any backbone: a name from `hf-sslgen zoo`, a Hub id "
            "(`owner/name@revision` for a branch, tag or commit) or a folder. "
            "Without a classifier for the domain's classes, only the invariance of its features is measured."
        }
    )
    output_dir: str = field(metadata={"help": "Folder for results.json, records.parquet, cell.json and figures/."})
    model_revision: str | None = field(default=None, metadata={"help": "Branch, tag or commit on the Hub."})
    match_classes: ClassMatch = field(
        default="name",
        metadata={
            "help": "How to match the checkpoint's classes to the dataset's: `name` matches by name and refuses "
            "differing names; `shared` measures only the classes that both have; `position` matches in order and "
            "ignores the names; `none` leaves the classifier unused."
        },
    )
    image_size: int | None = setting(None, range=SIDE, help="Input side in pixels (default: the backbone's own).")
    transforms: TransformPreset = field(
        default="quick", metadata={"help": "Which set of transforms and severities to measure invariance on."}
    )
    max_subset: int = setting(
        1000, range=AT_LEAST_ONE, help="Test images for attribution and invariance (stratified)."
    )
    target: Literal["centred", "logit"] = field(
        default="centred",
        metadata={"help": "Scalar to attribute: the class's logit minus the mean logit, or the raw logit."},
    )
    attribution_layer: str | None = field(
        default=None, metadata={"help": "Module whose output is attributed (default: found by rule)."}
    )
    attribution_method: AttributionMethod = field(
        default="grad_cam",
        metadata={
            "help": "Attribution method; occlusion needs no classifier, so it also shows where a bare encoder looks."
        },
    )
    reinitialised_control: bool = field(
        default=True,
        metadata={"help": "Also attribute the same network with fresh weights, at the cost of one more pass."},
    )
    randomisation_cascade: bool = field(
        default=False,
        metadata={
            "help": "In addition to the control, compare with networks in which only the head, or the last quarter, "
            "half or three quarters of the blocks, have fresh weights; each costs one more pass."
        },
    )
    attributed_class: Literal["predicted", "true"] = field(
        default="predicted", metadata={"help": "Class to attribute: the predicted one or the true one."}
    )
    batch_size: int = setting(
        64, range=AT_LEAST_ONE, help="Images per forward pass; halved, with a warning, if memory runs out."
    )
    precision: Literal["fp32", "bf16", "fp16"] = field(
        default="fp32", metadata={"help": "Precision of the network up to its classifier; fp16 needs a GPU."}
    )
    channels_last: bool = field(
        default=False, metadata={"help": "Use the channels-last memory layout, which speeds up many CNNs."}
    )
    compile: bool = field(default=False, metadata={"help": "Compile the network with torch.compile first."})
    seed: int = setting(0, range=SEED, help="Seed for the subset and the random transforms.")
    figures: bool = field(default=True, metadata={"help": "Also draw the figures."})

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def settings(self) -> AnalysisSettings:
        """How the backbone is measured."""
        return fields_from(AnalysisSettings, self)


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


def main(command_line: Sequence[str] | None = None) -> None:
    """Parse the arguments, check the output folder and run the analysis."""
    arguments, domain_arguments = parse_arguments(
        (AnalyzeArguments, DomainArguments), "Measure one checkpoint on one domain.", command_line
    )
    accelerator = Accelerator()
    output_dir = require_output_folder(arguments.output_dir, own=["cell.json"], leftovers=[UNFINISHED])
    with claimed_by_main(output_dir):
        analyze(arguments, domain_arguments, output_dir, accelerator)


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
    if accelerator.is_main_process:
        print_taken([domain.taken])
    settings = arguments.settings
    analysis, protocol = _measure(backbone, domain, settings, Run(output_dir / UNFINISHED, processes))
    processes.wait()  # until every process has read the files that are removed below
    if not accelerator.is_main_process:
        return
    entry = backbone_entry(arguments.model_name_or_path)
    # How it was trained is part of the weights; these and the test and validation images decide the numbers.
    spec = CellSpec(entry, domain_arguments, protocol, None, arguments.seed, settings, None)
    cell = PreparedCell(spec, BackboneFacts.of(backbone), domain)
    identity = cell_identity(cell, domain.fingerprints())
    provenance = cell_provenance(cell, time.perf_counter() - started, {})
    with replace_files(output_dir, obsolete=["examples.npz", "figures/*.png"]) as unfinished:
        write_cell(unfinished, identity, provenance, analysis)
        if arguments.figures:
            write_checkpoint_figures(read_cell(unfinished), unfinished / "figures")
    shutil.rmtree(output_dir / UNFINISHED, ignore_errors=True)
    _print_numbers(analysis.numbers)
