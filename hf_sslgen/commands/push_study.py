"""`hf-sslgen push-study`: publish a study's cells as a dataset on the Hub, and its page as a Space."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from hf_sslgen.training.configuration import parse_arguments


@dataclass(frozen=True)
class PushStudyArguments:
    """Which study to publish, where, and which parts of it."""

    study_dir: str = field(metadata={"help": "Folder written by `hf-sslgen study` or `hf-sslgen compare`."})
    repository: str = field(metadata={"help": "Dataset on the Hub, as owner/name; created if missing."})
    private: bool = field(
        default=False, metadata={"help": "Create new repositories as private; existing ones keep theirs."}
    )
    report_space: bool = field(default=False, metadata={"help": "Also publish the page as a static Space."})
    benchmark: bool = field(
        default=False,
        metadata={
            "help": "Also register the dataset as a benchmark (eval.yaml), with a task for each domain, protocol and "
            "label budget; write the backbones' results to eval_results/ in study_dir; and print the leaderboard."
        },
    )
    examples: bool = field(default=True, metadata={"help": "Also publish example pictures from the domains."})
    pictures: bool = field(
        default=False,
        metadata={"help": "Show small pictures of the domains' images, such as errors, on the published page."},
    )
    license: str | None = field(default=None, metadata={"help": "Licence identifier of the dataset, as on the Hub."})
    allow_local_paths: bool = field(
        default=False,
        metadata={"help": "Publish cells whose identity contains local paths, such as a backbone's folder."},
    )
    dry_run: bool = field(default=False, metadata={"help": "Only print what would be published."})


def main(command_line: Sequence[str] | None = None) -> None:
    """Parse the arguments and push the study."""
    (arguments,) = parse_arguments(
        (PushStudyArguments,),
        "Publish a study: its cells and two tables as a dataset, its page as a Space. Cells already there are "
        "neither sent again nor overwritten.",
        command_line,
        positional=("study_dir", "repository"),
    )
    from hf_sslgen.commands.run_push_study import push_study

    push_study(arguments)
