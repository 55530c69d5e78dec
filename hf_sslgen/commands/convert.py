"""`hf-sslgen convert`: convert a published checkpoint's pickled weights to safetensors and write a card about it."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from hf_sslgen.training.configuration import parse_arguments


@dataclass(frozen=True)
class ConvertArguments:
    """The checkpoint to convert and the details for its card."""

    folder: str = field(metadata={"help": "Checkpoint folder with config.json and pytorch_model*.bin."})
    source: str | None = field(
        default=None,
        metadata={"help": "Origin of the checkpoint, for the card: owner/name@revision on the Hub, or a URL."},
    )
    license: str | None = field(
        default=None, metadata={"help": "Licence identifier as on the Hub (default: the one stated in its card)."}
    )


def main(command_line: Sequence[str] | None = None) -> None:
    """Parse the arguments, convert the weights and write the card."""
    (arguments,) = parse_arguments(
        (ConvertArguments,),
        "Convert a checkpoint's pytorch_model*.bin to model.safetensors in the same folder, without running any code "
        "the file may contain, and write a card; an existing card is kept as README.source.md.",
        command_line,
        positional=("folder",),
    )
    from hf_sslgen.commands.run_convert import run_convert

    run_convert(arguments)
