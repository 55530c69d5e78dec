"""What can't be computed, found out by loading domains before anything is computed."""

import logging
from collections.abc import Mapping, Sequence

from hf_sslgen.domains.arguments import DomainArguments
from hf_sslgen.errors import InputError
from hf_sslgen.study.measures import require_possible
from hf_sslgen.study.plan import CellSpec
from hf_sslgen.study.results import named_cells
from hf_sslgen.study.store import Store
from hf_sslgen.study.workbench import Unavailable, domain_asked_once

logger = logging.getLogger(__name__)


def impossible_cells(specs: Sequence[CellSpec], unavailable: Unavailable) -> dict[CellSpec, InputError]:
    """The cells whose domain can't be loaded, or whose protocol can't be run on it, and why.

    Streamed domains are read to be loaded, so they are left to the cells themselves.

    Args:
        unavailable: as in `prepare_cell`.
    """
    found: dict[CellSpec, InputError] = {}
    not_loaded: dict[DomainArguments, InputError] = {}
    for spec in specs:
        if spec.domain.streaming:
            continue
        try:
            if spec.domain in not_loaded:
                raise not_loaded[spec.domain]
            domain = domain_asked_once(spec.domain, unavailable)
        except InputError as error:
            found[spec] = not_loaded[spec.domain] = error
            continue
        try:
            require_possible(spec.protocol, domain)
        except InputError as error:
            found[spec] = error
    return found


def set_impossible_aside(specs: Sequence[CellSpec], store: Store, unavailable: Unavailable) -> None:
    """Keep as failed what can't be computed, and say so before the others are begun."""
    open_specs = [spec for spec in specs if not store.is_finished(spec) and not store.has_failed(spec)]
    impossible = impossible_cells(open_specs, unavailable)
    for spec, error in impossible.items():
        store.record_failure(spec, error)
    for sentence in impossible_sentences(impossible):
        logger.warning("cells left out that %s", sentence)


def impossible_sentences(impossible: Mapping[CellSpec, InputError]) -> list[str]:
    """A sentence for each reason, which names the first cells that it stops."""
    titles: dict[str, list[str]] = {}
    for spec, error in impossible.items():
        titles.setdefault(str(error), []).append(spec.title)
    return [f"can't be computed: {named_cells(met)}: {reason}" for reason, met in titles.items()]
