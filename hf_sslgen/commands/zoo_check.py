"""`hf-sslgen zoo check`: check a backbone, without labels and against its published accuracies."""

from collections.abc import Sequence
from dataclasses import dataclass, field, fields

from hf_sslgen.analysis.analysis_settings import Precision
from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.errors import InputError
from hf_sslgen.settings import AT_LEAST_ONE, SIDE, Range, check_fields, setting
from hf_sslgen.training.configuration import parse_arguments


@dataclass(frozen=True)
class ZooCheckArguments:
    """What to check, and how."""

    name: str = field(metadata={"help": "A name from `hf-sslgen zoo`, a Hub id or a folder."})
    registered_backbone: str | None = field(
        default=None,
        metadata={
            "help": "Registered backbone whose published accuracies apply to a folder (default: the one of that name)."
        },
    )
    image_size: int | None = setting(None, range=SIDE, help="Input side in pixels (default: the backbone's own).")
    neighbours: int = setting(20, range=AT_LEAST_ONE, help="k of the nearest neighbours.")
    temperature: float = setting(0.07, range=Range(above=0), help="Temperature of the neighbours' votes.")
    linear: bool = field(default=True, metadata={"help": "Also fit a linear probe."})
    batch_size: int = setting(
        64, range=AT_LEAST_ONE, help="Images per forward pass; halved, with a warning, if memory runs out."
    )
    precision: Precision = field(
        default="fp32", metadata={"help": "Precision of the network up to its classifier; fp16 needs a GPU."}
    )
    json: bool = field(default=False, metadata={"help": "Print the whole result as JSON."})

    def __post_init__(self) -> None:
        check_fields(self)


DESCRIPTION = (
    "Check a backbone: count its tensors, look at its inputs and features without labels and, if --dataset_name names "
    "labelled pictures of its source, compare nearest-neighbour and linear accuracy with the published ones: pass, "
    "fail, or not comparable and why. A failed check ends with exit code 2. A copy of ImageNet is recognised by "
    "--registered_as imagenet1k; --max_train_samples and --max_test_samples limit the number of pictures."
)


def main(command_line: Sequence[str]) -> None:
    """Parse the arguments and check."""
    from hf_sslgen.commands.run_zoo_check import run_zoo_check

    if not _names_pictures(command_line):
        (arguments,) = parse_arguments((ZooCheckArguments,), DESCRIPTION, command_line, positional="name")
        run_zoo_check(arguments, None)
        return
    arguments, domain_arguments = parse_arguments(
        (ZooCheckArguments, DomainArguments), DESCRIPTION, command_line, positional="name"
    )
    if domain_arguments.streaming:
        raise InputError("streaming does not apply to zoo check; limit the pictures with --max_train_samples")
    run_zoo_check(arguments, domain_arguments)


def _names_pictures(command_line: Sequence[str]) -> bool:
    """Whether options of a domain are given or asked for."""
    options = {field.name for field in fields(DomainArguments)} | {"help", "h", "config"}
    words = [word for word in command_line if word.startswith("-")]
    return any(word.lstrip("-").partition("=")[0].replace("-", "_") in options for word in words)
