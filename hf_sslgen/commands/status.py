"""`hf-sslgen status`: how far a study is."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hf_sslgen.errors import InputError
from hf_sslgen.study.cells.store import STUDY_FILE, Store
from hf_sslgen.study.config import read_study
from hf_sslgen.study.plan import expand
from hf_sslgen.study.progress import damaged_sentences, failure_sentences, living_claims, state_of
from hf_sslgen.training.configuration import parse_arguments

STATES = ("finished", "running", "waiting", "failed")
DAMAGED = "damaged"
"""A state that is shown where a cell is in it: its folder is there and can't be read."""


@dataclass(frozen=True)
class StatusArguments:
    """Of which study."""

    study_dir: str = field(metadata={"help": "A folder that `hf-sslgen study` wrote."})


def status_text(folder: Path) -> str:
    """A table of cells by domain and state, then who is computing what, and what failed."""
    path = folder / STUDY_FILE
    if not path.exists():
        raise InputError(f"study_dir {str(folder)!r} holds no study: it has no {STUDY_FILE}")
    store = Store(folder)
    specs, claimed = expand(read_study(path)), living_claims(store)
    damaged = damaged_sentences(specs, store)
    counts: dict[str, Counter[str]] = {}
    details = []
    for spec in specs:
        state = DAMAGED if spec in damaged else state_of(spec, store, claimed)
        counts.setdefault(spec.domain_name, Counter())[state] += 1
        if state == "running":
            details.append(f"Running: {spec.title}: {claimed[store.indexed(spec) or '']}")
    details += [*failure_sentences(specs, store), *dict.fromkeys(damaged.values())]
    width = max(len("all"), *(len(name) for name in counts))
    states = (*STATES, DAMAGED) if damaged else STATES
    lines = [f"{'domain':{width}}  " + "  ".join(f"{state:>8}" for state in states)]
    for name, of_domain in {**counts, "all": sum(counts.values(), Counter())}.items():
        lines.append(f"{name:{width}}  " + "  ".join(f"{of_domain[state]:8}" for state in states))
    return "\n".join([*lines, *(["", *details] if details else [])])


def main(command_line: Sequence[str] | None = None) -> None:
    """Parse and print."""
    (arguments,) = parse_arguments(
        (StatusArguments,), "Say how far a study is: finished, running, waiting, failed.", command_line, "study_dir"
    )
    print(status_text(Path(arguments.study_dir)))
