"""Load all domains before anything is computed, to report what is taken from each and which cells are impossible."""

import contextlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.domains.taken import Taken, print_taken
from hf_sslgen.errors import HubError, InputError
from hf_sslgen.study.backbone_preflights import Preflights, suspicious_backbones
from hf_sslgen.study.cells.store import Store
from hf_sslgen.study.execution.workbench import Unavailable, domain_asked_once, taken_from
from hf_sslgen.study.plan import CellSpec
from hf_sslgen.study.progress import named_cells
from hf_sslgen.study.protocols.dispatch import require_possible

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Preflight:
    """What loading the domains of cells has shown.

    Attributes:
        taken: what was taken from each domain, with every label budget.
        streams: names of the streamed domains. Loading one means reading all of it, so this is left to the cells.
        impossible: the cells whose domain can't be loaded, or whose protocol can't be run on it, and why.
    """

    taken: tuple[Taken, ...]
    streams: tuple[str, ...]
    impossible: dict[CellSpec, InputError | HubError]

    def print_taken(self) -> None:
        """Print what was taken from each domain."""
        print_taken(self.taken)
        for name in self.streams:
            print(f"{name}: a stream; what is taken from it is recorded in its cells", flush=True)


def look_ahead(specs: Sequence[CellSpec], unavailable: Unavailable) -> Preflight:
    """Load the domains of cells and find the cells that can't be computed.

    Args:
        unavailable: as in `prepare_cell`.

    Raises:
        DiskFullError: there is no room to prepare a domain, which is not a fault of any cell.
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


def prepare(
    specs: Sequence[CellSpec], store: Store, unavailable: Unavailable, preflights: Preflights = "required"
) -> None:
    """Print what is taken from each domain, and record cells that can't be computed as failed before work begins.

    The preflight of each backbone of unfinished cells is run, too.

    Domains of finished cells are included, and loaded unless some process of the study knows them as they are now,
    because the pictures may have changed.

    Args:
        preflights: as for `suspicious_backbones`.
    """
    left = [spec for spec in specs if not store.has_failed(spec)]
    finished = {spec for spec in left if store.is_finished(spec)}
    known = _known(dict.fromkeys(spec.domain for spec in finished if not spec.domain.streaming), store, unavailable)
    found = look_ahead([spec for spec in left if spec not in finished or spec.domain not in known], unavailable)
    replace(found, taken=tuple(dict.fromkeys([*found.taken, *known.values()]))).print_taken()
    impossible = {spec: error for spec, error in found.impossible.items() if spec not in finished}
    to_compute = [spec for spec in left if spec not in finished and spec not in impossible]
    impossible |= suspicious_backbones(to_compute, store.folder, unavailable, preflights)
    for spec, error in impossible.items():
        store.record_failure(spec, error)
    for sentence in impossible_sentences(impossible):
        logger.warning("cells left out that %s", sentence)


def _known(domains: Iterable[DomainArguments], store: Store, unavailable: Unavailable) -> dict[DomainArguments, Taken]:
    known = {}
    for domain in domains:
        with contextlib.suppress(InputError, HubError):  # which loading tells
            taken = taken_from(store.folder, domain, unavailable)
            if taken is not None:
                known[domain] = taken
    return known


def impossible_sentences(impossible: Mapping[CellSpec, InputError | HubError]) -> list[str]:
    """Return a sentence for each reason, with the first cells that it affects."""
    titles: dict[str, list[str]] = {}
    for spec, error in impossible.items():
        titles.setdefault(str(error), []).append(spec.title)
    return [f"can't be computed: {named_cells(met)}: {reason}" for reason, met in titles.items()]
