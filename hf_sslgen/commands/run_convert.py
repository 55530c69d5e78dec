"""Run `hf-sslgen convert`, after its options have been parsed."""

from pathlib import Path

from hf_sslgen.commands.convert import ConvertArguments
from hf_sslgen.hub.converted_card import is_timm_checkpoint, write_converted_card
from hf_sslgen.output_folder import require_output_folder
from hf_sslgen.zoo.to_safetensors import convert_folder


def run_convert(arguments: ConvertArguments) -> None:
    """Convert, write the card and print the paths of both."""
    folder = Path(arguments.folder)
    is_timm = is_timm_checkpoint(folder)
    require_output_folder(folder, argument="folder")
    weights = convert_folder(folder)
    print(weights)
    print(write_converted_card(folder, weights, is_timm, arguments.source, arguments.license))
