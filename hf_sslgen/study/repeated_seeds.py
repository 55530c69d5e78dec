"""Which planned cells would repeat the first seed's, as far as that is known before their domain is loaded."""

from collections.abc import Mapping, Sequence

from hf_sslgen.domains.domain_arguments import draws_labels
from hf_sslgen.domains.sources import registered_entry
from hf_sslgen.errors import InputError
from hf_sslgen.study.estimate import is_at_hand
from hf_sslgen.study.execution.workbench import domain_at_hand
from hf_sslgen.study.plan import CellSpec, first_seeds


def repeated_seeds(specs: Sequence[CellSpec]) -> dict[CellSpec, CellSpec]:
    """Return the planned cells that share the first seed's cell, with that one.

    A domain on the Hub that is not registered counts as one whose splits depend on the seed, because that is not known
    until it is loaded.
    """
    return {
        spec: first
        for spec, first in first_seeds(specs).items()
        if spec != first and spec.draws_nothing and not _draws_splits(spec)
    }


def repeated_sentences(repeated: Mapping[CellSpec, CellSpec]) -> list[str]:
    """Return a sentence per domain, protocol and label budget."""
    seeds: dict[tuple[str, str, str, int], dict[int, None]] = {}
    for spec, first in repeated.items():
        seeds.setdefault((spec.protocol_name, spec.domain_name, spec.labels, first.seed), {})[spec.seed] = None
    return [
        f"{protocol} on {domain}, {labels} of the labels: nothing is drawn at random, so seeds "
        f"{', '.join(map(str, others))} repeat seed {first} and are not computed again, except for untrained networks."
        for (protocol, domain, labels, first), others in seeds.items()
    ]


def _draws_splits(spec: CellSpec) -> bool:
    arguments = spec.domain
    if is_at_hand(spec):
        try:
            return domain_at_hand(arguments).draws_splits
        except InputError:  # which is told of the cell
            return True
    entry = registered_entry(arguments)
    is_published = arguments.validation_split_name or (entry is not None and entry.validation_split)
    return not is_published or arguments.streaming or draws_labels(arguments)
