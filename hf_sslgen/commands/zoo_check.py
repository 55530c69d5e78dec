"""`hf-sslgen zoo check`: check a backbone against what is published of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from hf_sslgen.domains.domain_arguments import SharedDomainArguments
from hf_sslgen.settings import AT_LEAST_ONE, SIDE, Range, check_fields, setting
from hf_sslgen.training.configuration import parse_arguments


@dataclass(frozen=True)
class ZooCheckArguments:
    """What to check, and on which labelled images."""

    name: str = field(metadata={"help": "A name from `hf-sslgen zoo`, a folder, or a Hub id."})
    dataset_name: str | None = field(
        default=None,
        metadata={
            "help": "Labelled source images, such as `imagenet1k`, to measure k-NN and linear accuracy on: a name of "
            "`hf-sslgen domains`, a Hub id, a local folder or a file (default: only look, without labels)."
        },
    )
    registered_as: str | None = field(
        default=None, metadata={"help": "Registered domain of which dataset_name is a copy or subset."}
    )
    published_of: str | None = field(
        default=None,
        metadata={
            "help": "Name from `hf-sslgen zoo` whose published accuracies to hold against a folder (default: the "
            "backbone's own)."
        },
    )
    train_split_name: str | None = field(default=None, metadata={"help": "Split to fit on (default: train)."})
    test_split_name: str | None = field(
        default=None, metadata={"help": "Split to measure on (default: test, else validation)."}
    )
    neighbours: int | None = setting(
        None, range=AT_LEAST_ONE, help="k of k-NN (default: that of the published number if known, else 20)."
    )
    temperature: float | None = setting(
        None, range=Range(above=0), help="Temperature of k-NN (default: that of the published number, else 0.07)."
    )
    linear: bool = field(default=True, metadata={"help": "Also fit a linear probe."})
    image_size: int | None = setting(None, range=SIDE, help="Input side in pixels (default: the backbone's own).")
    batch_size: int = setting(
        64, range=AT_LEAST_ONE, help="Images per forward pass; halved, with a warning, if memory runs out."
    )
    json: bool = field(default=False, metadata={"help": "Print the result as JSON."})
    write: bool = field(
        default=False, metadata={"help": "Also write the result to verification.json in the backbone's folder."}
    )

    def __post_init__(self) -> None:
        check_fields(self)


def main(command_line: Sequence[str]) -> None:
    """Parse the arguments and check the backbone."""
    arguments, shared = parse_arguments(
        (ZooCheckArguments, SharedDomainArguments),
        "Count a backbone's tensors, look at its features of a few pictures and, given labelled source images, hold "
        "its k-NN and linear accuracy against the published ones: pass, fail, or why they can't be compared.",
        command_line,
        positional=("name",),
    )
    from hf_sslgen.commands.run_zoo_check import run_zoo_check

    run_zoo_check(arguments, shared)
