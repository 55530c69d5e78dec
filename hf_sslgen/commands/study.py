"""`hf-sslgen study`: a whole matrix of cells from a YAML file, by any number of processes that share its folder."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from hf_sslgen.errors import InputError
from hf_sslgen.settings import Range, check_fields, setting
from hf_sslgen.training.configuration import parse_arguments


@dataclass(frozen=True)
class StudyArguments:
    """Which study, where, and by how many processes."""

    study: str = field(metadata={"help": "YAML file of the study (docs/how-to.md has its keys)."})
    output_dir: str = field(metadata={"help": "The study's folder; may be shared by any number of processes."})
    dry_run: bool = field(default=False, metadata={"help": "Only say which cells, how long and how much disk."})
    workers: int | None = setting(
        None,
        range=Range(at_least=1, at_most=1024),
        help="Processes to work with (default: one per GPU, or one in this process).",
    )
    executor: Literal["process", "ray"] = field(
        default="process", metadata={"help": "Processes of this machine, or tasks of a Ray cluster (extra `ray`)."}
    )
    ray_address: str | None = field(
        default=None, metadata={"help": "Address of a Ray cluster, such as `auto`; without one Ray is started here."}
    )
    retry_failed: bool = field(default=False, metadata={"help": "Try cells again that failed before."})
    write_report: bool = field(default=True, metadata={"help": "Write tables and report when all cells have ended."})
    pull: str | None = field(
        default=None, metadata={"help": "Dataset on the Hub (owner/name) whose cells are taken over first."}
    )

    def __post_init__(self) -> None:
        check_fields(self)
        if self.ray_address is not None and self.executor != "ray":
            raise InputError("ray_address goes with --executor ray")
        if self.pull is not None and self.dry_run:
            raise InputError("--pull writes into the study's folder and --dry_run does not; give one of them")


def main(command_line: Sequence[str] | None = None) -> None:
    """Parse and run."""
    (arguments,) = parse_arguments(
        (StudyArguments,),
        "Run a study: backbones x domains x protocols x label budgets x seeds. What its folder holds is not computed "
        "again, and any number of processes may work on one folder.",
        command_line,
        positional="study",
    )
    from hf_sslgen.commands.run_study import run_study

    run_study(arguments)
