"""`hf-sslgen status`: show a study's progress."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hf_sslgen.errors import InputError
from hf_sslgen.study.cells.store import STUDY_FILE, Snapshot
from hf_sslgen.study.config import read_study
from hf_sslgen.study.plan import expand
from hf_sslgen.study.progress import damaged_sentences, failure_sentences, living_claims, state_of
from hf_sslgen.training.configuration import parse_arguments

STATES = ("finished", "running", "waiting", "failed")
DAMAGED = "damaged"
"""State of a cell whose folder exists but is unreadable; shown only if there is one."""


@dataclass(frozen=True)
class StatusArguments:
    """The study to show."""

    study_dir: str = field(metadata={"help": "Folder written by `hf-sslgen study`."})


def status_text(folder: Path) -> str:
    """Tabulate cells by domain and state, then list the running and the failed ones."""
    path = folder / STUDY_FILE
    if not path.exists():
        raise InputError(f"study_dir {str(folder)!r} does not hold a study: it has no {STUDY_FILE}")
    store = Snapshot(folder)
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
    lines.append(f"features: {store.features_bytes() / 1e9:.2f} GB of at most {store.feature_cache_gb:g} GB")
    return "\n".join([*lines, *(["", *details] if details else [])])


def main(command_line: Sequence[str] | None = None) -> None:
    """Parse the arguments and print the status."""
    (arguments,) = parse_arguments(
        (StatusArguments,),
        "Show how many cells of a study are finished, running, waiting or failed.",
        command_line,
        "study_dir",
    )
    print(status_text(Path(arguments.study_dir)))
