"""Errors that a user can act on, by kind: bad input, diverged training, resources, the Hub, and other processes."""

import copy
import difflib
from collections.abc import Iterable
from typing import ClassVar, TypeVar


class SslgenError(Exception):
    """Base of errors that end a command with one sentence, which states what was found and what would work.

    Attributes:
        exit_code: exit code of a command that ends with it.
        of_one_process: whether other processes of the same run may not encounter it, so that the one that does must
            report it.
    """

    exit_code: ClassVar[int] = 2

    def __init__(self, message: str, *, of_one_process: bool = False) -> None:
        super().__init__(message)
        self.of_one_process = of_one_process


class InputError(SslgenError, ValueError):
    """Invalid input; the message names it, what was found and what would work."""


class DivergedError(SslgenError):
    """Training whose loss, or whose model's predictions, are no longer finite."""


class ResourceError(SslgenError):
    """This machine lacks a resource."""


class DiskFullError(ResourceError):
    """The disk is full; complete files remain intact."""


class OutOfMemoryError(ResourceError):
    """The memory of a device or of the machine is exhausted."""


class HubError(SslgenError):
    """The Hub refuses a request or is unavailable; the same run need not ask again."""


class WorkerError(SslgenError):
    """Another process sharing the work failed, was lost, or took over the work."""


Kind = TypeVar("Kind", bound=SslgenError)


def reworded(error: Kind, message: str) -> Kind:
    """Return an error of the same kind with another message, to be raised from the first."""
    again = copy.copy(error)
    again.args = (message,)
    return again


def nearest_names(name: str, known: Iterable[str], limit: int = 3) -> str:
    """Return a hint such as "did you mean 'cifar10'?", or an empty string if no known name is similar."""
    near = difflib.get_close_matches(name, list(known), n=limit)
    return f"did you mean {' or '.join(repr(item) for item in near)}?" if near else ""


def hinted(sentence: str, name: str, known: Iterable[str]) -> str:
    """Return a sentence with the names that `name` may have been meant to be, if any is similar."""
    hint = nearest_names(name, known)
    return f"{sentence}; {hint}" if hint else sentence
