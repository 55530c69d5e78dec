"""How a study of stand-ins is marked, so that nobody takes its numbers for results."""

from pathlib import Path
from typing import Final

from hf_sslgen.errors import InputError
from hf_sslgen.study.cells.store import STUDY_FILE
from hf_sslgen.study.config import read_study

STAND_INS_TITLE: Final = "Stand-ins: random networks, no result"
STAND_INS_NOTICE: Final = (
    f"{STAND_INS_TITLE}. Every backbone here is a small random network and every domain a handful of embedded "
    "pictures, whatever their names, so no number says anything about them."
)


def require_same_kind(folder: Path, stand_ins: bool) -> None:
    """Raise InputError if a folder holds real backbones and stand-ins are wanted, or the other way round."""
    path = folder / STUDY_FILE
    if path.exists() and read_study(path).stand_ins != stand_ins:
        held, wanted = ("real backbones", "stand-ins") if stand_ins else ("stand-ins", "real backbones")
        raise InputError(f"output_dir {str(folder)!r} holds a study of {held}; give another folder for {wanted}")
