"""Digests of rows that several splits draw on, so that each picture is read and hashed once."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

DIGEST_BYTES = 8


class RowDigests:
    """Digests of the rows of a dataset's published splits, computed when first needed.

    They hold as long as the files behind the dataset do not change; see `published_images.PublishedImages`.
    """

    def __init__(self) -> None:
        self._splits: dict[str, tuple[NDArray[np.uint8], NDArray[np.bool_]]] = {}

    def of_rows(
        self, split: str, length: int, rows: NDArray[np.int64], width: int, compute: Callable[[int], bytes]
    ) -> bytes:
        """Return the digests of these rows, one after the other.

        Args:
            split: name of the published split.
            length: number of its rows.
            width: digests per row.
            compute: returns the `width * DIGEST_BYTES` bytes of the digests of the row at a position of `rows`.
        """
        if split not in self._splits:
            self._splits[split] = (np.zeros((length, width * DIGEST_BYTES), np.uint8), np.zeros(length, np.bool_))
        digests, known = self._splits[split]
        for position in np.flatnonzero(~known[rows]).tolist():
            row = rows[position]
            digests[row] = np.frombuffer(compute(position), np.uint8)
            known[row] = True
        return digests[rows].tobytes()
