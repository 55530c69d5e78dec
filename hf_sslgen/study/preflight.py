"""What is taken of each domain and what can't be computed, found out by loading domains before anything is."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.domains.taken import Taken, print_taken
from hf_sslgen.errors import HubError, InputError
from hf_sslgen.study.cells.store import Store
from hf_sslgen.study.execution.workbench import Unavailable, domain_asked_once
from hf_sslgen.study.plan import CellSpec
from hf_sslgen.study.progress import named_cells
from hf_sslgen.study.protocols.dispatch import require_possible

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Preflight:
    """What is known of cells once their domains were loaded.

    Attributes:
        taken: what was taken of each domain, with every budget of labels.
        streams: names of the domains that are streamed. They are read to be loaded, so they are left to the cells.
        impossible: the cells whose domain can't be loaded, or whose protocol can't be run on it, and why.
    """

    taken: tuple[Taken, ...]
    streams: tuple[str, ...]
    impossible: dict[CellSpec, InputError | HubError]

    def print_taken(self) -> None:
        """Say of each domain what was taken of it."""
        print_taken(self.taken)
        for name in self.streams:
            print(f"{name}: a stream; its cells keep what was taken of it", flush=True)


def look_ahead(specs: Sequence[CellSpec], unavailable: Unavailable) -> Preflight:
    """Load the domains of cells, and find the cells that can't be computed.

    Args:
        unavailable: as in `prepare_cell`.

    Raises:
        DiskFullError: no room is left to prepare a domain, which no cell can be blamed for.
    """
    impossible: dict[CellSpec, InputError | HubError] = {}
    taken: dict[DomainArguments, Taken] = {}
    not_loaded: dict[DomainArguments, InputError | HubError] = {}
    streams: dict[str, None] = {}
    for spec in specs:
        if spec.domain.streaming:
            streams[spec.domain_name] = None
            continue
        try:
            if spec.domain in not_loaded:
                raise not_loaded[spec.domain]
            domain = domain_asked_once(spec.domain, unavailable)
        except (InputError, HubError) as error:
            impossible[spec] = not_loaded[spec.domain] = error
            continue
        taken[spec.domain] = domain.taken
        try:
            require_possible(spec.protocol, domain)
        except InputError as error:
            impossible[spec] = error
    return Preflight(tuple(taken.values()), tuple(streams), impossible)


def prepare(specs: Sequence[CellSpec], store: Store, unavailable: Unavailable) -> None:
    """Print what is taken of each domain, and keep as failed what can't be computed, before anything is begun.

    Finished cells are looked at too: workers load their domains again, whose pictures may be others by now.
    """
    found = look_ahead([spec for spec in specs if not store.has_failed(spec)], unavailable)
    found.print_taken()
    impossible = {spec: error for spec, error in found.impossible.items() if not store.is_finished(spec)}
    for spec, error in impossible.items():
        store.record_failure(spec, error)
    for sentence in impossible_sentences(impossible):
        logger.warning("cells left out that %s", sentence)


def impossible_sentences(impossible: Mapping[CellSpec, InputError | HubError]) -> list[str]:
    """A sentence for each reason, which names the first cells that it stops."""
    titles: dict[str, list[str]] = {}
    for spec, error in impossible.items():
        titles.setdefault(str(error), []).append(spec.title)
    return [f"can't be computed: {named_cells(met)}: {reason}" for reason, met in titles.items()]
