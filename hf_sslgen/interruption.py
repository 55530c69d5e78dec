"""Handle SIGTERM and Ctrl-C: raise an exception, or defer the signal until a step is done."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

HANDLED = (signal.SIGINT, signal.SIGTERM)

ECHO_SECONDS = 1.0
"""Seconds within which a repeated signal is ignored: launchers forward signals that the terminal sent to all."""


class InterruptedByRequestError(KeyboardInterrupt):
    """The process was asked to end; `exit_code` is the shell's exit code for that signal."""

    def __init__(self, signal_number: int = signal.SIGINT) -> None:
        super().__init__(signal.Signals(signal_number).name)
        self.exit_code = 128 + signal_number


@dataclass
class Request:
    """The signal that arrived, if any."""

    signal_number: int | None = None

    def obey(self) -> None:
        """Raise InterruptedByRequestError if a signal has arrived."""
        if self.signal_number is not None:
            raise InterruptedByRequestError(self.signal_number)


def raise_on_sigterm() -> None:
    """Make SIGTERM unwind the main thread as Ctrl-C does, so that every `finally` block runs."""

    def handle(signal_number: int, frame: FrameType | None) -> None:
        raise InterruptedByRequestError(signal_number)

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handle)


@contextmanager
def deferred_interrupts() -> Iterator[Request]:
    """Within the block, only record the first SIGTERM or Ctrl-C, for the block to check; a later one acts at once.

    Has no effect outside the main thread, because other threads receive no signals.
    """
    request = Request()
    noted_at = 0.0
    if threading.current_thread() is not threading.main_thread():
        yield request
        return

    def note(signal_number: int, frame: FrameType | None) -> None:
        nonlocal noted_at
        if request.signal_number is None:
            request.signal_number, noted_at = signal_number, time.monotonic()
        elif time.monotonic() - noted_at > ECHO_SECONDS:
            raise InterruptedByRequestError(signal_number)

    before = {number: signal.signal(number, note) for number in HANDLED}
    try:
        yield request
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def interrupt_behind(error: BaseException) -> KeyboardInterrupt | None:
    """Return the interrupt that an error took the place of, if there is one.

    An interrupt that arrives during clean-up can break the clean-up: `shutil.rmtree` closes a descriptor twice when it
    is interrupted between closing it and noting so, and its OSError then replaces the interrupt.
    """
    seen: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in seen:
        if isinstance(cause, KeyboardInterrupt):
            return cause
        seen.append(cause)
        cause = cause.__cause__ or cause.__context__
    return None
