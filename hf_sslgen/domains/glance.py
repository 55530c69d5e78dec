"""What a domain holds at first glance: classes and images per split, from file names and headers alone.

Nothing is decoded, and neither torch nor datasets is imported, so that a command can say within a second what it has
found. What is taken in the end, with everything left out, is told once the domain is loaded.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hf_sslgen.domains.domain_arguments import DomainArguments
from hf_sslgen.domains.domain_names import domain_name
from hf_sslgen.domains.domain_registry import DomainEntry, embedded_files, find_domain
from hf_sslgen.domains.local.file_survey import Survey, survey_folder
from hf_sslgen.domains.local.found_layout import find_layout
from hf_sslgen.domains.local.table_files import split_files, table_files
from hf_sslgen.domains.split_roles import split_names
from hf_sslgen.errors import InputError

PARQUET = ".parquet"


@dataclass(frozen=True)
class Glance:
    """What a domain holds.

    Attributes:
        images: published images by role (`train`, `validation`, `test`), before anything is held out.
        num_classes: None where the files do not say.
        held_out: the share of the training images that is held out for each missing role.
    """

    name: str
    images: Mapping[str, int]
    num_classes: int | None
    held_out: Mapping[str, float]

    @property
    def test_images(self) -> int:
        """Images to measure on, some of which may still be carved off."""
        return self.images.get("test") or round(self.held_out.get("test", 0.0) * self.images.get("train", 0))

    def line(self) -> str:
        """Describe it in one line."""
        classes = f"{self.num_classes:,} classes, " if self.num_classes is not None else ""
        splits = [f"{count:,} {role}" for role, count in self.images.items()]
        listed = splits[0] if len(splits) == 1 else f"{', '.join(splits[:-1])} and {splits[-1]}"
        held_out = [f"{share:.0%} for {role}" for role, share in self.held_out.items()]
        note = f"; held out of train: {' and '.join(held_out)}" if held_out else ""
        return f"{self.name}: {classes}{listed} images{note}"


def glance(arguments: DomainArguments) -> Glance | None:
    """Look at a domain; None where only loading it tells, such as for a dataset on the Hub without a registry row.

    What is wrong with a domain is left to its loading to tell.
    """
    entry = find_domain(arguments.registered_as or arguments.dataset_name)
    path = Path(arguments.dataset_name)
    if arguments.streaming:
        return None
    try:
        if path.exists():
            return _local(path, arguments, entry)
        if entry is not None and entry.format == "embedded":
            files = {split: [str(file)] for split, file in embedded_files(entry).items()}
            return _of_parquet(files, arguments, entry)
    except (InputError, OSError):
        return None
    if entry is None or not entry.expected_sizes:
        return None
    return _glance(dict(entry.expected_sizes), arguments, entry, entry.num_classes)


def _local(path: Path, arguments: DomainArguments, entry: DomainEntry | None) -> Glance | None:
    if path.is_file():
        return _of_parquet({"train": [str(path)]}, arguments, entry) if path.suffix.lower() == PARQUET else None
    survey = survey_folder(path)
    tables = table_files(survey)
    if survey.pictures and (tables is None or tables[0] not in (PARQUET, ".arrow", ".tar")):
        return _of_pictures(survey, arguments, entry)
    if tables is None or tables[0] != PARQUET or survey.pictures:
        return None
    by_split = split_files(tables[1], PARQUET)
    return _of_parquet({split: [file.path for file in files] for split, files in by_split.items()}, arguments, entry)


def _of_pictures(survey: Survey, arguments: DomainArguments, entry: DomainEntry | None) -> Glance:
    layout, metadata = find_layout(survey, arguments, entry)
    class_names = layout.class_names(layout.splits)
    are_classes = len(class_names) > 1 and not metadata.columns
    counts = {
        split: sum(each.class_name is not None or not are_classes for each in placed)
        for split, placed in layout.splits.items()
    }
    return _glance(counts, arguments, entry, len(class_names) if are_classes else None)


def _of_parquet(
    files: Mapping[str, Sequence[str]], arguments: DomainArguments, entry: DomainEntry | None
) -> Glance | None:
    """Count rows by the files' footers; a registered domain may use only some of them."""
    import pyarrow.parquet as pq
    from pyarrow import ArrowException

    if entry is not None and entry.row_filter:
        return None
    try:
        footers = {split: [pq.read_metadata(path) for path in paths] for split, paths in files.items()}
    except ArrowException:
        return None
    counts = {split: sum(footer.num_rows for footer in each) for split, each in footers.items()}
    first = next(iter(footers.values()))[0]
    column = arguments.label_column_name or (entry.label_column if entry is not None else None)
    return _glance(counts, arguments, entry, _stated_classes(first.metadata or {}, column))


def _stated_classes(metadata: Mapping[bytes, bytes], column: str | None) -> int | None:
    """Return the number of classes that `datasets` has noted in a file for its label column, or its only one."""
    try:
        features = json.loads(metadata[b"huggingface"])["info"]["features"]
        names = {name: feature["names"] for name, feature in features.items() if feature.get("_type") == "ClassLabel"}
    except (KeyError, TypeError, ValueError, AttributeError):
        return None
    chosen = [column] if column is not None else list(names)
    return len(names[chosen[0]]) if len(chosen) == 1 and chosen[0] in names else None


def _glance(
    counts: Mapping[str, int], arguments: DomainArguments, entry: DomainEntry | None, num_classes: int | None
) -> Glance:
    names = dict(zip(("train", "validation", "test"), split_names(arguments, entry, list(counts)), strict=True))
    images = {role: counts[name] for role, name in names.items() if name is not None and name in counts}
    held_out = {role: arguments.train_val_split for role in ("test", "validation") if names[role] is None}
    return Glance(domain_name(arguments), images, num_classes, held_out)
