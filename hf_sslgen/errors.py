"""Errors a person can act on, by kind: bad input, training that diverged, resources, the Hub, and other processes."""

import copy
import difflib
from collections.abc import Iterable
from typing import ClassVar, TypeVar


class SslgenError(Exception):
    """What ends a command with one sentence, which says what was found and what would work.

    Attributes:
        exit_code: of a command that ends with it.
        of_one_process: whether the other processes of the same run may not meet it, so that whoever meets it has to
            say it.
    """

    exit_code: ClassVar[int] = 2

    def __init__(self, message: str, *, of_one_process: bool = False) -> None:
        super().__init__(message)
        self.of_one_process = of_one_process


class InputError(SslgenError, ValueError):
    """Input that can't be used: the message names it, what was found and what would work."""


class DivergedError(SslgenError):
    """Training whose loss, or whose model's predictions, are no longer finite."""


class ResourceError(SslgenError):
    """Something that this machine has too little of."""


class DiskFullError(ResourceError):
    """No room is left for files; those that were whole still are."""


class OutOfMemoryError(ResourceError):
    """The memory of a device, or of the machine, is used up."""


class HubError(SslgenError):
    """Something that the Hub refuses, or does not provide now: the same run need not ask for it again."""


class WorkerError(SslgenError):
    """Another process of the same work ended with an error, was lost, or took the work over."""


Kind = TypeVar("Kind", bound=SslgenError)


def reworded(error: Kind, message: str) -> Kind:
    """An error of the same kind with another message, to be raised from the first."""
    again = copy.copy(error)
    again.args = (message,)
    return again


def nearest_names(name: str, known: Iterable[str], limit: int = 3) -> str:
    """A hint such as "did you mean 'cifar10'?", or an empty string where nothing known is near."""
    near = difflib.get_close_matches(name, list(known), n=limit)
    return f"did you mean {' or '.join(repr(item) for item in near)}?" if near else ""
