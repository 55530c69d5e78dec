"""`hf-sslgen convert`: convert a published checkpoint to a folder that every command loads, with a card about it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from hf_sslgen.training.configuration import parse_arguments


@dataclass(frozen=True)
class ConvertArguments:
    """The checkpoint to convert, and what is known of it."""

    checkpoint: str = field(
        metadata={
            "help": "File of weights, its URL, or the name of a backbone of `hf-sslgen zoo`; or a folder with "
            "config.json and pytorch_model*.bin, which gets its model.safetensors in place."
        }
    )
    output_dir: str | None = field(
        default=None,
        metadata={"help": "Folder to write (default for a name of the zoo: where every command finds it by name)."},
    )
    layout: str = field(
        default="auto", metadata={"help": "Layout of the file, if its keys fit several; auto recognises it."}
    )
    normalization: Literal["imagenet", "half", "unit_range", "swav"] | None = field(
        default=None,
        metadata={
            "help": "How the network's input is normalised: ImageNet's mean and standard deviation, 0.5 for both, "
            "only values in [0, 1], or ImageNet's with SwAV's deviation of 0.228 (default: the zoo's, what the layout "
            "implies, or else ImageNet's with a warning)."
        },
    )
    padding: Literal["torch", "same"] | None = field(
        default=None,
        metadata={"help": "Padding of strided layers: torch's own, or TensorFlow's SAME (default: likewise)."},
    )
    source: str | None = field(
        default=None,
        metadata={"help": "Origin of the checkpoint, for the card: owner/name@revision on the Hub, or a URL."},
    )
    license: str | None = field(
        default=None, metadata={"help": "Licence identifier as on the Hub (default: the one stated for it)."}
    )


def main(command_line: Sequence[str] | None = None) -> None:
    """Parse the arguments, convert the weights and write the card."""
    (arguments,) = parse_arguments(
        (ConvertArguments,),
        "Convert a published checkpoint, in any layout of the literature, to a folder in timm's format that every "
        "command loads, without running any code the file may contain, and write a card with its origin, checksum and "
        "what was dropped. A folder with pytorch_model*.bin gets its model.safetensors in place; an existing card is "
        "kept as README.source.md.",
        command_line,
        positional=("checkpoint",),
    )
    from hf_sslgen.commands.run_convert import run_convert

    run_convert(arguments)
