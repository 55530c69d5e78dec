"""`hf-sslgen compare`: compare the backbones of a twin set, or others, on your images."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from hf_sslgen.analysis.analysis_settings import TransformPreset
from hf_sslgen.commands.accepted_inputs import ACCEPT_INPUTS
from hf_sslgen.domains.domain_arguments import SharedDomainArguments
from hf_sslgen.errors import InputError
from hf_sslgen.output_folder import require_output_folder
from hf_sslgen.settings import AT_LEAST_ONE, POSITIVE, SEED, Range, check_fields, setting
from hf_sslgen.study.cells.store import DEFAULT_CACHE_GB
from hf_sslgen.study.protocols.presets import PRESETS, FineTuningProtocol, PresetName
from hf_sslgen.training.configuration import parse_arguments
from hf_sslgen.training.tracking import UNTRACKED, TrackingArguments


@dataclass(frozen=True)
class CompareArguments:
    """The backbones to compare, the images, and how to adapt the backbones."""

    dataset_name: list[str] = field(
        metadata={"help": "One or more domains: names from `hf-sslgen domains`, Hub ids, folders or parquet files."}
    )
    output_dir: str = field(
        metadata={"help": "Folder for cells/, report/, and results, comparisons and groups as CSV."}
    )
    twin_set: str | None = field(
        default=None, metadata={"help": "A set from `hf-sslgen zoo`: one architecture, one source of images."}
    )
    backbones: list[str] | None = field(
        default=None,
        metadata={
            "help": "Backbones to compare instead of a whole set: names from `hf-sslgen zoo`, checkpoint folders or "
            "Hub ids (owner/name)."
        },
    )
    objectives: list[str] | None = field(
        default=None,
        metadata={
            "help": "One for each of backbones: `supervised`, its self-supervised method, or `-` if registered or "
            "unknown."
        },
    )
    sources: list[str] | None = field(
        default=None,
        metadata={
            "help": "One for each of backbones: a name for the images it was pretrained on, or `-` if registered or "
            "unknown. Only backbones of one source and one architecture are twins."
        },
    )
    protocol: list[PresetName] = field(
        default_factory=lambda: ["linear"],
        metadata={"help": "One or more presets, such as linear (a probe on frozen features, quick) and finetune."},
    )
    registered_as: list[str] | None = field(
        default=None,
        metadata={"help": "For each dataset_name, the registered domain it is a copy of, or `-` for none."},
    )
    group: list[Literal["similar", "different", "-"]] | None = field(
        default=None,
        metadata={
            "help": "For each dataset_name, `similar` or `different` (to the source data), or `-` where registered."
        },
    )
    transforms: TransformPreset = field(
        default="quick", metadata={"help": "Which set of transforms and severities to measure invariance on."}
    )
    learning_rates: list[float] | None = field(
        default=None,
        metadata={
            "help": "Fine-tuning: the learning-rate grid, the same for every backbone, selected by validation "
            "likelihood (default: the preset's).",
            "range": POSITIVE,
        },
    )
    num_train_epochs: float | None = setting(
        None, range=POSITIVE, help="Fine-tuning: number of epochs, instead of the preset's epochs or steps."
    )
    max_steps: int | None = setting(
        None, range=AT_LEAST_ONE, help="Fine-tuning: number of steps, instead of the preset's epochs or steps."
    )
    batch_size: int = setting(64, range=AT_LEAST_ONE, help="Images per batch, for training and measuring.")
    feature_cache_gb: float = setting(
        DEFAULT_CACHE_GB,
        range=Range(at_least=0),
        help="Gigabytes of features to keep in output_dir, so that probes share one pass over the images; beyond "
        "that, the least recently used are removed. 0: keep none.",
    )
    untrained_control: bool = field(
        default=True, metadata={"help": "Also measure the same architecture with fresh weights."}
    )
    measure_cost: bool = field(
        default=True,
        metadata={"help": "Also measure each backbone's speed and memory on this machine, a second or two each."},
    )
    accept_inputs: bool = field(default=False, metadata=ACCEPT_INPUTS)
    seed: int = setting(0, range=SEED, help="Seed for splits, classifier, training, subset and transforms.")
    verbose: bool = field(default=False, metadata={"help": "Also print every table and the time of each cell."})

    def __post_init__(self) -> None:
        check_fields(self)
        if (self.twin_set is None) == (self.backbones is None):
            raise InputError(
                "give either twin_set (all backbones of a set from `hf-sslgen zoo`) or backbones (their names)"
            )
        for name in ("objectives", "sources"):
            given, count = vars(self)[name], len(self.backbones or ())
            if given is not None and len(given) != count:
                raise InputError(f"{name} has {len(given)} values for {count} backbones; give one each, `-` for none")
        for name in ("dataset_name", "protocol", "backbones"):
            given = vars(self)[name] or []
            if twice := sorted({value for value in given if given.count(value) > 1}):
                raise InputError(f"{name}: {twice[0]!r} is given twice")
        if self.num_train_epochs is not None and self.max_steps is not None:
            raise InputError("num_train_epochs and max_steps both set the training length; give only one of them")
        if not any(isinstance(PRESETS[name], FineTuningProtocol) for name in self.protocol):
            for name in ("learning_rates", "num_train_epochs", "max_steps"):
                if vars(self)[name] is not None:
                    raise InputError(f"{name} is for fine-tuning, and none of the protocols fine-tunes; drop it")

    @property
    def compared(self) -> str:
        """What is compared, in a few words."""
        return self.twin_set or f"{len(self.backbones or [])} backbones"


def main(command_line: Sequence[str] | None = None) -> None:
    """Parse and compare."""
    arguments, shared, tracking = parse_arguments(
        (CompareArguments, SharedDomainArguments, TrackingArguments),
        "Compare backbones on your images.",
        command_line,
    )
    compare_images(arguments, shared, tracking)


def compare_images(arguments: CompareArguments, shared: Any, tracking: TrackingArguments = UNTRACKED) -> Path:
    """Say what was found, then compare; returns the page's path.

    Args:
        shared: `SharedDomainArguments`, the settings for all domains.
    """
    from hf_sslgen.commands.compare_plan import left_out_of, planned_cells
    from hf_sslgen.commands.known_names import require_names
    from hf_sslgen.commands.opening import print_opening

    require_output_folder(arguments.output_dir, own=["cells"])
    specs = planned_cells(arguments, shared)
    require_names(dict.fromkeys(spec.backbone for spec in specs), dict.fromkeys(spec.domain for spec in specs))
    print_opening(specs, Path(arguments.output_dir))
    for sentence in left_out_of(arguments):
        print(sentence, flush=True)
    from hf_sslgen.commands.run_compare import compare  # takes seconds to import

    return compare(arguments, specs, tracking)
