"""`hf-sslgen convert`: pickled weights of a published checkpoint made into safetensors, with a card that says so."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from hf_sslgen.training.configuration import parse_arguments


@dataclass(frozen=True)
class ConvertArguments:
    """Which checkpoint, and what its card is to say."""

    folder: str = field(metadata={"help": "Folder of a checkpoint with config.json and pytorch_model*.bin."})
    source: str | None = field(
        default=None,
        metadata={"help": "Where it is from, for the card: owner/name@revision on the Hub, or an address."},
    )
    license: str | None = field(
        default=None, metadata={"help": "Licence, as the Hub calls it (default: the one that its card states)."}
    )


def main(command_line: Sequence[str] | None = None) -> None:
    """Parse, convert and write the card."""
    (arguments,) = parse_arguments(
        (ConvertArguments,),
        "Write model.safetensors beside a checkpoint's pytorch_model*.bin, which is opened without running what it "
        "may hold, and a card; the card that was there is kept as README.source.md.",
        command_line,
        positional=("folder",),
    )
    from hf_sslgen.commands.run_convert import run_convert

    run_convert(arguments)
