"""Write the card of a network that was converted from a published file."""

import shlex
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hf_sslgen import __version__
from hf_sslgen.checksums import file_sha256
from hf_sslgen.reporting.cards import card_yaml, write_card
from hf_sslgen.zoo.conversion.convert_file import ConvertedCheckpoint
from hf_sslgen.zoo.conversion.layouts import LAYOUTS
from hf_sslgen.zoo.timm_folder import WEIGHTS_FILE

CARD = "README.md"
SHOWN_KEYS = 3

RANGES = {
    "imagenet": "values in [0, 1], minus ImageNet's mean, divided by its standard deviation",
    "half": "values in [-1, 1]",
    "unit_range": "values in [0, 1] as they are, without mean and standard deviation",
    "swav": "values in [0, 1], minus ImageNet's mean, divided by (0.228, 0.224, 0.225)",
}


def write_conversion_card(converted: ConvertedCheckpoint, folder: Path) -> Path:
    """Write `README.md`: method, source, licence, checksums, what was dropped, and how to feed the network.

    Args:
        folder: holds the converted files; it need not have its final name yet.
    """
    network, row, cfg = converted.network, converted.row, converted.pretrained_cfg
    name = row.id if row is not None else network.architecture
    metadata: dict[str, Any] = {
        "library_name": "timm",
        "pipeline_tag": "image-feature-extraction" if not network.num_classes else "image-classification",
        **({"license": converted.licence} if converted.licence is not None else {}),
        "tags": ["hf-sslgen", "checkpoint-conversion", *([row.objective] if row is not None else [])],
    }
    usage = shlex.quote(row.id) if row is not None else "FOLDER"
    values = {
        "metadata": card_yaml(metadata),
        "title": name,
        "row": row,
        "architecture": network.architecture,
        "model_args": ", ".join(f"{key}={value}" for key, value in network.model_args.items()),
        "num_features": network.num_features,
        "num_classes": network.num_classes,
        "num_tensors": network.num_tensors,
        "exact": not any("float32" in note for note in network.notes),
        "side": cfg["input_size"][1],
        "interpolation": cfg["interpolation"],
        "crop_pct": cfg["crop_pct"],
        "range": RANGES[converted.normalization],
        "padding": converted.padding,
        "padding_words": converted.padding_words,
        "source": converted.source,
        "size": converted.file.size,
        "sha256": converted.file.sha256,
        "weights": WEIGHTS_FILE,
        "digest_of_weights": file_sha256(folder / WEIGHTS_FILE),
        "layout": network.layout,
        "layout_description": LAYOUTS[network.layout],
        "assumed": converted.assumed_normalization,
        "notes": network.notes,
        "usage": f"hf-sslgen analyze --model_name_or_path {usage} --dataset_name digits --output_dir runs/analysis",
        "dropped": _by_reason(network.dropped),
        "licence": converted.licence,
        "version": __version__,
        "command": _command(converted),
    }
    write_card("conversion.md", values, folder / CARD)
    return folder / CARD


def _by_reason(dropped: Mapping[str, str]) -> dict[str, list[str]]:
    """Group dropped keys by reason, with the first few of each and the number of others."""
    keys: defaultdict[str, list[str]] = defaultdict(list)
    for key, reason in sorted(dropped.items()):
        keys[reason].append(key)
    return {
        reason: [*some[:SHOWN_KEYS], *([f"and {len(some) - SHOWN_KEYS} more"] if len(some) > SHOWN_KEYS else [])]
        for reason, some in sorted(keys.items())
    }


def _command(converted: ConvertedCheckpoint) -> str:
    """Return the command that makes the same folder; a file on disk is FILE, whatever its name."""
    if converted.row is not None:
        return f"hf-sslgen convert {shlex.quote(converted.row.id)}"
    given = shlex.quote(converted.source) if converted.source is not None else "FILE"
    return (
        f"hf-sslgen convert {given} --layout {converted.network.layout} --normalization {converted.normalization} "
        f"--padding {converted.padding} --output_dir FOLDER"
    )
