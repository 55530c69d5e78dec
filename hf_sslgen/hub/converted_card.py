"""Write the card of a checkpoint converted to safetensors: its origin, and that nothing else was changed."""

import json
import math
import re
import shlex
from pathlib import Path
from typing import Any

from safetensors import safe_open

from hf_sslgen import __version__
from hf_sslgen.checksums import file_sha256
from hf_sslgen.errors import InputError
from hf_sslgen.hub.licences import licence_words, local_card, stated_licence
from hf_sslgen.reporting.cards import card_yaml, write_card
from hf_sslgen.zoo.to_safetensors import PICKLED

CARD, OWN_CARD = "README.md", "README.source.md"
"""The card of the conversion, and the new name of the checkpoint's original card."""

TAG = "safetensors-conversion"
"""The tag that identifies the card of a conversion."""

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+", re.ASCII)


def is_timm_checkpoint(folder: Path) -> bool:
    """Whether a folder's configuration is timm's rather than transformers'.

    Raises:
        InputError: the folder has no readable configuration.
    """
    path = folder / "config.json"
    if not path.is_file():
        raise InputError(f"{folder} has no config.json, so it is not a checkpoint of transformers or timm")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path} is not a configuration: it is not valid JSON") from error
    if not isinstance(content, dict):
        raise InputError(f"{path} is not a configuration: it does not contain a JSON object")
    return "architecture" in content


def write_converted_card(folder: Path, weights: Path, is_timm: bool, source: str | None, licence: str | None) -> Path:
    """Write the card of a converted checkpoint; an earlier card is kept as `README.source.md`.

    Args:
        weights: the safetensors file in the folder.
        source: origin of the checkpoint: a Hub id, optionally with `@` and a revision, or an address.
        licence: licence, as spelled on the Hub; None uses the one stated on the checkpoint's own card.
    """
    path = folder / CARD
    if path.is_file() and TAG not in (local_card(path).get("tags") or []):
        path.replace(folder / OWN_CARD)
    stated = {"license": licence} if licence is not None else stated_licence(local_card(folder / OWN_CARD))
    repository = (source or "").partition("@")[0]
    metadata: dict[str, Any] = {
        "library_name": "timm" if is_timm else "transformers",
        **(stated or {}),
        "tags": ["hf-sslgen", TAG],
        **({"base_model": repository} if HUB_ID.fullmatch(repository) else {}),
    }
    values = {
        "metadata": card_yaml(metadata),
        "title": folder.resolve().name,
        "source": source,
        "has_own_card": (folder / OWN_CARD).is_file(),
        "own_card": OWN_CARD,
        "published": {each.name: file_sha256(each) for each in sorted(folder.glob(PICKLED))},
        "weights": weights.name,
        "digest_of_weights": file_sha256(weights),
        **_tensors(weights),
        "version": __version__,
        "is_timm": is_timm,
        "command": f"hf-sslgen analyze --model_name_or_path {shlex.quote(folder.resolve().name)} "
        "--dataset_name digits --output_dir runs/analysis",
        "licence": None if stated is None else licence_words(stated),
        "licence_was_asked": licence is not None,
    }
    write_card("converted.md", values, path)
    return path


def _tensors(weights: Path) -> dict[str, Any]:
    """Return the numbers of tensors and values in a file, and their types."""
    with safe_open(weights, framework="pt") as file:
        slices = [file.get_slice(name) for name in file.offset_keys()]
    return {
        "num_tensors": len(slices),
        "num_values": sum(math.prod(each.get_shape()) for each in slices),
        "types": sorted({each.get_dtype() for each in slices}),
    }
