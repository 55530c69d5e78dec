"""What a study has to download: backbones, published files to convert, and datasets, planned without a network."""

from collections.abc import Sequence
from pathlib import Path

import datasets

from hf_sslgen.domains.domain_registry import DomainEntry, find_domain
from hf_sslgen.names import listed_names
from hf_sslgen.study.estimate import is_at_hand
from hf_sslgen.study.plan import CellSpec
from hf_sslgen.study.unconverted import conversion_command, unconverted_rows
from hf_sslgen.zoo.backbone_registry import Backbone
from hf_sslgen.zoo.checkpoints import checkpoint_at_hand
from hf_sslgen.zoo.locations import UNTRAINED_PREFIX, registered

BYTES_PER_PARAMETER = 4


def byte_words(count: int) -> str:
    """Return a size such as `12.3 MB` or `4.5 GB`."""
    return f"{count / 1e6:.1f} MB" if count < 1e9 else f"{count / 1e9:.1f} GB"


def download_lines(specs: Sequence[CellSpec]) -> list[str]:
    """Return sentences on what these cells need from the network: backbones, conversions, datasets."""
    locations = dict.fromkeys(spec.backbone.location for spec in specs)
    unconverted = unconverted_rows(locations)
    trained = [each for each in locations if not each.startswith(UNTRAINED_PREFIX)]
    rows = {name: registered(name) for name in trained}
    missing = [
        name
        for name in trained
        if rows[name] not in unconverted and checkpoint_at_hand(name, with_weights=True) is None
    ]
    lines = []
    if missing:
        sizes = {name: _file_bytes(rows[name]) for name in missing}
        lines.append(f"Downloads: {_sized(len(missing), 'backbones', sizes)}.")
    if unconverted:
        sizes = {row.id: _file_bytes(row) for row in unconverted}
        lines.append(
            f"To convert first, by `{conversion_command([row.id for row in unconverted])}`: "
            f"{_sized(len(unconverted), 'backbones', sizes)}."
        )
    names = dict.fromkeys(spec.domain.dataset_name for spec in specs if not is_at_hand(spec))
    entries = {name: find_domain(name) for name in names}
    fetched = {name: entry for name, entry in entries.items() if not _is_prepared(name, entry)}
    if fetched:
        sizes = {name: entry.download_bytes if entry is not None else None for name, entry in fetched.items()}
        lines.append(f"Downloads: {_sized(len(fetched), 'datasets', sizes)}.")
    if len(fetched) < len(names):
        lines.append(
            f"Prepared on this machine before: {listed_names([name for name in names if name not in fetched])}."
        )
    return lines or ["Downloads: nothing; everything is on this machine."]


def _file_bytes(row: Backbone | None) -> int | None:
    """Return the size of a backbone's file: as registered, else of its parameters in float32, else None."""
    if row is None:
        return None
    if row.file_size is not None:
        return row.file_size
    return row.parameters * BYTES_PER_PARAMETER if row.parameters is not None else None


def _is_prepared(name: str, entry: DomainEntry | None) -> bool:
    """Whether `datasets` has prepared a dataset here before."""
    hub_id = entry.id if entry is not None and entry.id is not None else name
    return (Path(datasets.config.HF_DATASETS_CACHE) / hub_id.replace("/", "___")).is_dir()


def _sized(count: int, what: str, sizes: dict[str, int | None]) -> str:
    known = [size for size in sizes.values() if size is not None]
    unknown = [name for name, size in sizes.items() if size is None]
    words = f"{count} {what if count != 1 else what.removesuffix('s')}"
    if not known:
        return f"{words} of unknown size ({', '.join(unknown)})"
    rest = f" and {len(unknown)} of unknown size ({', '.join(unknown)})" if unknown else ""
    return f"{words}, about {byte_words(sum(known))}{' for ' + str(len(known)) if unknown else ''}{rest}"
