"""Coordinate the processes of one launch (torchrun, Accelerate), in which the main process decides for all.

The process group must already be initialised, for example by a Trainer's arguments or an `Accelerator`.
"""

import contextlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from accelerate import PartialState
from accelerate.utils import broadcast_object_list

from hf_sslgen.errors import SslgenError
from hf_sslgen.output_folder import claim_folder, working_in
from hf_sslgen.work_claims import Claim

Decision = TypeVar("Decision")


def decided_by_main(decide: Callable[[], Decision]) -> Decision:
    """Run `decide` in the main process and share its result; an SslgenError in it is raised in all processes."""
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
    """Hold one claim on an output folder for all processes; a folder created for it and left empty is removed.

    Raises:
        InputError: a process of another launch is working in the folder (names it).
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
            with contextlib.suppress(OSError):  # it is not empty
                folder.rmdir()
