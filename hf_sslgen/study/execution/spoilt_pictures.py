"""Pictures that can't be decoded: met once, not again by every backbone in turn."""

from hf_sslgen.decoding import CorruptImageError
from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.study.cells.store import Store
from hf_sslgen.study.plan import CellSpec

KIND = f"{CorruptImageError.__name__}: "


class SpoiltPictures:
    """What is known of pictures that can't be decoded. Cells of the same domain, protocol and seed read the same."""

    def __init__(self) -> None:
        self._found: dict[tuple[DomainArguments, str, int], str] = {}

    def note(self, spec: CellSpec, has_failed: bool, store: Store) -> None:
        """Remember why a cell failed, if it was for a picture."""
        failure = store.failure(spec) if has_failed else None
        if failure is not None and failure.error.startswith(KIND):
            self._found[spec.domain, spec.protocol_name, spec.seed] = failure.error.removeprefix(KIND)

    def fails(self, spec: CellSpec, store: Store) -> bool:
        """Record a cell as failed if it would meet a picture that another cell has met; returns whether it would."""
        error = self._found.get((spec.domain, spec.protocol_name, spec.seed))
        if error is None or store.is_finished(spec):
            return False
        store.record_failure(spec, CorruptImageError(error))
        return True
