"""Published transfer results as data: accuracies by row of the zoo and registered domain, with their protocol.

The tables are in the folder `tables`, whose `tables.yaml` describes them. Accuracies on the source itself,
ImageNet-1k, come from the rows of the zoo.
"""

import csv
import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from hf_sslgen.domains.domain_registry import find_domain
from hf_sslgen.errors import InputError, nearest_names
from hf_sslgen.registry_rows import build_row, one_of, read_sections
from hf_sslgen.settings import shown
from hf_sslgen.zoo.backbone_registry import all_backbones, find_backbone

TABLES = Path(__file__).parent / "tables"
COLUMNS = ("network", "domain", "value", "inputs", "inverse_regularisation")
LINEAR, FINETUNE, KNN = "linear", "finetune", "knn"

OF_THE_ZOO = {"imagenet-linear": LINEAR, "imagenet-knn": KNN}
"""Tables made of the zoo's own rows, and the measure of each."""


@dataclass(frozen=True)
class PublishedValue:
    """One published result.

    Attributes:
        network: the network's name in the publication.
        backbone: the row of the zoo with the same weights.
        domain: the registered domain with the same images; None if there is none.
        value: accuracy as a share; None if only the regularisation is published.
        metric: what the value is, as named in the catalogue of numbers.
        inputs: normalisation of the inputs, as in the zoo; None if not stated.
        inverse_regularisation: the C that was selected.
        test_images: number of test images; None if not known.
        source: where it was published, if that is not its table's.
        differences: what is known of the publication that an own protocol does not do, beside those of its table.
    """

    network: str
    backbone: str
    domain: str | None
    value: float | None
    metric: str
    inputs: str | None = None
    inverse_regularisation: float | None = None
    test_images: int | None = None
    source: str | None = None
    differences: tuple[str, ...] = ()


@dataclass(frozen=True)
class ReferenceTable:
    """A table of published results and their protocol, described at the head of `tables.yaml`."""

    name: str
    title: str
    source: str
    adaptation: str = field(metadata=one_of(LINEAR, FINETUNE, KNN))
    selection: str | None = None
    file: str | None = None
    paper: str | None = None
    protocol: str | None = None
    labels: str = "100%"
    image_size: int | None = None
    crop_pct: float | None = None
    interpolation: str | None = None
    seeds: int | None = None
    mean_per_class: tuple[str, ...] = ()
    differences: tuple[str, ...] = ()
    values: tuple[PublishedValue, ...] = ()


@dataclass(frozen=True)
class _Network:
    name: str
    backbone: str
    note: str | None = None


@dataclass(frozen=True)
class _PublishedDomain:
    name: str
    domain: str | None = None
    test_images: int | None = None
    split: str | None = None
    unregistered: str | None = None


def read_tables(folder: Path) -> dict[str, ReferenceTable]:
    """Read and check a folder of tables; raises InputError naming the first invalid row."""
    sections = read_sections(folder / "tables.yaml", ("networks", "domains", "tables"))
    networks = {row.get("name"): build_row(_Network, row, _where(row)) for row in sections["networks"]}
    domains = {row.get("name"): build_row(_PublishedDomain, row, _where(row)) for row in sections["domains"]}
    for network in networks.values():
        if find_backbone(network.backbone) is None:
            raise InputError(f"network {network.name!r}: the zoo has no row {network.backbone!r}")
    for domain in domains.values():
        if (domain.domain is None) == (domain.unregistered is None):
            raise InputError(f"domain {domain.name!r}: state either its registered domain or why it is unregistered")
        if domain.domain is not None and find_domain(domain.domain) is None:
            raise InputError(f"domain {domain.name!r}: there is no registered domain {domain.domain!r}")
    tables = {}
    for row in sections["tables"]:
        table = build_row(ReferenceTable, {**row, "values": []}, f"table {row.get('name')!r}")
        if table.name in tables:
            raise InputError(f"table {table.name!r} occurs twice")
        tables[table.name] = replace(table, values=tuple(_read_values(folder, table, networks, domains)))
    return tables


def _where(row: Mapping[str, Any]) -> str:
    return f"entry {row.get('name')!r}"


def _read_values(
    folder: Path, table: ReferenceTable, networks: Mapping[Any, _Network], domains: Mapping[Any, _PublishedDomain]
) -> Iterable[PublishedValue]:
    if table.file is None:
        raise InputError(f"table {table.name!r}: the field 'file' is missing")
    with (folder / table.file).open(encoding="utf-8", newline="") as stream:
        rows = csv.DictReader(stream)
        if tuple(rows.fieldnames or ()) != COLUMNS:
            raise InputError(f"{table.file}: its columns must be {', '.join(COLUMNS)}")
        for row in rows:
            where = f"{table.file}: line {rows.line_num}"
            if row["network"] not in networks or row["domain"] not in domains:
                raise InputError(f"{where} names an unknown network or domain")
            network, domain = networks[row["network"]], domains[row["domain"]]
            value = _number(row, "value", where)
            yield PublishedValue(
                network=network.name,
                backbone=network.backbone,
                domain=domain.domain,
                value=None if value is None else value / 100,
                metric="mean_per_class_accuracy" if domain.name in table.mean_per_class else "accuracy",
                inputs=row["inputs"] or None,
                inverse_regularisation=_number(row, "inverse_regularisation", where),
                test_images=domain.test_images,
                differences=tuple(each for each in (network.note, domain.split) if each is not None),
            )


def _number(row: Mapping[str, str], name: str, where: str) -> float | None:
    try:
        return float(row[name]) if row[name] else None
    except ValueError:
        raise InputError(f"{where}: {name} is {shown(row[name])}; it must be a number") from None


def _of_the_zoo(name: str, measure: str) -> ReferenceTable:
    """Return the accuracies on ImageNet-1k that the rows of the zoo state."""
    values = tuple(
        PublishedValue(
            network=row.id,
            backbone=row.id,
            domain="imagenet1k",
            value=each.top1 / 100,
            metric="accuracy",
            test_images=50_000,
            source=each.source,
            differences=() if each.note is None else (each.note,),
        )
        for row in all_backbones()
        for each in row.published
        if each.measure == measure
    )
    words = {LINEAR: "linear classifiers", KNN: "nearest neighbours"}[measure]
    return ReferenceTable(
        name=name,
        title=f"ImageNet-1k, {words} on frozen features",
        source="The publisher of each checkpoint, as stated in its row of the zoo",
        adaptation=measure,
        selection="not stated here; protocols differ between publishers",
        differences=("linear classifiers were mostly trained on augmented images",) if measure == LINEAR else (),
        values=values,
    )


@functools.cache
def _known() -> dict[str, ReferenceTable]:
    return read_tables(TABLES) | {name: _of_the_zoo(name, measure) for name, measure in OF_THE_ZOO.items()}


def reference_tables() -> dict[str, ReferenceTable]:
    """Return every table by name."""
    return dict(_known())


def stated_references(names: Sequence[Any], where: str) -> tuple[ReferenceTable, ...]:
    """Return the tables that a study or a command asks for, each once.

    Args:
        where: names the list in errors.

    Raises:
        InputError: a name is unknown; the message lists those that exist.
    """
    if not names:
        return ()
    known = _known()
    for each in names:
        if each not in list(known):
            listed = f"known: {', '.join(known)}"
            hint = nearest_names(str(each), known)
            raise InputError(f"{where}: there is no table {shown(each)}; {f'{hint} {listed}' if hint else listed}")
    return tuple(known[name] for name in dict.fromkeys(names))
