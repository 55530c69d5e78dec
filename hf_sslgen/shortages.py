"""Recognise a full disk or exhausted memory behind any library's error, and report it in one sentence."""

from hf_sslgen.errors import DiskFullError, OutOfMemoryError, ResourceError
from hf_sslgen.files import is_disk_full


def shortage_of(error: BaseException) -> ResourceError | None:
    """Return the resource error behind an exception, if the machine ran out of disk space or memory."""
    if isinstance(error, ResourceError):
        return error
    if is_disk_full(error):
        name = error.filename if isinstance(error, OSError) else None
        return DiskFullError(
            f"no disk space left while writing {name or 'a file'}; free some space and run the command again"
        )
    if isinstance(error, (MemoryError, RuntimeError)):
        from hf_sslgen.memory import is_out_of_memory  # imports torch, as the failed code already did

        if is_out_of_memory(error):
            said = str(error) or type(error).__name__
            return OutOfMemoryError(f"not enough memory ({said}); give a smaller --batch_size, or fewer images")
    return None


def raise_shortage(error: BaseException) -> None:
    """Raise ResourceError if the machine ran out of a resource, which is not a fault of the input or request."""
    shortage = shortage_of(error)
    if shortage is not None:
        raise shortage from error
