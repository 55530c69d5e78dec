"""`hf-sslgen status`: show the progress of a study or comparison, once or until it has ended."""

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hf_sslgen.errors import InputError
from hf_sslgen.names import printable
from hf_sslgen.study.cells.store import STUDY_FILE, Snapshot
from hf_sslgen.study.comparison_file import COMPARISON_FILE, PlannedCell, read_comparison
from hf_sslgen.study.config import read_study
from hf_sslgen.study.pace import pace_of
from hf_sslgen.study.pace_line import show_pace
from hf_sslgen.study.plan import CellSpec
from hf_sslgen.study.progress import (
    damaged_sentences,
    failure_sentences,
    living_claims,
    planned_cells,
    state_of,
    still_left_out,
)
from hf_sslgen.study.unconverted import left_out_sentences
from hf_sslgen.training.configuration import parse_arguments

STATES = ("finished", "running", "waiting", "failed")
DAMAGED = "damaged"
"""State of a cell whose folder exists but is unreadable; shown only if there is one."""


@dataclass(frozen=True)
class StatusArguments:
    """The study or comparison to show."""

    study_dir: str = field(metadata={"help": "Folder written by `hf-sslgen study` or `hf-sslgen compare`."})
    watch: bool = field(
        default=False, metadata={"help": "Show one line, updated every two seconds, until no cell is left."}
    )


def planned_in(folder: Path) -> Sequence[CellSpec | PlannedCell]:
    """Return the cells that a folder's study, or its last comparison, asks for; InputError if it holds neither."""
    if (folder / STUDY_FILE).exists():
        return planned_cells(read_study(folder / STUDY_FILE), Snapshot(folder))
    comparison = read_comparison(folder)
    if comparison is not None:
        return comparison.cells
    neither = f"it has neither {STUDY_FILE} nor {COMPARISON_FILE}"
    if (folder / "cells").is_dir():
        raise InputError(
            f"study_dir {str(folder)!r} does not say which cells were asked for: {neither}; `hf-sslgen report` shows "
            "its finished cells, and running `hf-sslgen compare` again with the same options adds the record"
        )
    raise InputError(f"study_dir {str(folder)!r} does not hold a study or a comparison: {neither}")


def status_text(folder: Path) -> str:
    """Tabulate cells by domain and state, then list the running and the failed ones."""
    specs = planned_in(folder)
    store = Snapshot(folder)
    claimed, damaged = living_claims(store), damaged_sentences(specs, store)
    counts: dict[str, Counter[str]] = {}
    details = []
    for spec in specs:
        state = DAMAGED if spec in damaged else state_of(spec, store, claimed)
        counts.setdefault(spec.domain_name, Counter())[state] += 1
        if state == "running":
            details.append(f"Running: {spec.title}: {claimed[store.indexed(spec) or '']}")
    details += [*failure_sentences(specs, store), *dict.fromkeys(damaged.values()), *_left_out(folder)]
    width = max(len("all"), *(len(name) for name in counts))
    states = (*STATES, DAMAGED) if damaged else STATES
    lines = [f"{'domain':{width}}  " + "  ".join(f"{state:>8}" for state in states)]
    for name, of_domain in {**counts, "all": sum(counts.values(), Counter())}.items():
        lines.append(f"{name:{width}}  " + "  ".join(f"{of_domain[state]:8}" for state in states))
    lines.append(f"features: {store.features_bytes() / 1e9:.2f} GB of at most {store.feature_cache_gb:g} GB")
    pace = pace_of(specs, folder)
    if pace.left:
        lines.append(printable(pace.line()))
    return "\n".join([*lines, *(["", *details] if details else [])])


def _left_out(folder: Path) -> list[str]:
    """Return sentences on the backbones that a study or comparison leaves out until they are converted."""
    if (folder / STUDY_FILE).exists():
        return left_out_sentences(still_left_out(read_study(folder / STUDY_FILE), Snapshot(folder)))
    comparison = read_comparison(folder)
    return list(comparison.left_out) if comparison is not None else []


def watch(folder: Path) -> None:
    """Show one line of progress until every cell has finished or failed."""
    specs = planned_in(folder)
    show_pace(specs, folder, lambda pace: not pace.left, sys.stdout)


def main(command_line: Sequence[str] | None = None) -> None:
    """Parse the arguments and print the status."""
    (arguments,) = parse_arguments(
        (StatusArguments,),
        "Show how many cells of a study or comparison are finished, running, waiting or failed.",
        command_line,
        "study_dir",
    )
    folder = Path(arguments.study_dir)
    if arguments.watch:
        watch(folder)
    else:
        print(status_text(folder))
