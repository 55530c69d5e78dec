"""`hf-sslgen push-study`: a study's cells as a dataset on the Hub, and its page as a Space."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from hf_sslgen.training.configuration import parse_arguments


@dataclass(frozen=True)
class PushStudyArguments:
    """Which study, where to, and what of it."""

    study_dir: str = field(metadata={"help": "A folder that `hf-sslgen study` or `hf-sslgen compare` wrote."})
    repository: str = field(metadata={"help": "Dataset on the Hub, as owner/name; made where there is none."})
    private: bool = field(default=False, metadata={"help": "Make it private; one that is there stays as it is."})
    report_space: bool = field(default=False, metadata={"help": "Also publish the page, as a static Space."})
    examples: bool = field(default=True, metadata={"help": "Publish the example pictures of the domains too."})
    license: str | None = field(default=None, metadata={"help": "Licence of the dataset, as the Hub calls it."})
    allow_local_paths: bool = field(
        default=False, metadata={"help": "Publish cells whose identity holds local paths, as a backbone's folder."}
    )
    dry_run: bool = field(default=False, metadata={"help": "Only say what would be published."})


def main(command_line: Sequence[str] | None = None) -> None:
    """Parse and push."""
    (arguments,) = parse_arguments(
        (PushStudyArguments,),
        "Publish a study: its cells and two tables as a dataset, its page as a Space. What is there is not sent "
        "again, and never overwritten.",
        command_line,
        positional=("study_dir", "repository"),
    )
    from hf_sslgen.commands.run_push_study import push_study

    push_study(arguments)
