"""The registry of target domains: where each lives, how its columns and splits are called, what to expect of it.

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
"""In front of a short name: the registry's domain, whatever lies in the working folder."""

# The transforms under which invariance is measured; a row names those of them that can change the domain's labels.
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
        id: Hub id of the data set; None for an embedded domain.
        image_column: None where it isn't known, so that it has to be given or found.
        train_split: None for a domain that is only evaluated on.
        validation_split: None where one has to be carved from the training split.
        test_split: None where one has to be carved from the only split there is.
        expected_sizes: images in each split, where known exactly; another number means that the data set changed.
        box_column, mask_column, pair_column: where the object is, and what names the thing an image shows, as the
            options `--box_column_name` and so on say; `box_format` belongs to `box_column`.
        row_filter: keep only rows in which each of these columns has this value (the name, for a ClassLabel).
        group: the expected distance to ImageNet, a proposal that the measured distance checks.
        verified: columns and splits were seen on the data set's page.
        not_label_preserving: transforms that can turn an image into one of another class, or that remove what the
            class is told by; invariance to them isn't wanted.
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
    expected_sizes: Mapping[str, int] = field(default_factory=dict, hash=False)
    row_filter: Mapping[str, str] = field(default_factory=dict, hash=False)
    licence: str | None = None
    revision: str | None = None
    not_label_preserving: tuple[str, ...] = field(default=(), metadata=one_of(*TRANSFORMS))
    note: str | None = None

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits the data set itself has and that are used here."""
        return tuple(split for split in (self.train_split, self.validation_split, self.test_split) if split)


@dataclass(frozen=True)
class Registry:
    """Everything in one registry file; `known_bad` maps a Hub id to the reason."""

    domains: dict[str, DomainEntry]
    known_bad: dict[str, str]


@dataclass(frozen=True)
class _KnownBad:
    id: str
    reason: str


def read_registry(path: Path) -> Registry:
    """Read and check a registry file; an InputError names the first row that is wrong."""
    sections = read_sections(path, ("domains", "known_bad"))
    domains: dict[str, DomainEntry] = {}
    seen_ids: set[str] = set()
    for row in sections["domains"]:
        where = f"domain {row.get('name')!r}"
        entry = build_row(DomainEntry, row, where)
        if entry.name in domains or entry.id in seen_ids:
            raise InputError(f"{where}: its name or its id {entry.id!r} is in the registry twice")
        if (entry.id is None) != (entry.format == "embedded"):
            raise InputError(f"{where}: an embedded domain has no id, and every other one needs it")
        if (entry.box_column is None) != (entry.box_format is None):
            raise InputError(f"{where}: box_column and box_format belong together; give both or none")
        if not entry.splits:
            raise InputError(f"{where} has neither a train_split nor a test_split")
        unknown = sorted(set(entry.expected_sizes) - set(entry.splits))
        if unknown:
            raise InputError(f"{where}: expected_sizes of splits it does not have: {', '.join(unknown)}")
        domains[entry.name] = entry
        if entry.id is not None:
            seen_ids.add(entry.id)
    known_bad = [build_row(_KnownBad, row, f"known_bad {row.get('id')!r}") for row in sections["known_bad"]]
    return Registry(domains, {each.id: each.reason for each in known_bad})


@functools.cache
def _registry() -> Registry:
    return read_registry(REGISTRY_FILE)


def domain_entries() -> dict[str, DomainEntry]:
    """Every domain by short name, in the registry's order."""
    return dict(_registry().domains)


def find_domain(name_or_id: str) -> DomainEntry | None:
    """The row of a short name, also as `registered:NAME`, or a Hub id, or None."""
    entries = _registry().domains
    if name_or_id.startswith(REGISTERED):
        return entries.get(name_or_id.removeprefix(REGISTERED))
    if name_or_id in entries:
        return entries[name_or_id]
    return next((entry for entry in entries.values() if entry.id == name_or_id), None)


def known_bad_domains() -> dict[str, str]:
    """Hub ids that shouldn't be used, with the reason."""
    return dict(_registry().known_bad)


def embedded_files(entry: DomainEntry) -> dict[str, Path]:
    """The file of each split of an embedded domain, as `load_dataset("parquet", data_files=...)` takes them."""
    if entry.format != "embedded":
        raise InputError(f"domain {entry.name!r} is no embedded domain; its data set is {entry.id!r}")
    return {split: EMBEDDED_FOLDER / entry.name / f"{split}.parquet" for split in entry.splits}
