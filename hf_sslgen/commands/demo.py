"""`hf-sslgen demo`: run the whole comparison on data shipped with the package, without network access."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from hf_sslgen.commands.compare import CompareArguments, compare_images
from hf_sslgen.domains.domain_arguments import SharedDomainArguments
from hf_sslgen.settings import SEED, setting
from hf_sslgen.training.configuration import parse_arguments

TWIN_SET = "resnet18-tiny-imagenet-100"
DOMAINS = ["photo-patches", "specimen-patches", "digits"]


@dataclass(frozen=True)
class DemoArguments:
    """Where the demo writes."""

    output_dir: str = field(default="runs/demo", metadata={"help": "Folder for the cells, tables and report."})
    seed: int = setting(0, range=SEED, help="Seed for everything random.")


def main(command_line: Sequence[str] | None = None) -> None:
    """Compare the shipped twins and their untrained control on the embedded domains, with 8 images per class."""
    (arguments,) = parse_arguments(
        (DemoArguments,),
        "Compare the shipped twins on the embedded domains; needs no network and takes a few minutes.",
        command_line,
    )
    compare_images(
        CompareArguments(
            dataset_name=DOMAINS,
            twin_set=TWIN_SET,
            output_dir=arguments.output_dir,
            protocol=["linear", "finetune"],
            learning_rates=[1e-3, 3e-3],
            max_steps=12,
            batch_size=32,
            seed=arguments.seed,
        ),
        SharedDomainArguments(samples_per_class=8, max_eval_samples=100, max_test_samples=150),
    )
