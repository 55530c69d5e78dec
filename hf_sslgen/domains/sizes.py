"""Expected number of rows per split."""

from dataclasses import dataclass

from hf_sslgen.errors import InputError


@dataclass(frozen=True)
class ExpectedSize:
    """The number of rows that the registry states for a domain's split."""

    domain: str
    split: str
    rows: int

    def check(self, found: int) -> None:
        """Raise InputError if the number found differs."""
        if found != self.rows:
            raise InputError(
                f"split {self.split!r} of {self.domain} has {found} images instead of {self.rows}: the dataset has "
                "changed since the registry was written; pin --dataset_revision, or load a copy with --registered_as"
            )
