"""Ending on request: SIGTERM and Ctrl-C become an exception, or wait until a step is done."""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

HANDLED = (signal.SIGINT, signal.SIGTERM)

ECHO_SECONDS = 1.0
"""Within this time another signal says nothing new: a launcher passes on what the terminal has already sent to all."""


class InterruptedByRequestError(KeyboardInterrupt):
    """Somebody asked the process to end; `exit_code` is the shell's for that signal."""

    def __init__(self, signal_number: int = signal.SIGINT) -> None:
        super().__init__(signal.Signals(signal_number).name)
        self.exit_code = 128 + signal_number


@dataclass
class Request:
    """Which signal came, if any."""

    signal_number: int | None = None

    def obey(self) -> None:
        """Raise InterruptedByRequestError where a signal came."""
        if self.signal_number is not None:
            raise InterruptedByRequestError(self.signal_number)


def raise_on_sigterm() -> None:
    """From here on SIGTERM unwinds the main thread as Ctrl-C does, so that every `finally` block runs."""

    def handle(signal_number: int, frame: FrameType | None) -> None:
        raise InterruptedByRequestError(signal_number)

    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, handle)


@contextmanager
def deferred_interrupts() -> Iterator[Request]:
    """Inside the block the first SIGTERM or Ctrl-C is only noted, for the block to obey; a later one is immediate.

    In other threads than the main one, which get no signals, nothing changes.
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
