"""A data set's splits as files or the Hub give them, before columns and labels are read."""

from dataclasses import dataclass

from datasets import DatasetDict, IterableDatasetDict

from hf_sslgen.domains.picture_files import BYTES_ONLY, PictureFiles
from hf_sslgen.domains.taken import LeftOut


@dataclass(frozen=True, eq=False)
class LoadedSplits:
    """Splits by their published names.

    Attributes:
        files: which files the rows may name.
        left_out: what lies beside them, or in them, and was not taken.
        labels_from: what the labels are called in words, where they are not a column of the files.
        remarks: as in `Taken`.
    """

    splits: DatasetDict | IterableDatasetDict
    files: PictureFiles = BYTES_ONLY
    left_out: tuple[LeftOut, ...] = ()
    labels_from: str | None = None
    remarks: tuple[str, ...] = ()
