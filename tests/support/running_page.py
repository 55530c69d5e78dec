"""A web page served by a process of its own, as its visitors meet it."""

import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""Opens addresses without a proxy."""


def wait_for(condition: Callable[[], object], what: str, seconds: float = 600.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.1)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def served(command: Sequence[str], port: int, folder: Path, environment: Mapping[str, str]) -> Iterator[str]:
    """Yield the address once the command answers there; it is ended with SIGTERM."""
    log, address = folder / "log", f"http://127.0.0.1:{port}"
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | dict(environment)
    with log.open("w") as output:
        server = subprocess.Popen(command, cwd=folder, env=variables, stdout=output, stderr=subprocess.STDOUT)
    try:
        wait_for(lambda: _answers(address, server, log), "the page answers")
        yield address
    finally:
        server.terminate()
        server.wait()


def _answers(address: str, server: subprocess.Popen[bytes], log: Path) -> bool:
    assert server.poll() is None, log.read_text()
    try:
        with OPENER.open(address, timeout=60) as reply:
            return bool(reply.status == 200)
    except OSError:
        return False
