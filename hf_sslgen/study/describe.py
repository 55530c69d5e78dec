"""What a cell says of itself: its identity, which decides its numbers, and its provenance, which does not."""

import dataclasses
import platform
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from hf_sslgen.analysis.forward import default_device
from hf_sslgen.analysis.subset import AnalysisSettings
from hf_sslgen.domains.images import ImageSplit
from hf_sslgen.domains.loading import Domain
from hf_sslgen.study.cells import METRIC_DEFINITIONS
from hf_sslgen.zoo.loading import LoadedBackbone, registered

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


def cell_identity(
    backbone: LoadedBackbone,
    domain: Domain,
    protocol: str,
    protocol_settings: dict[str, Any],
    analysis: AnalysisSettings,
    seed: int,
) -> dict[str, Any]:
    """Everything the numbers depend on; equal identities are one cell.

    The pretrained stage looks at test images only, so it does not depend on how the rest is split.
    """
    splits = {"test": domain.test.fingerprint()}
    if protocol != "pretrained" and isinstance(domain.train, ImageSplit):
        splits |= {"train": domain.train.fingerprint(), "validation": domain.validation.fingerprint()}
    return {
        "backbone": backbone.name,
        "weights": backbone.weights,
        "domain": domain.name,
        "splits": splits,
        "protocol": protocol,
        "protocol_settings": protocol_settings,
        "seed": seed,
        "preprocessing": dataclasses.asdict(backbone.preprocessing),
        "not_label_preserving": list(domain.not_label_preserving),
        "analysis": dataclasses.asdict(analysis),
        "metric_definitions": METRIC_DEFINITIONS,
    }


def cell_provenance(
    backbone: LoadedBackbone, domain: Domain, seconds: float, selection: dict[str, Any]
) -> dict[str, Any]:
    """Where the numbers come from, and what reports say about backbone and domain.

    Args:
        seconds: time it took.
        selection: hyper-parameters selected on validation, with the score of each candidate.
    """
    row = registered(backbone.name)
    device = default_device()
    return {
        "objective": row.objective if row is not None else "unknown",
        "family": row.family if row is not None else "unknown",
        "licence": row.licence if row is not None else None,
        "parameters": backbone.num_parameters,
        "group": domain.group,
        "domain_metric": domain.metric,
        "class_names": list(domain.class_names),
        "not_label_preserving": list(domain.not_label_preserving),
        "notes": list(domain.notes),
        "selection": selection,
        "seconds": round(seconds, 2),
        "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "device": torch.cuda.get_device_name() if device.type == "cuda" else f"{device.type} ({platform.machine()})",
        "threads": torch.get_num_threads(),
        "libraries": {name: version(name) for name in LIBRARIES},
        "command": [Path(sys.argv[0]).name, *sys.argv[1:]],
    }
