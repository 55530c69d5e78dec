"""Claims from the literature that a study can test, from `inference/claims/claims.yaml`, whose header explains it."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from hf_sslgen.errors import InputError, nearest_names
from hf_sslgen.registry_rows import build_row, read_sections
from hf_sslgen.settings import shown

CLAIMS_FILE = Path(__file__).parent / "inference" / "claims" / "claims.yaml"

ALL_CLAIMS = "all"
"""What a study names to ask for every claim."""

Direction = Literal["higher", "lower"]


@dataclass(frozen=True)
class Claim:
    """A claim, its source, and its operational form.

    Attributes:
        form: what is tested, in words.
        test: the kind of test; `none` if it needs what is not measured.
        numbers: names of the catalogue, each with the direction that the claim states.
        with_number: what the ranks of the first number are correlated with.
        with_adaptation: `fine-tuned` if that is the number of backbones fine-tuned with all labels.
        needs: what a study must contain for the test, or what is not measured.
    """

    id: str
    source: str
    paper: str
    statement: str
    form: str
    test: Literal["difference", "interaction", "rank_correlation", "slope", "none"]
    needs: str
    numbers: Mapping[str, Direction] = field(default_factory=dict)
    with_number: str | None = None
    with_adaptation: Literal["fine-tuned"] | None = None

    def __post_init__(self) -> None:
        if (self.test == "none") != (not self.numbers):
            raise InputError("a claim needs `numbers` unless its test is `none`")
        if (self.test == "rank_correlation") != (self.with_number is not None):
            raise InputError("`with_number` belongs to the test `rank_correlation`")


def read_claims(path: Path) -> dict[str, Claim]:
    """Read and check a file of claims; raises InputError naming the first invalid row."""
    claims: dict[str, Claim] = {}
    for row in read_sections(path, ("claims",))["claims"]:
        claim = build_row(Claim, row, f"claim {row.get('id')!r}")
        if claim.id in claims or claim.id == ALL_CLAIMS:
            raise InputError(f"{path.name}: the id {claim.id!r} is taken")
        claims[claim.id] = claim
    return claims


@functools.cache
def _known() -> dict[str, Claim]:
    return read_claims(CLAIMS_FILE)


def published_claims() -> dict[str, Claim]:
    """Return every claim by id, in the order of the file."""
    return dict(_known())


def stated_claims(ids: Sequence[Any], where: str) -> tuple[Claim, ...]:
    """Return the claims that a study asks for, in the order of the file.

    Args:
        ids: of claims, or `all`.
        where: names the list in errors.

    Raises:
        InputError: an id is unknown; the message lists those that exist.
    """
    known = _known()
    for each in ids:
        if each != ALL_CLAIMS and each not in list(known):
            hint = nearest_names(str(each), known)
            listed = f"known: {', '.join((ALL_CLAIMS, *known))}"
            raise InputError(f"{where}: there is no claim {shown(each)}; {f'{hint} {listed}' if hint else listed}")
    return tuple(claim for name, claim in known.items() if name in ids or ALL_CLAIMS in ids)
