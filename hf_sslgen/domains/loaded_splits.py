"""Splits of a dataset as loaded from files or the Hub, before columns and labels are read."""

from dataclasses import dataclass

from datasets import DatasetDict, IterableDatasetDict

from hf_sslgen.domains.picture_files import BYTES_ONLY, PictureFiles
from hf_sslgen.domains.taken import LeftOut


@dataclass(frozen=True, eq=False)
class LoadedSplits:
    """Splits by their published names.

    Attributes:
        files: the files that the rows may refer to.
        left_out: files or parts of the splits that were not used.
        labels_from: source of the labels in words, if they are not a column of the files.
        remarks: as in `Taken`.
    """

    splits: DatasetDict | IterableDatasetDict
    files: PictureFiles = BYTES_ONLY
    left_out: tuple[LeftOut, ...] = ()
    labels_from: str | None = None
    remarks: tuple[str, ...] = ()
