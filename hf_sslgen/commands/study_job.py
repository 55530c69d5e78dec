"""`recipes/study_job.py`: run a study on a machine that is gone afterwards, such as a job on the Hub."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from hf_sslgen.settings import POSITIVE, check_fields, setting
from hf_sslgen.training.configuration import parse_arguments


@dataclass(frozen=True)
class StudyJobArguments:
    """The study, and the dataset on the Hub that keeps it."""

    study: str = field(metadata={"help": "The study's YAML file."})
    repository: str = field(
        metadata={"help": "Dataset on the Hub, as owner/name, to take finished cells from and publish new ones to."}
    )
    output_dir: str = field(default="study", metadata={"help": "Folder of the study while it runs."})
    private: bool = field(
        default=False, metadata={"help": "Create the dataset as private; an existing one keeps its visibility."}
    )
    report_space: bool = field(default=True, metadata={"help": "At the end, also publish the page as a static Space."})
    push_minutes: float = setting(
        15.0, range=POSITIVE, help="Minutes between pushes of finished cells. Pushed cells survive a stopped job."
    )

    def __post_init__(self) -> None:
        check_fields(self)


def main(command_line: Sequence[str] | None = None) -> None:
    """Parse the arguments, run the study and publish it."""
    (arguments,) = parse_arguments(
        (StudyJobArguments,),
        "Run a study, and publish its finished cells every few minutes.",
        command_line,
        positional=("study", "repository"),
    )
    from hf_sslgen.commands.run_study_job import run_study_job

    run_study_job(arguments)
