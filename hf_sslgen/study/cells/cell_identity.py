"""A cell's identity, which decides its numbers, and its provenance, which does not."""

import dataclasses
import functools
import hashlib
import json
import sys
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from hf_sslgen.analysis.network import device_name
from hf_sslgen.study.cells.cell_folder import METRIC_DEFINITIONS, PRETRAINED_PROTOCOL
from hf_sslgen.study.cells.registry_facts import registry_facts
from hf_sslgen.study.known_cell import KnownCell
from hf_sslgen.study.prepared_cell import PreparedCell
from hf_sslgen.study.protocols.presets import protocol_settings
from hf_sslgen.zoo.locations import registered

LIBRARIES = (
    "hf-sslgen",
    "torch",
    "torchvision",
    "timm",
    "transformers",
    "datasets",
    "captum",
    "scikit-learn",
    "numpy",
)


@functools.cache
def _library_versions() -> tuple[tuple[str, str], ...]:
    """Looked up once per process: reading them takes longer than writing a cell."""
    return tuple((name, version(name)) for name in LIBRARIES)


def cell_identity(cell: PreparedCell | KnownCell, fingerprints: dict[str, str]) -> dict[str, Any]:
    """Return everything that the numbers depend on; cells with equal identities are the same cell.

    | what the numbers depend on | key |
    |---|---|
    | every file that is read from the checkpoint: configuration, processor, weights | `weights` |
    | pixels: size, crop, interpolation, normalisation | `preprocessing`, `protocol_settings.resize` |
    | pictures, their order and sample ids, labels, boxes, masks, pairs and how they are read | `splits` |
    | names and order of the classes | `classes` |
    | transforms that change the label in this domain | `not_label_preserving` |
    | protocol with every setting, label budget, seed | `protocol`, `protocol_settings`, `labels`, `seed` |
    | transforms, subset and its seed, attribution, precision | `analysis` |
    | what each number means | `metric_definitions` |

    The number of workers and threads, the batch size, the machine and the folder change numbers by rounding at most
    and are left out.

    The pretrained stage uses test images only, so it does not depend on how the rest is split. For a checkpoint
    trained elsewhere (without a protocol, but under another name than the pretrained stage's), the temperature is
    fitted on validation images.

    Args:
        fingerprints: of the domain's splits, by role.
    """
    spec, facts, domain = cell.spec, cell.facts, cell.domain
    named = {}
    if spec.protocol is None:
        roles = ("test",) if spec.protocol_name == PRETRAINED_PROTOCOL else ("validation", "test")
        fingerprints = {role: fingerprints[role] for role in roles}
        if spec.protocol_name != PRETRAINED_PROTOCOL:
            # A finished classifier's outputs are found by the classes' names.
            named["class_names"] = list(domain.class_names)
    return {
        **named,
        "backbone": spec.backbone.name,
        "weights": facts.weights,
        "domain": domain.name,
        "splits": fingerprints,
        "classes": _fingerprint_of_names(domain.class_names),
        "protocol": spec.protocol_name,
        "protocol_settings": protocol_settings(spec.protocol),
        "labels": spec.labels,
        "seed": spec.seed,
        "preprocessing": dataclasses.asdict(facts.preprocessing),
        "not_label_preserving": list(domain.not_label_preserving),
        "analysis": {key: value for key, value in dataclasses.asdict(spec.analysis).items() if key != "batch_size"},
        "metric_definitions": METRIC_DEFINITIONS,
    }


def _fingerprint_of_names(names: Sequence[str]) -> str:
    """Return sixteen hexadecimal digits that identify names and their order."""
    return hashlib.sha256(json.dumps(list(names)).encode()).hexdigest()[:16]


def cell_provenance(
    cell: PreparedCell, seconds: float, selection: dict[str, Any], trunk_passes: int
) -> dict[str, Any]:
    """Return where the numbers come from, and what reports say about backbone and domain.

    Args:
        seconds: time the cell took.
        selection: hyper-parameters selected on validation, with the score of each candidate.
        trunk_passes: number of images that passed the trunk for it, without training; others were read from the
            features that an earlier cell has left.
    """
    backbone, domain = cell.spec.backbone, cell.domain
    row = registered(backbone.location)
    return {
        "objective": backbone.objective,
        "family": row.family if row is not None else "unknown",
        "source": backbone.source,
        "pretraining_seed": backbone.pretraining_seed,
        "pretraining_epochs": row.epochs if row is not None else None,
        "augmentation": row.augmentation if row is not None else None,
        "weights": row.same_weights_as or row.id if row is not None else None,
        "licence": row.licence if row is not None else None,
        "parameters": cell.facts.num_parameters,
        "network": dataclasses.asdict(cell.facts.network),
        "registered": registry_facts(row) if row is not None else None,
        "group": domain.group,
        "domain_metric": domain.metric,
        "dataset_commit": None if domain.found is None else domain.found.commit,
        "class_names": list(domain.class_names),
        "not_label_preserving": list(domain.not_label_preserving),
        "notes": list(domain.notes),
        "taken": domain.taken.as_json(),
        "selection": selection,
        "seconds": round(seconds, 2),
        "trunk_passes": trunk_passes,
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "device": device_name(),
        "threads": torch.get_num_threads(),
        "libraries": dict(_library_versions()),
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
    }
