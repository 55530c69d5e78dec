"""`hf-sslgen compare`: every backbone of a twin set on your images, side by side."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from hf_sslgen.analysis.subset import AnalysisSettings
from hf_sslgen.domains.arguments import DomainArguments
from hf_sslgen.domains.loading import Domain, load_domain
from hf_sslgen.errors import InputError
from hf_sslgen.preprocessing import Geometry
from hf_sslgen.reporting.study_report import write_results
from hf_sslgen.reporting.tables import terminal_table
from hf_sslgen.study.comparison import compute_cells
from hf_sslgen.study.inference import infer
from hf_sslgen.study.protocols import ComparisonSettings, FineTuningProtocol
from hf_sslgen.training.configuration import parse_arguments
from hf_sslgen.zoo.loading import UNTRAINED
from hf_sslgen.zoo.registry import TwinSet, get_twin_set

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class CompareArguments:
    """Which backbones on which images, and how they are adapted."""

    dataset_name: list[str] = field(
        metadata={"help": "One or more domains: names from `hf-sslgen domains`, Hub ids, folders or parquet files."}
    )
    twin_set: str = field(metadata={"help": "A set from `hf-sslgen zoo`: one architecture, one source of images."})
    output_dir: str = field(metadata={"help": "Receives cells/, results, comparisons and groups as CSV, and report/."})
    protocol: list[str] = field(
        default_factory=lambda: ["linear"],
        metadata={
            "help": "linear (a probe on frozen features, quick) and/or finetune.",
            "choices": ["linear", "finetune"],
        },
    )
    registered_as: list[str] | None = field(
        default=None,
        metadata={"help": "For each dataset_name, the registered domain it is a copy of, or `-` for none."},
    )
    group: list[str] | None = field(
        default=None,
        metadata={
            "help": "For each dataset_name, `similar` or `different` (to the source data), or `-` where registered."
        },
    )
    image_column_name: str | None = field(default=None, metadata={"help": "Column of the images, in all domains."})
    label_column_name: str | None = field(default=None, metadata={"help": "Column of the labels, in all domains."})
    samples_per_class: int | None = field(default=None, metadata={"help": "Train on this many images a class."})
    max_train_samples: int | None = field(default=None, metadata={"help": "Train on at most this many images."})
    max_eval_samples: int | None = field(default=None, metadata={"help": "Select on at most this many images."})
    max_test_samples: int | None = field(default=None, metadata={"help": "Measure on at most this many images."})
    skip_corrupt: bool = field(default=False, metadata={"help": "Leave images out that can't be decoded."})
    transforms: Literal["quick", "standard", "full"] = field(
        default="quick", metadata={"help": "How many transforms and severities invariance is measured against."}
    )
    learning_rates: list[float] = field(
        default_factory=lambda: list(FineTuningProtocol().learning_rates),
        metadata={"help": "finetune: the grid, the same for every backbone, selected by validation likelihood."},
    )
    num_train_epochs: float = field(default=10, metadata={"help": "finetune: epochs."})
    max_steps: int = field(default=-1, metadata={"help": "finetune: steps, instead of epochs."})
    batch_size: int = field(default=64, metadata={"help": "Images per batch, in training and measuring."})
    untrained_control: bool = field(
        default=True, metadata={"help": "Also measure the same architecture with freshly initialised weights."}
    )
    seed: int = field(default=0, metadata={"help": "Seed of splits, classifier, training, subset and transforms."})


def backbones_of(twin_set: TwinSet, untrained_control: bool) -> list[str]:
    """Ids of the set's backbones that can be loaded, and the untrained control; says which are left out."""
    loadable = [backbone for backbone in twin_set.backbones if backbone.library != "conversion"]
    left_out = [backbone.id for backbone in twin_set.backbones if backbone.library == "conversion"]
    if left_out:
        logger.warning("left out until converted: %s", ", ".join(left_out))
    if not loadable:
        raise InputError(f"twin_set {twin_set.name!r} has no backbone that can be loaded without conversion")
    control = next((backbone for backbone in loadable if backbone.is_supervised), loadable[0])
    return [backbone.id for backbone in loadable] + ([UNTRAINED + control.id] if untrained_control else [])


def load_domains(arguments: CompareArguments) -> list[Domain]:
    """The domains, each with what was said about it."""
    count = len(arguments.dataset_name)
    for name in ("registered_as", "group"):
        given = {"registered_as": arguments.registered_as, "group": arguments.group}[name]
        if given is not None and len(given) != count:
            raise InputError(f"{name} has {len(given)} values for {count} dataset_name; give one each, `-` for none")
    domains = []
    for index, dataset_name in enumerate(arguments.dataset_name):
        said = [values[index] if values else "-" for values in (arguments.registered_as, arguments.group)]
        registered_as, group = (None if value == "-" else value for value in said)
        domains.append(
            load_domain(
                DomainArguments(
                    dataset_name,
                    registered_as=registered_as,
                    group=group,
                    image_column_name=arguments.image_column_name,
                    label_column_name=arguments.label_column_name,
                    samples_per_class=arguments.samples_per_class,
                    max_train_samples=arguments.max_train_samples,
                    max_eval_samples=arguments.max_eval_samples,
                    max_test_samples=arguments.max_test_samples,
                    skip_corrupt=arguments.skip_corrupt,
                    split_seed=arguments.seed,
                )
            )
        )
    names = [domain.name for domain in domains]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(f"dataset_name: {twice[0]!r} is given twice")
    return domains


def claim_output_dir(output_dir: Path) -> None:
    """Refuse a folder that holds something else."""
    known = {"cells", "unfinished", "results.csv", "comparisons.csv", "groups.csv", "report"}
    if output_dir.is_file():
        raise InputError(f"output_dir {str(output_dir)!r} is a file")
    foreign = sorted(p.name for p in output_dir.iterdir() if p.name not in known) if output_dir.exists() else []
    if foreign:
        raise InputError(f"output_dir {str(output_dir)!r} holds other files ({foreign[0]}); give a folder of its own")


def compare(arguments: CompareArguments) -> Path:
    """Compute what is missing, compare, write; returns the report's path."""
    output_dir = Path(arguments.output_dir)
    claim_output_dir(output_dir)
    twin_set = get_twin_set(arguments.twin_set)
    names = backbones_of(twin_set, arguments.untrained_control)
    domains = load_domains(arguments)
    settings = ComparisonSettings(
        analysis=AnalysisSettings(
            transforms=arguments.transforms, seed=arguments.seed, batch_size=arguments.batch_size
        ),
        finetuning=FineTuningProtocol(
            learning_rates=tuple(arguments.learning_rates),
            num_train_epochs=arguments.num_train_epochs,
            max_steps=arguments.max_steps,
            batch_size=arguments.batch_size,
        ),
        seed=arguments.seed,
        geometry=Geometry(twin_set.image_size, twin_set.crop_pct, twin_set.interpolation),
    )
    cells = []
    for domain in domains:
        for name in names:
            cells += compute_cells(name, domain, arguments.protocol, settings, output_dir)
    results = infer(cells)
    count = f"{len(domains)} domains" if len(domains) > 1 else domains[0].name
    report = write_results(results, output_dir, title=f"{twin_set.name} on {count}")
    print(terminal_table(results))
    print(f"\nReport: {report}")
    return report


def main(command_line: Sequence[str] | None = None) -> None:
    """Parse and compare."""
    (arguments,) = parse_arguments(
        (CompareArguments,), "Compare the backbones of a twin set on your images.", command_line
    )
    compare(arguments)
