"""`hf-sslgen zoo convert`: convert the published backbones of twin sets."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field

from hf_sslgen.errors import InputError
from hf_sslgen.training.configuration import parse_arguments


@dataclass(frozen=True)
class ZooConvertArguments:
    """Which backbones to convert, and where to."""

    names: list[str] = field(metadata={"help": "Twin sets and backbones of `hf-sslgen zoo`."})
    output_dir: str | None = field(
        default=None,
        metadata={
            "help": "Folder that gets a folder for each backbone (default: HF_SSLGEN_ZOO, or hf-sslgen/zoo in the "
            "Hugging Face cache, where every command finds them by name)."
        },
    )
    originals_dir: str | None = field(
        default=None,
        metadata={"help": "Folder for the downloaded files (default: `originals` in output_dir)."},
    )
    keep_originals: bool = field(
        default=False, metadata={"help": "Keep each downloaded file after its conversion instead of removing it."}
    )
    dry_run: bool = field(default=False, metadata={"help": "Only print what would be downloaded and converted."})


def main(command_line: Sequence[str]) -> None:
    """Parse the arguments and convert."""
    if not command_line:
        raise InputError("zoo convert: name twin sets or backbones, such as `hf-sslgen zoo convert resnet50-in1k`")
    words = list(itertools.takewhile(lambda word: not word.startswith("-"), command_line))
    (arguments,) = parse_arguments(
        (ZooConvertArguments,),
        "Download published backbones, convert them to folders that every command loads by the backbone's name, and "
        "check them without labels. An interrupted command continues, and several may run at once. If "
        "HF_SSLGEN_MIRROR is the address of a server, files are taken from there, under HOST/PATH.",
        ["--names", *words, *command_line[len(words) :]] if words else command_line,
    )
    from hf_sslgen.commands.run_zoo_convert import run_zoo_convert

    run_zoo_convert(arguments)
