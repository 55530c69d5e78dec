"""`hf-sslgen study`: run a matrix of cells from a YAML file, in any number of processes that share its folder."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from hf_sslgen.commands.accepted_inputs import ACCEPT_INPUTS
from hf_sslgen.errors import InputError
from hf_sslgen.output_folder import require_output_folder
from hf_sslgen.settings import Range, check_fields, setting
from hf_sslgen.study.cells.store import DEFAULT_CACHE_GB
from hf_sslgen.training.configuration import parse_arguments
from hf_sslgen.training.tracking import TrackingArguments


@dataclass(frozen=True)
class StudyArguments:
    """Which study to run, where, and in how many processes."""

    study: str = field(metadata={"help": "The study's YAML file (docs/how-to.md lists its keys)."})
    output_dir: str | None = field(
        default=None, metadata={"help": "The study's folder; any number of processes may share it."}
    )
    dry_run: bool = field(
        default=False,
        metadata={
            "help": "Only print the cells and their time, GPU hours, disk space and downloads. Needs no network."
        },
    )
    stand_ins: bool = field(
        default=False,
        metadata={
            "help": "Try the study out in a scaled-down form that needs no network: small random networks and a few "
            "embedded pictures in place of its backbones and domains. The same cells and report, and no result."
        },
    )
    power: bool = field(
        default=False,
        metadata={"help": "Only print the detectable differences of the study, and what would halve them."},
    )
    power_from: str | None = field(
        default=None,
        metadata={
            "help": "Folder of an earlier study whose variances --power and --dry_run use (default: this study's "
            "folder, else published values)."
        },
    )
    workers: int | None = setting(
        None,
        range=Range(at_least=1, at_most=1024),
        help="Number of workers (default: one per GPU, or this process alone; on a Ray cluster without GPUs, as many "
        "as its CPUs allow).",
    )
    executor: Literal["process", "ray"] = field(
        default="process",
        metadata={"help": "Where workers run: processes on this machine, or tasks on a Ray cluster (extra `ray`)."},
    )
    ray_address: str | None = field(
        default=None,
        metadata={"help": "Address of a Ray cluster, such as `auto` (default: start Ray on this machine)."},
    )
    feature_cache_gb: float = setting(
        DEFAULT_CACHE_GB,
        range=Range(at_least=0),
        help="Gigabytes of features to keep in the study's folder, so that probes, label budgets and seeds share one "
        "pass over the images; beyond that, the least recently used are removed. 0: keep none.",
    )
    no_wait: bool = field(
        default=False,
        metadata={
            "help": "End once other processes are computing all the cells that are left, instead of waiting for them; "
            "the last process writes the report."
        },
    )
    accept_inputs: bool = field(default=False, metadata=ACCEPT_INPUTS)
    retry_failed: bool = field(default=False, metadata={"help": "Retry cells that failed before."})
    write_report: bool = field(default=True, metadata={"help": "Write tables and report when all cells are done."})
    reference: list[str] | None = field(
        default=None,
        metadata={
            "help": "Tables of published results to show beside the study's own (such as ssl-transfer-linear, "
            "sfda-finetune or imagenet-linear; a wrong name lists all), instead of those that its file names."
        },
    )
    pull: str | None = field(
        default=None, metadata={"help": "Dataset on the Hub (owner/name) to pull finished cells from first."}
    )

    verbose: bool = field(default=False, metadata={"help": "Also print every table and the time of each cell."})

    def __post_init__(self) -> None:
        check_fields(self)
        if not self.power:
            _ = self.folder
        if self.power and self.dry_run:
            raise InputError("--power and --dry_run print different things; give only one of them")
        if self.stand_ins and (self.power or self.dry_run or self.pull is not None):
            raise InputError("--stand_ins works without --power, --dry_run and --pull; give only one of them")
        if self.power_from is not None and not (self.power or self.dry_run):
            raise InputError("power_from only works with --power or --dry_run; add one of them, or drop it")
        if self.ray_address is not None and self.executor != "ray":
            raise InputError("ray_address only works with --executor ray; add that, or drop it")
        only = "--dry_run" if self.dry_run else "--power"
        if self.pull is not None and (self.dry_run or self.power):
            raise InputError(f"--pull writes into the study's folder, which {only} must not; give only one of them")

    @property
    def folder(self) -> Path:
        """The study's folder; InputError if it was not given, which only --power allows."""
        if self.output_dir is None:
            raise InputError("output_dir is missing; give it as --output_dir (--help lists the options)")
        return Path(self.output_dir)


def main(command_line: Sequence[str] | None = None) -> None:
    """Parse the arguments and run the study."""
    arguments, tracking = parse_arguments(
        (StudyArguments, TrackingArguments),
        "Run a study: backbones x domains x protocols x label budgets x seeds. Finished cells in its folder are not "
        "computed again, and any number of processes may share the folder.",
        command_line,
        positional="study",
    )
    if arguments.stand_ins:
        from hf_sslgen.study.stand_in_study import write_stand_in_study  # takes seconds to import

        require_output_folder(arguments.folder, own=["cells"])
        arguments = replace(arguments, study=str(write_stand_in_study(Path(arguments.study), arguments.folder)))
    if not (arguments.dry_run or arguments.power):
        from hf_sslgen.commands.opening import print_opening
        from hf_sslgen.study.cells.store import Snapshot
        from hf_sslgen.study.config import read_study
        from hf_sslgen.study.plan import expand
        from hf_sslgen.study.progress import still_left_out
        from hf_sslgen.study.stand_in_marks import STAND_INS_NOTICE, require_same_kind
        from hf_sslgen.study.unconverted import left_out_sentences, require_converted

        require_output_folder(arguments.folder, own=["cells"])
        config = read_study(Path(arguments.study))
        require_same_kind(arguments.folder, config.stand_ins)
        if config.stand_ins:
            print(STAND_INS_NOTICE, flush=True)
        require_converted(config.backbones or config.left_out)
        print_opening(expand(config), arguments.folder)
        for sentence in left_out_sentences(still_left_out(config, Snapshot(arguments.folder))):
            print(sentence, flush=True)
    from hf_sslgen.commands.run_study import run_study  # takes seconds to import

    run_study(arguments, tracking)
