"""Show the pace of a study, read from its folder, in one line until it has ended."""

import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TextIO

from hf_sslgen.names import printable, shorten
from hf_sslgen.study.cells.store import Planned
from hf_sslgen.study.pace import Pace, pace_of

LOOK_SECONDS = 2.0
LOOK_AGAIN = 10.0
"""A large study, which takes long to look at, is looked at again only after so many times as long."""

PLAIN_SECONDS = 30.0
"""Where the output is no terminal, a line is printed no more often than this."""


def show_pace(
    specs: Sequence[Planned],
    folder: Path,
    has_ended: Callable[[Pace], bool],
    stream: TextIO,
    pause: Callable[[float], object] = time.sleep,
) -> None:
    """Show the pace until it has ended.

    Args:
        pause: waits so many seconds before the next look, or less.
    """
    is_terminal, shown, printed = stream.isatty(), "", -PLAIN_SECONDS
    while True:
        started = time.monotonic()
        pace = pace_of(specs, folder)
        is_last, took = has_ended(pace), time.monotonic() - started
        line = printable(pace.line())
        if is_terminal:
            width = shutil.get_terminal_size().columns - 1
            print(f"\r{shorten(line, width):{width}}", end="\n" if is_last else "", file=stream, flush=True)
        elif line != shown and (is_last or time.monotonic() - printed > PLAIN_SECONDS):
            print(line, file=stream, flush=True)
            shown, printed = line, time.monotonic()
        if is_last:
            return
        pause(max(LOOK_SECONDS, LOOK_AGAIN * took))
