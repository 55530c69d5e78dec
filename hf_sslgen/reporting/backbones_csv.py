"""The rows of `backbones.csv`: what is known of each backbone, and what it costs on the machine that measured it.

Sizes are in bytes, rates in images per second; what is not known or not measured is an empty field.
"""

import dataclasses
from typing import Any

import pandas as pd

from hf_sslgen.analysis.forward_cost_values import ForwardCost
from hf_sslgen.study.backbone_costs import BackboneCost
from hf_sslgen.study.inference.known_backbones import KnownBackbone, known_backbones
from hf_sslgen.study.inference.study_results import StudyResults

_RENAMED = {"name": "backbone", "epochs": "pretraining_epochs", "batch_size": "pretraining_batch_size"}
_FORWARD = [each.name for each in dataclasses.fields(ForwardCost)]
BACKBONE_COLUMNS = [
    *(_RENAMED.get(each.name, each.name) for each in dataclasses.fields(KnownBackbone)),
    *("file_bytes", "device", "measured", *_FORWARD),
]
WHOLE_NUMBERS = (
    *("pretraining_seed", "parameters", "num_features", "image_size", "pretraining_epochs", "pretraining_batch_size"),
    *("file_bytes", "num_batches", "batch_size", "threads", "peak_memory", "memory_batch_size"),
)


def backbones_frame(results: StudyResults) -> pd.DataFrame:
    """Return a row per backbone, untrained controls included, with columns `BACKBONE_COLUMNS`."""
    rows = [_row(known, results.costs.get(name)) for name, known in known_backbones(results.cells).items()]
    frame = pd.DataFrame(rows, columns=BACKBONE_COLUMNS)
    return frame.astype(dict.fromkeys(WHOLE_NUMBERS, "Int64"))


def _row(known: KnownBackbone, cost: BackboneCost | None) -> dict[str, Any]:
    described = {_RENAMED.get(key, key): value for key, value in vars(known).items()}
    if cost is None:
        return described
    return described | {
        "file_bytes": cost.file_bytes or None,
        "device": cost.device,
        "measured": cost.measured,
        **vars(cost.forward),
    }
