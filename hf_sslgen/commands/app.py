"""`hf-sslgen app`: a page on this machine to drop images on, choose backbones, and see them compared."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from hf_sslgen.settings import POSITIVE, Range, check_fields, setting
from hf_sslgen.training.configuration import parse_arguments


@dataclass(frozen=True)
class AppArguments:
    """Where the app listens and writes."""

    output_dir: str = field(
        default="runs/app", metadata={"help": "Folder for cells, tables and report, as in `compare`."}
    )
    port: int = setting(7860, range=Range(at_least=0, at_most=65535), help="Port to listen on; 0 takes any free one.")
    host: str = field(
        default="127.0.0.1",
        metadata={
            "help": "Address to listen on. With the default only this machine reaches the app, which has no password."
        },
    )
    max_upload_gb: float = setting(2.0, range=POSITIVE, help="Limit of one drop in gigabytes, unpacked.")

    def __post_init__(self) -> None:
        check_fields(self)


def main(command_line: Sequence[str] | None = None) -> None:
    """Parse and serve."""
    (arguments,) = parse_arguments(
        (AppArguments,), "Serve a page on this machine to compare backbones on your images.", command_line
    )
    from hf_sslgen.commands.run_app import run_app

    run_app(arguments)
