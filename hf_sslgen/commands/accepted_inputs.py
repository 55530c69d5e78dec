"""The option to measure a backbone whatever its preflight finds."""

from dataclasses import dataclass, field
from typing import Any, Final

from hf_sslgen.settings import check_fields

ACCEPT_INPUTS: Final[dict[str, Any]] = {
    "help": "Measure a backbone even if its preflight finds its inputs or features wrong."
}


@dataclass(frozen=True)
class PreflightArguments:
    """Whether the backbone has to pass its preflight."""

    accept_inputs: bool = field(default=False, metadata=ACCEPT_INPUTS)

    def __post_init__(self) -> None:
        check_fields(self)
