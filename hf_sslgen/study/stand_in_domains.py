"""A few embedded pictures in place of a study's domains, other ones for each of them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from hf_sslgen.domains.domain_registry import EMBEDDED_FOLDER
from hf_sslgen.files import replace_files
from hf_sslgen.randomness import derive_seed

PICTURES: Final[Mapping[str, int]] = {"train": 8, "test": 6}
"""Pictures of a class, by split."""

SIMILAR: Final = ("photo-patches",)
DIFFERENT: Final = ("specimen-patches", "digits")


def write_stand_in_domain(folder: Path, name: str, group: str | None) -> None:
    """Write a few pictures of an embedded domain of a group as parquet files, unless the folder exists.

    Args:
        name: of the domain in the study, from which the choice of pictures follows.
        group: `similar` takes photographs; anything else takes specimens or digits.
    """
    if folder.exists():
        return
    seed = derive_seed(0, "stand-in", name)
    sources = SIMILAR if group == "similar" else DIFFERENT
    source = EMBEDDED_FOLDER / sources[seed % len(sources)]
    generator = np.random.default_rng(seed)
    with replace_files(folder) as unfinished:
        for split, count in PICTURES.items():
            table = pq.read_table(source / f"{split}.parquet")
            pq.write_table(_some_of_each_class(table, count, generator), unfinished / f"{split}.parquet")


def _some_of_each_class(table: pa.Table, count: int, generator: np.random.Generator) -> pa.Table:
    labels = table.column("label").to_numpy()
    chosen = [generator.permutation(np.flatnonzero(labels == label))[:count] for label in np.unique(labels)]
    return table.take(pa.array(np.sort(np.concatenate(chosen))))
