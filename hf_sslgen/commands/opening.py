"""What a command has found, said within a second: before torch is imported and anything is loaded."""

from collections.abc import Sequence
from pathlib import Path

from hf_sslgen.domains.glance import glance
from hf_sslgen.names import printable
from hf_sslgen.reporting.vocabulary import protocol_words
from hf_sslgen.settings import some_of
from hf_sslgen.study.cells.store import Snapshot
from hf_sslgen.study.plan import CellSpec
from hf_sslgen.zoo.display_names import display_names

MOST_DOMAINS = 8
MOST_NAMES = 6


def print_opening(specs: Sequence[CellSpec], folder: Path) -> None:
    """Print a line per domain, then one about the cells.

    Args:
        folder: the folder of the study or comparison, which may not exist yet.
    """
    for line in opening_lines(specs, folder):
        print(printable(line), flush=True)


def opening_lines(specs: Sequence[CellSpec], folder: Path) -> list[str]:
    """Return the lines; see `print_opening`."""
    domains = {spec.domain_name: spec.domain for spec in reversed(specs)}
    named = list(reversed(domains.items()))
    lines = []
    for name, arguments in named[:MOST_DOMAINS]:
        found = glance(arguments)
        lines.append(found.line() if found is not None else f"{name}: its contents are shown once it is loaded")
    if len(named) > MOST_DOMAINS:
        lines.append(f"... and {len(named) - MOST_DOMAINS} more domains")
    return [*lines, *_of_cells(specs, folder)]


def _of_cells(specs: Sequence[CellSpec], folder: Path) -> list[str]:
    objectives = {spec.backbone.name: spec.backbone.objective for spec in specs}
    backbones = some_of(list(display_names(objectives).values()), MOST_NAMES)
    protocols = some_of(list(dict.fromkeys(protocol_words(spec.protocol_name) for spec in specs)), MOST_NAMES)
    store = Snapshot(folder)
    finished = sum(store.is_finished(spec) for spec in specs)
    done = f", {finished:,} of them already finished" if finished else ""
    return [f"{len(objectives)} backbones: {backbones}", f"{len(specs):,} cells ({protocols}){done}"]
