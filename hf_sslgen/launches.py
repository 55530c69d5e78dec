"""Several processes of one launch (torchrun, Accelerate): what the main one decides and does for all of them.

The processes must have found one another before, as a Trainer's arguments or an `Accelerator` make them do.
"""

import contextlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from accelerate import PartialState
from accelerate.utils import broadcast_object_list

from hf_sslgen.claims import Claim
from hf_sslgen.errors import SslgenError
from hf_sslgen.output_folder import claim_folder, working_in

Decision = TypeVar("Decision")


def decided_by_main(decide: Callable[[], Decision]) -> Decision:
    """What `decide` returns in the main process, for all of them; an SslgenError there is raised in all of them."""
    outcome: list[Any] = [None, None]
    if PartialState().is_main_process:
        try:
            outcome[0] = decide()
        except SslgenError as error:
            outcome[1] = error
    decision, refusal = broadcast_object_list(outcome)
    if refusal is not None:
        raise refusal
    return decision


@contextmanager
def claimed_by_main(folder: Path) -> Iterator[Claim]:
    """Hold the claim on an output folder, one for all processes; a folder made for it and left empty is removed.

    Raises:
        InputError: a process of another launch works in the folder (names it).
    """

    def claim_it() -> tuple[Claim, bool]:
        is_new = not folder.exists()
        return claim_folder(folder), is_new

    claim, is_new = decided_by_main(claim_it)
    if not PartialState().is_main_process:
        yield claim
        return
    try:
        with working_in(folder, claim):
            yield claim
    finally:
        if is_new:
            with contextlib.suppress(OSError):  # it holds something
                folder.rmdir()
