"""The registry of target domains: their locations, columns, splits and expected sizes.

The rows are in `registry.yaml`. Any other Hub id, folder or parquet file works without a row.
"""

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_args

from hf_sslgen.domains.words import BoxFormat, Group
from hf_sslgen.errors import InputError
from hf_sslgen.registry_rows import build_row, one_of, read_sections

REGISTRY_FILE = Path(__file__).parent / "registry.yaml"
EMBEDDED_FOLDER = Path(__file__).parent / "embedded"

REGISTERED = "registered:"
"""Prefix of a short name that means the registered domain, even if the working folder holds an entry of that name."""

# The transforms that invariance is measured on; a row lists those that can change its domain's labels.
TRANSFORMS = (
    "rotation",
    "translation",
    "scale",
    "shear",
    "resized_crop",
    "horizontal_flip",
    "vertical_flip",
    "elastic",
    "brightness",
    "contrast",
    "saturation",
    "hue",
    "grayscale",
    "gaussian_blur",
    "sharpness",
    "posterize",
    "solarize",
    "invert",
    "equalize",
    "jpeg",
    "gaussian_noise",
)


@dataclass(frozen=True)
class DomainEntry:
    """One target domain.

    Attributes:
        name: short name, as used on the command line and in results.
        id: Hub id of the dataset; None for an embedded domain.
        image_column: None if unknown, in which case it must be given or is detected.
        train_split: None for a domain that is only evaluated on.
        validation_split: None if it is to be carved from the training split.
        test_split: None if it is to be carved from the only published split.
        expected_sizes: images in each split, where known exactly; another number means that the dataset changed.
        box_column, mask_column, pair_column, group_column: annotation columns, as for `--box_column_name` and its
            siblings; `box_format` belongs to `box_column`.
        download_bytes: size of the dataset's files, where its page states it.
        row_filter: keep only rows in which each of these columns has this value (the name, for a ClassLabel).
        group: expected distance to ImageNet, to be checked against the measured distance.
        verified: whether columns and splits were checked on the dataset's page.
        not_label_preserving: transforms that can turn an image into another class or remove the evidence for its
            class, so that invariance to them is not desirable.
    """

    name: str
    title: str
    id: str | None
    format: str = field(metadata=one_of("parquet", "webdataset", "embedded"))
    label_column: str
    num_classes: int
    group: Group
    verified: bool
    image_column: str | None = "image"
    train_split: str | None = "train"
    validation_split: str | None = None
    test_split: str | None = "test"
    metric: str = field(default="accuracy", metadata=one_of("accuracy", "mean_per_class_accuracy"))
    config: str | None = None
    box_column: str | None = None
    box_format: str | None = field(default=None, metadata=one_of(*get_args(BoxFormat)))
    mask_column: str | None = None
    pair_column: str | None = None
    group_column: str | None = None
    expected_sizes: Mapping[str, int] = field(default_factory=dict, hash=False)
    download_bytes: int | None = None
    row_filter: Mapping[str, str] = field(default_factory=dict, hash=False)
    licence: str | None = None
    revision: str | None = None
    not_label_preserving: tuple[str, ...] = field(default=(), metadata=one_of(*TRANSFORMS))
    note: str | None = None

    @property
    def splits(self) -> tuple[str, ...]:
        """The published splits that are used here."""
        return tuple(split for split in (self.train_split, self.validation_split, self.test_split) if split)


@dataclass(frozen=True)
class Registry:
    """The content of a registry file; `known_bad` maps a Hub id to the reason."""

    domains: dict[str, DomainEntry]
    known_bad: dict[str, str]


@dataclass(frozen=True)
class _KnownBad:
    id: str
    reason: str


def read_registry(path: Path) -> Registry:
    """Read and check a registry file; raises InputError naming the first invalid row."""
    sections = read_sections(path, ("domains", "known_bad"))
    domains: dict[str, DomainEntry] = {}
    seen_ids: set[str] = set()
    for row in sections["domains"]:
        where = f"domain {row.get('name')!r}"
        entry = build_row(DomainEntry, row, where)
        if entry.name in domains or entry.id in seen_ids:
            raise InputError(f"{where}: its name or its id {entry.id!r} occurs twice in the registry")
        if (entry.id is None) != (entry.format == "embedded"):
            raise InputError(f"{where}: an embedded domain must not have an id, and every other domain needs one")
        if (entry.box_column is None) != (entry.box_format is None):
            raise InputError(f"{where}: box_column and box_format belong together; give both or none")
        if not entry.splits:
            raise InputError(f"{where} has neither a train_split nor a test_split")
        unknown = sorted(set(entry.expected_sizes) - set(entry.splits))
        if unknown:
            raise InputError(f"{where}: expected_sizes names splits that it does not have: {', '.join(unknown)}")
        domains[entry.name] = entry
        if entry.id is not None:
            seen_ids.add(entry.id)
    known_bad = [build_row(_KnownBad, row, f"known_bad {row.get('id')!r}") for row in sections["known_bad"]]
    return Registry(domains, {each.id: each.reason for each in known_bad})


@functools.cache
def _registry() -> Registry:
    return read_registry(REGISTRY_FILE)


def domain_entries() -> dict[str, DomainEntry]:
    """Return every domain by short name, in the registry's order."""
    return dict(_registry().domains)


def find_domain(name_or_id: str) -> DomainEntry | None:
    """Find a domain's row by its short name (or `registered:NAME`) or Hub id; None if there is none."""
    entries = _registry().domains
    if name_or_id.startswith(REGISTERED):
        return entries.get(name_or_id.removeprefix(REGISTERED))
    if name_or_id in entries:
        return entries[name_or_id]
    return next((entry for entry in entries.values() if entry.id == name_or_id), None)


def known_bad_domains() -> dict[str, str]:
    """Return the Hub ids that should not be used, with the reason."""
    return dict(_registry().known_bad)


def embedded_files(entry: DomainEntry) -> dict[str, Path]:
    """Return an embedded domain's file per split, in the form `load_dataset("parquet", data_files=...)` takes."""
    if entry.format != "embedded":
        raise InputError(f"domain {entry.name!r} is not embedded; its dataset is {entry.id!r} on the Hub")
    return {split: EMBEDDED_FOLDER / entry.name / f"{split}.parquet" for split in entry.splits}
