"""`hf-sslgen analyze`: one checkpoint on one domain."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from hf_sslgen.analysis.analyze import adapted_analysis
from hf_sslgen.analysis.forward import place, run_split
from hf_sslgen.analysis.invariance import invariance_analysis
from hf_sslgen.analysis.subset import AnalysisSettings, analysis_subset
from hf_sslgen.analysis.transforms import PRESETS
from hf_sslgen.domains.arguments import DomainArguments
from hf_sslgen.domains.loading import load_domain
from hf_sslgen.errors import InputError
from hf_sslgen.reporting.checkpoint import write_checkpoint_figures
from hf_sslgen.study.backbones import backbone_entry
from hf_sslgen.study.cells import read_cell, write_cell
from hf_sslgen.study.describe import BackboneFacts, cell_identity, cell_provenance
from hf_sslgen.study.plan import CellSpec
from hf_sslgen.training.configuration import parse_arguments
from hf_sslgen.zoo.anatomy import find_attribution_layer
from hf_sslgen.zoo.loading import load_backbone

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class AnalyzeArguments:
    """What to measure and where to write it."""

    model_name_or_path: str = field(
        metadata={
            "help": "A fine-tuned checkpoint, or any backbone: a name from `hf-sslgen zoo`, a Hub id or a folder. "
            "Without a classifier for the domain's classes only the invariance of its features is measured."
        }
    )
    output_dir: str = field(metadata={"help": "Receives results.json, records.parquet, cell.json and figures/."})
    model_revision: str | None = field(default=None, metadata={"help": "Branch, tag or commit on the Hub."})
    image_size: int | None = field(default=None, metadata={"help": "Side of the input instead of the backbone's own."})
    transforms: Literal["quick", "standard", "full"] = field(
        default="quick", metadata={"help": "How many transforms and severities invariance is measured against."}
    )
    max_subset: int = field(default=1000, metadata={"help": "Test images for attribution and invariance, stratified."})
    target: Literal["centred", "logit"] = field(
        default="centred",
        metadata={"help": "Attribute the predicted class's logit minus the mean logit, or the raw logit."},
    )
    attribution_layer: str | None = field(
        default=None, metadata={"help": "Module whose output is attributed, instead of the one found by rule."}
    )
    batch_size: int = field(default=64, metadata={"help": "Images per forward pass."})
    seed: int = field(default=0, metadata={"help": "Seed of the subset and of random transforms."})


def main(command_line: Sequence[str] | None = None) -> None:
    """Parse, load, measure, write, draw."""
    arguments, domain_arguments = parse_arguments(
        (AnalyzeArguments, DomainArguments), "Measure one checkpoint on one domain.", command_line
    )
    assert arguments.transforms in PRESETS
    output_dir = Path(arguments.output_dir)
    if output_dir.exists() and any(output_dir.iterdir()) and not (output_dir / "cell.json").exists():
        raise InputError(f"output_dir {arguments.output_dir!r} is not empty and holds no analysis; give another one")
    started = time.perf_counter()
    domain = load_domain(domain_arguments)
    settings = AnalysisSettings(
        transforms=arguments.transforms,
        max_subset=arguments.max_subset,
        seed=arguments.seed,
        target=arguments.target,
        attribution_layer=arguments.attribution_layer,
        batch_size=arguments.batch_size,
    )
    backbone = load_backbone(
        arguments.model_name_or_path,
        domain.class_names,
        arguments.model_revision,
        arguments.seed,
        image_size=arguments.image_size,
    )
    place(backbone)
    if backbone.has_trained_head:
        logger.info("attribution layer: %s", find_attribution_layer(backbone.model, arguments.attribution_layer))
        test = run_split(backbone, domain.test, settings.batch_size)
        analysis = adapted_analysis(backbone, domain, test.predictions, "fine-tuned", settings)
        protocol = "finetune"
    else:
        logger.warning(
            "%s has no classifier for these %d classes; measuring the invariance of its features only",
            arguments.model_name_or_path,
            len(domain.class_names),
        )
        subset = analysis_subset(domain.test, settings)
        analysis, protocol = invariance_analysis(backbone, domain, subset, "pretrained", settings), "pretrained"
    entry = backbone_entry(arguments.model_name_or_path)
    # What was trained, and how, is in the checkpoint: its weights and the test images alone decide the numbers.
    spec = CellSpec(entry, domain_arguments, protocol, None, arguments.seed, settings, None)
    facts = BackboneFacts(backbone.weights, backbone.preprocessing, backbone.num_parameters)
    identity = cell_identity(spec, facts, domain, domain.fingerprints())
    write_cell(output_dir, identity, cell_provenance(spec, facts, domain, time.perf_counter() - started, {}), analysis)
    cell = read_cell(output_dir)
    write_checkpoint_figures(cell, output_dir / "figures")
    for number in cell.numbers:
        if number.severity == "" and (not number.transform or number.transform.startswith("mean")):
            name = f"{number.metric} ({number.transform})" if number.transform else number.metric
            interval = "" if number.low != number.low else f"  [{number.low:.4f}, {number.high:.4f}]"
            print(f"{name:32} {number.value:9.4f}{interval}  n={number.n}")
