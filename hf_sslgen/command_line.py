"""Run a command and end it cleanly: invalid input gives one message and exit code 2, never a traceback."""

import importlib
import logging
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import NoReturn

from hf_sslgen.errors import SslgenError
from hf_sslgen.interruption import InterruptedByRequestError, interrupt_behind, raise_on_sigterm
from hf_sslgen.shortages import shortage_of
from hf_sslgen.tokens import without_tokens

NOISY_LOGGERS = ("httpx", "httpx2", "datasets", "filelock", "fsspec", "matplotlib", "timm")


def run_command(module: str, command_line: Sequence[str] | None = None) -> None:
    """Import a module of `hf_sslgen.commands` and run its `main`.

    The module is imported only after progress bars are disabled for non-interactive use, because the Hugging Face
    libraries read that setting on import.

    Args:
        module: the module's full name.
        command_line: options; by default those of the process.
    """
    if not sys.stderr.isatty():
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
        os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
    run_main(lambda: importlib.import_module(module).main(command_line))


def run_main(main: Callable[[], None]) -> None:
    """Call a command's function; ends the process if it fails."""
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    for name in NOISY_LOGGERS:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.getLogger("huggingface_hub").propagate = False  # it has a handler of its own
    raise_on_sigterm()
    try:
        main()
    except SslgenError as error:
        _end(error)
    except KeyboardInterrupt as interrupt:
        _end_interrupted(interrupt)
    except BrokenPipeError:  # the reader of a listing, such as `head`, has closed the pipe
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    except Exception as error:
        if (behind := interrupt_behind(error)) is not None:
            _end_interrupted(behind)
        shortage = shortage_of(error)
        if shortage is None:
            print(without_tokens(traceback.format_exc()), end="", file=sys.stderr)  # like Python's own, without tokens
            sys.exit(1)
        _end(shortage)


def _end_interrupted(interrupt: KeyboardInterrupt) -> NoReturn:
    """Say that the process was interrupted, and end it with the shell's exit code for the signal."""
    _print_error("interrupted; run the same command again to resume")
    sys.exit(interrupt.exit_code if isinstance(interrupt, InterruptedByRequestError) else 128 + signal.SIGINT)


def _end(error: SslgenError) -> NoReturn:
    """Say the error's message and end the process with its exit code."""
    message = f"error: {without_tokens(_without_worker_traceback(str(error)))}"
    if error.of_one_process and os.environ.get("RANK", "0") != "0":
        print(message, file=sys.stderr, flush=True)
    _print_error(message)
    sys.exit(error.exit_code)


def _print_error(message: str) -> None:
    """Print an error once, even if several processes share the work."""
    if os.environ.get("RANK", "0") == "0":
        print(message, file=sys.stderr)


def _without_worker_traceback(message: str) -> str:
    """Extract the message of an error from a data loader's worker, which wraps it in a traceback."""
    if "in DataLoader worker process" not in message:
        return message
    return message.strip().splitlines()[-1].partition(": ")[2]
