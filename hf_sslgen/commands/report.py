"""`hf-sslgen report`: write a study's tables and page from its folder alone."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hf_sslgen.errors import InputError
from hf_sslgen.reporting.figures.figure_kinds import FigureKind
from hf_sslgen.training.configuration import parse_arguments


@dataclass(frozen=True)
class ReportArguments:
    """The study to report, and what to write besides tables and page."""

    study_dir: str = field(metadata={"help": "Folder written by `hf-sslgen study` or `hf-sslgen compare`."})
    verbose: bool = field(default=False, metadata={"help": "Also print every table."})
    reference: list[str] | None = field(
        default=None,
        metadata={
            "help": "Tables of published results to show beside the study's own (such as ssl-transfer-linear, "
            "sfda-finetune or imagenet-linear; a wrong name lists all), instead of those that its file names."
        },
    )
    figures: FigureKind | None = field(
        default=None, metadata={"help": "Also write the figures as files of this kind, into report/figures."}
    )


def main(command_line: Sequence[str] | None = None) -> None:
    """Parse the arguments and write the report."""
    (arguments,) = parse_arguments(
        (ReportArguments,), "Write a study's tables and page from its folder alone.", command_line, "study_dir"
    )
    from hf_sslgen.commands.run_report import report_study

    damaged = report_study(
        Path(arguments.study_dir), arguments.figures, arguments.verbose, reference=arguments.reference
    )
    if damaged:
        raise InputError(f"the report leaves out unreadable cells: {'; '.join(damaged)}")
