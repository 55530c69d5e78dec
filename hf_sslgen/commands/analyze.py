"""`hf-sslgen analyze`: one checkpoint on one domain."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from hf_sslgen.analysis.analysis_settings import AnalysisSettings, AttributionMethod, TransformPreset
from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.settings import AT_LEAST_ONE, SEED, SIDE, check_fields, setting
from hf_sslgen.training.configuration import parse_arguments
from hf_sslgen.zoo.class_names import ClassMatch


@dataclass(frozen=True)
class AnalyzeArguments:
    """What to measure and where to write it."""

    model_name_or_path: str = field(
        metadata={
            "help": "A fine-tuned checkpoint, or any backbone: a name from `hf-sslgen zoo`, a Hub id (of a "
            "branch, tag or commit: `owner/name@revision`) or a folder. "
            "Without a classifier for the domain's classes only the invariance of its features is measured."
        }
    )
    output_dir: str = field(metadata={"help": "Receives results.json, records.parquet, cell.json and figures/."})
    model_revision: str | None = field(default=None, metadata={"help": "Branch, tag or commit on the Hub."})
    match_classes: ClassMatch = field(
        default="name",
        metadata={
            "help": "How the checkpoint's classes are matched to the data set's: by `name`, which refuses different "
            "names; `shared` measures on the classes that both have; `position` matches them in order, whatever their "
            "names; `none` leaves the classifier unused."
        },
    )
    image_size: int | None = setting(None, range=SIDE, help="Side of the input instead of the backbone's own.")
    transforms: TransformPreset = field(
        default="quick", metadata={"help": "How many transforms and severities invariance is measured against."}
    )
    max_subset: int = setting(1000, range=AT_LEAST_ONE, help="Test images for attribution and invariance, stratified.")
    target: Literal["centred", "logit"] = field(
        default="centred",
        metadata={"help": "Attribute the predicted class's logit minus the mean logit, or the raw logit."},
    )
    attribution_layer: str | None = field(
        default=None, metadata={"help": "Module whose output is attributed, instead of the one found by rule."}
    )
    attribution_method: AttributionMethod = field(
        default="grad_cam",
        metadata={
            "help": "How attribution is computed; occlusion asks no classifier, so it also shows where an encoder "
            "without one looks."
        },
    )
    reinitialised_control: bool = field(
        default=True,
        metadata={"help": "Also attribute the same network with fresh weights, which takes one more pass."},
    )
    randomisation_cascade: bool = field(
        default=False,
        metadata={
            "help": "With the control, also compare maps with those of networks of which only the head, or the last "
            "quarter, half or three quarters of the blocks, have fresh weights: one more pass each."
        },
    )
    attributed_class: Literal["predicted", "true"] = field(
        default="predicted", metadata={"help": "Attribute the class that the network predicts, or the true one."}
    )
    batch_size: int = setting(
        64, range=AT_LEAST_ONE, help="Images per forward pass; halved, with a warning, where memory is short."
    )
    precision: Literal["fp32", "bf16", "fp16"] = field(
        default="fp32", metadata={"help": "Of the network in front of its classifier; fp16 on a GPU only."}
    )
    channels_last: bool = field(
        default=False, metadata={"help": "Lay images out channels last, which many CNNs compute faster."}
    )
    compile: bool = field(default=False, metadata={"help": "Let torch.compile make faster code of the network first."})
    seed: int = setting(0, range=SEED, help="Seed of the subset and of random transforms.")
    figures: bool = field(default=True, metadata={"help": "Also draw figures/."})

    def __post_init__(self) -> None:
        check_fields(self)

    @property
    def settings(self) -> AnalysisSettings:
        """How the backbone is measured."""
        return AnalysisSettings(
            transforms=self.transforms,
            max_subset=self.max_subset,
            seed=self.seed,
            attribution_method=self.attribution_method,
            reinitialised_control=self.reinitialised_control,
            randomisation_cascade=self.randomisation_cascade,
            target=self.target,
            attributed_class=self.attributed_class,
            attribution_layer=self.attribution_layer,
            batch_size=self.batch_size,
            precision=self.precision,
            channels_last=self.channels_last,
            compile=self.compile,
        )


def main(command_line: Sequence[str] | None = None) -> None:
    """Parse, check where to write, analyze."""
    arguments, domain_arguments = parse_arguments(
        (AnalyzeArguments, DomainArguments), "Measure one checkpoint on one domain.", command_line
    )
    from hf_sslgen.commands.run_analyze import run_analyze

    run_analyze(arguments, domain_arguments)
