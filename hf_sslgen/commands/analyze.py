"""`hf-sslgen analyze`: measure one checkpoint on one domain."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from hf_sslgen.analysis.analysis_settings import AnalysisSettings, AttributionMethod, TransformPreset
from hf_sslgen.commands.accepted_inputs import ACCEPT_INPUTS
from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.settings import AT_LEAST_ONE, SEED, SIDE, check_fields, fields_from, setting
from hf_sslgen.training.configuration import parse_arguments
from hf_sslgen.zoo.class_names import ClassMatch


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
    features_of: str | None = field(
        default=None,
        metadata={
            "help": "Folder of a study or comparison whose stored features to use and add to, instead of passing the "
            "same images through the same frozen trunk again."
        },
    )
    seed: int = setting(0, range=SEED, help="Seed for the subset and the random transforms.")
    accept_inputs: bool = field(default=False, metadata=ACCEPT_INPUTS)
    figures: bool = field(default=True, metadata={"help": "Also draw the figures."})

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def settings(self) -> AnalysisSettings:
        """How the backbone is measured."""
        return fields_from(AnalysisSettings, self)


def main(command_line: Sequence[str] | None = None) -> None:
    """Parse the arguments and run the analysis."""
    arguments, domain_arguments = parse_arguments(
        (AnalyzeArguments, DomainArguments), "Measure one checkpoint on one domain.", command_line
    )
    from hf_sslgen.commands.run_analyze import run_analyze

    run_analyze(arguments, domain_arguments)
