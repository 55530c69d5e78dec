"""How every command ends: input that can't be used is one message and exit code 2, not a traceback."""

import errno
import logging
import os
import sys
from collections.abc import Callable


def run_command(main: Callable[[], None]) -> None:
    """Run a command; print an InputError, or a full disk, as one line and exit with 2."""
    from hf_sslgen.errors import InputError

    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    for noisy in ("httpx", "datasets", "filelock", "fsspec", "matplotlib", "timm"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    try:
        main()
    except InputError as error:
        message = str(error)
    except BrokenPipeError:  # the reader of a listing, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        message = f"no disk space left while writing {error.filename or 'a file'}; free some and run the command again"
    else:
        return
    if os.environ.get("RANK", "0") == "0":
        print(f"error: {message}", file=sys.stderr)
    sys.exit(2)
