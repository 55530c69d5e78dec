"""Python processes that start with the heavy libraries imported, as forks of a process that does nothing else.

Many tests need a separate process: to kill it, to change its environment, to run it beside another one. None of them
needs to import torch and scikit-learn again, which costs five CPU seconds. `run` and `start` correspond to subprocess
with `[sys.executable, *arguments]`, for `-c CODE`, `-m MODULE` and scripts. Packages that read Hugging Face's
environment variables when imported (huggingface_hub and everything that uses it, including this project) are imported
by each process itself. Only variables that the interpreter reads (such as PYTHONHASHSEED) and the number of OpenMP
threads come from the environment of the tests.
"""

import contextlib
import gc
import importlib
import json
import os
import random
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Self

PRELOADED = (
    "torch",
    "torch._dynamo",
    "torchvision",
    "captum.attr",
    "scipy.stats",
    "sklearn.linear_model",
    "sklearn.neighbors",
    "pandas",
    "pyarrow.parquet",
    "matplotlib.pyplot",
    "aiohttp",
    "jinja2",
)
"""Modules that take long to import and do not read Hugging Face's environment variables."""

LARGEST_REQUEST = 150_000
"""Number of bytes that a socket accepts at once."""

NUMBER_WIDTH = 12


class WarmProcess:
    """A started process; see `start` for its arguments.

    Attributes:
        stdin, stdout: its pipes, if it has any.
    """

    def __init__(
        self,
        arguments: Sequence[str | Path],
        env: Mapping[str, str] | None,
        cwd: str | Path | None,
        piped: bool,
        own_group: bool,
    ) -> None:
        self.args = [sys.executable, *map(str, arguments)]
        self.returncode: int | None = None
        self.stdin: IO[str] | None = None
        self.stdout: IO[str] | None = None
        self._out, self._err = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115
        self._status, status = os.pipe()
        theirs = [os.open(os.devnull, os.O_RDONLY), os.dup(self._out.fileno()), os.dup(self._err.fileno()), status]
        if piped:
            for descriptor in theirs[:2]:
                os.close(descriptor)
            theirs[0], writing = os.pipe()
            reading, theirs[1] = os.pipe()
            self.stdin, self.stdout = os.fdopen(writing, "w"), os.fdopen(reading)
        request = {
            "arguments": self.args[1:],
            "environment": dict(os.environ if env is None else env),
            "folder": str(Path.cwd() if cwd is None else cwd),
            "own_group": own_group,
        }
        socket.send_fds(_first().connection, [json.dumps(request).encode()], theirs)
        for descriptor in theirs:
            os.close(descriptor)
        self.pid = self._number()
        _forks.append(self)

    def _number(self, timeout: float | None = None) -> int:
        """Return the next number reported about the process: its id, then its exit status."""
        if not select.select([self._status], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return int(os.read(self._status, NUMBER_WIDTH))

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the process and return its exit code, negative for a signal."""
        if self.returncode is None:
            self.returncode = self._number(timeout)
            os.close(self._status)
        return self.returncode

    def poll(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.wait(timeout=0)
        return None

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    @property
    def errors(self) -> str:
        """Its output to stderr so far."""
        return _content(self._err)

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """Wait for the process, close its pipes and return its stdout and stderr."""
        said = ""
        if self.stdin is not None and self.stdout is not None:
            self.stdin.close()
            with self.stdout:
                said = self.stdout.read()
        self.wait(timeout)
        return said + _content(self._out), self.errors

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.kill()
        self.wait()


def _content(file: IO[bytes]) -> str:
    return os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0).decode()


def start(
    arguments: Sequence[str | Path],
    env: Mapping[str, str] | None = None,
    cwd: str | Path | None = None,
    piped: bool = False,
    own_group: bool = False,
) -> WarmProcess:
    """Start `python ARGUMENTS` in an environment and a folder, by default those of this process.

    Its output goes to temporary files and its input is empty, unless its stdin and stdout are pipes. It can lead a
    process group of its own.
    """
    return WarmProcess(arguments, env, cwd, piped, own_group)


def run(
    arguments: Sequence[str | Path],
    env: Mapping[str, str] | None = None,
    cwd: str | Path | None = None,
    timeout: float | None = None,
    check: bool = False,
) -> "subprocess.CompletedProcess[str]":
    """Run `python ARGUMENTS` and return its output; it is killed after the time limit (seconds)."""
    with start(arguments, env, cwd) as process:
        said = process.communicate(timeout)
        ended = subprocess.CompletedProcess(process.args, process.wait(), *said)
    if check and ended.returncode:
        raise AssertionError(f"{ended.args} ended with {ended.returncode}:\n{ended.stderr[-3000:]}")
    return ended


def start_together(arguments: Sequence[str | Path], env: Mapping[str, str], processes: int) -> list[WarmProcess]:
    """Start several processes as one launch, with the environment that `torchrun --standalone` would set."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    place |= dict.fromkeys(("WORLD_SIZE", "LOCAL_WORLD_SIZE"), str(processes))
    ranks = [dict.fromkeys(("RANK", "LOCAL_RANK"), str(rank)) for rank in range(processes)]
    return [start(arguments, {**env, **place, **rank}) for rank in ranks]


def run_together(arguments: Sequence[str | Path], env: Mapping[str, str], processes: int) -> tuple[str, str]:
    """Run such a launch, which must succeed; returns what all processes wrote to stdout and to stderr.

    As with a launcher, if one process fails, the others, which would wait for it, are terminated.
    """
    started = start_together(arguments, env, processes)
    while None in [process.poll() for process in started]:
        if any(process.returncode for process in started):
            for process in started:
                process.kill()
        time.sleep(0.02)
    said = [process.communicate() for process in started]
    failed = [errors[-3000:] for process, (_, errors) in zip(started, said, strict=True) if process.returncode]
    assert not failed, "\n".join(failed)
    return "".join(out for out, _ in said), "".join(errors for _, errors in said)


class _First:
    """This side of the process that is forked."""

    def __init__(self) -> None:
        self.connection, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in (self.connection, theirs):
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2 * LARGEST_REQUEST)
        with theirs:
            command = [sys.executable, __file__, str(theirs.fileno())]
            self.process = subprocess.Popen(command, pass_fds=[theirs.fileno()])

    def end(self) -> None:
        self.connection.close()
        self.process.wait()


_started: list[_First] = []
_forks: list[WarmProcess] = []
"""Every process that was started; those still alive at the end, of tests that failed, are ended with the tests."""


def _first() -> _First:
    if not _started:
        _started.append(_First())
    return _started[0]


def end() -> None:
    """Terminate the process that is forked, if it was started, and the remaining forks."""
    for process in _forks:
        process.kill()
    _forks.clear()
    while _started:
        _started.pop().end()


def _said(number: int) -> bytes:
    return f"{number:{NUMBER_WIDTH}d}".encode()


def _serve(connection: socket.socket) -> dict[str, Any] | None:
    """Fork for every request; returns the request in the fork that runs it, and finally None in the parent."""
    while True:
        message, descriptors, _, _ = socket.recv_fds(connection, LARGEST_REQUEST, 4)
        if not message:
            while True:
                try:
                    os.wait()
                except ChildProcessError:
                    return None
        if os.fork() == 0:
            connection.close()
            *streams, status = descriptors
            process = os.fork()
            if process == 0:
                for number, descriptor in enumerate(streams):
                    os.dup2(descriptor, number)
                os.closerange(3, max(descriptors) + 1)
                return json.loads(message)
            os.write(status, _said(process))
            os.write(status, _said(os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])))
            os._exit(0)
        for descriptor in descriptors:
            os.close(descriptor)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass


def _become(arguments: list[str], environment: dict[str, str], folder: str, own_group: bool) -> None:
    """Run a command as the interpreter would."""
    if own_group:
        os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None
    random.seed()
    sys.modules["numpy"].random.seed()
    paths = [path for path in environment.get("PYTHONPATH", "").split(os.pathsep) if path not in ("", *sys.path)]
    option, *rest = arguments
    sys.path[:1] = [{"-c": "", "-m": folder}.get(option, str(Path(option).parent)), *paths]
    if option == "-m":
        sys.argv = rest
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    elif option == "-c":
        sys.argv = [option, *rest[1:]]
        main = sys.modules["__main__"] = types.ModuleType("__main__")
        exec(compile(rest[0], "<string>", "exec"), vars(main))
    else:
        sys.argv = arguments
        runpy.run_path(option, run_name="__main__")


def _main(descriptor: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it ends with the tests, and is not a job of the shell
    for name in PRELOADED:
        importlib.import_module(name)
    assert "huggingface_hub" not in sys.modules, "a process would not read its own HF_ENDPOINT"
    gc.collect()
    gc.freeze()
    request = _serve(socket.socket(fileno=descriptor))
    if request is not None:
        _become(**request)


if __name__ == "__main__":
    _main(int(sys.argv[1]))
