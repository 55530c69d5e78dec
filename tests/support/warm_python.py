"""Python processes that begin with the heavy libraries imported: forks of one process that did nothing else.

Many tests need a process of its own: to kill it, to give it another environment, to let it meet a second one. None
of them needs torch and scikit-learn imported again, which costs five CPU seconds. `run` and `start` do what subprocess
does with `[sys.executable, *arguments]`, for `-c CODE`, `-m MODULE` and scripts. What reads Hugging Face's environment
variables when it is imported (huggingface_hub and all that use it, this project among them) is left to each process.
Only what the interpreter itself reads (such as PYTHONHASHSEED) and the number of OpenMP's threads come from the
environment of the tests.
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
"""What takes long to import and does not read Hugging Face's environment variables."""

LARGEST_REQUEST = 150_000
"""Bytes; what a socket takes at once."""

NUMBER_WIDTH = 12


class WarmProcess:
    """A started process: `start` says what its arguments are.

    Attributes:
        stdin, stdout: its pipes, where it has any.
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
        """The next number that is said of the process: who it is, then how it ended."""
        if not select.select([self._status], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return int(os.read(self._status, NUMBER_WIDTH))

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code, negative for a signal, once it has ended."""
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
        """What it has written to stderr so far."""
        return _content(self._err)

    def communicate(self, timeout: float | None = None) -> tuple[str, str]:
        """What it wrote to stdout and stderr, once it has ended; its pipes are closed."""
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
    """Start `python ARGUMENTS` in an environment and a folder, or in those of this process.

    What it writes is kept in temporary files and it reads nothing, unless its stdin and stdout are to be pipes.
    It may lead a group of processes of its own.
    """
    return WarmProcess(arguments, env, cwd, piped, own_group)


def run(
    arguments: Sequence[str | Path],
    env: Mapping[str, str] | None = None,
    cwd: str | Path | None = None,
    timeout: float | None = None,
    check: bool = False,
) -> "subprocess.CompletedProcess[str]":
    """Run `python ARGUMENTS` to its end and return what it said; past its time limit (seconds) it is killed."""
    with start(arguments, env, cwd) as process:
        said = process.communicate(timeout)
        ended = subprocess.CompletedProcess(process.args, process.wait(), *said)
    if check and ended.returncode:
        raise AssertionError(f"{ended.args} ended with {ended.returncode}:\n{ended.stderr[-3000:]}")
    return ended


def start_together(arguments: Sequence[str | Path], env: Mapping[str, str], processes: int) -> list[WarmProcess]:
    """Start as many processes as one, told of each other by what `torchrun --standalone` would set."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1])}
    place |= dict.fromkeys(("WORLD_SIZE", "LOCAL_WORLD_SIZE"), str(processes))
    ranks = [dict.fromkeys(("RANK", "LOCAL_RANK"), str(rank)) for rank in range(processes)]
    return [start(arguments, {**env, **place, **rank}) for rank in ranks]


def run_together(arguments: Sequence[str | Path], env: Mapping[str, str], processes: int) -> tuple[str, str]:
    """The same, to their end, which has to be a good one; returns what all of them wrote to stdout and to stderr.

    As a launcher does it, when one of them fails the others are ended, which would wait for it.
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
    """The process that is forked, from this side."""

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
    """End what the forks are made of, if there was any need of it, and the forks that are left."""
    for process in _forks:
        process.kill()
    _forks.clear()
    while _started:
        _started.pop().end()


def _said(number: int) -> bytes:
    return f"{number:{NUMBER_WIDTH}d}".encode()


def _serve(connection: socket.socket) -> dict[str, Any] | None:
    """Fork for every request; returns it in the process that is to run it, and None in the first one in the end."""
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
    """What the interpreter does with a command."""
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
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it ends with the tests, and is no job of the shell's
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
