"""A user's process that loads backbones: an order on standard input, an answer on standard output, a JSON line each.

An order has `name`, `revision`, `cache`, `token` and `patience`, the seconds between attempts.
"""

import hashlib
import io
import json
import logging
import os
import sys
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import constants

from hf_sslgen.errors import SslgenError
from hf_sslgen.hub_access import retries
from hf_sslgen.zoo.backbone_loading import LoadedBackbone, load_backbone

CLASSES = ("cat", "dog", "owl", "yak", "bee")


def _trunk_digest(backbone: LoadedBackbone) -> str:
    """Of all weights but the classifier's, which no checkpoint here brings for these classes."""
    digest = hashlib.sha256()
    for name, tensor in sorted(backbone.model.state_dict().items()):
        if not any(part in ("classifier", "head", "fc") for part in name.split(".")):
            digest.update(name.encode() + tensor.to(torch.float32).numpy().tobytes())
    return digest.hexdigest()


def _carry_out(order: dict[str, Any]) -> dict[str, Any]:
    constants.HF_HUB_CACHE = order["cache"]
    os.environ.pop("HF_TOKEN", None)
    if order["token"] is not None:
        os.environ["HF_TOKEN"] = order["token"]
    retries.POLICY = retries.RetryPolicy(waits=tuple(order["patience"]))
    try:
        backbone = load_backbone(order["name"], CLASSES, order["revision"])
    except SslgenError as error:
        return {"error": str(error)}
    return {
        "weights": backbone.weights,
        "pinned": backbone.pinned,
        "trunk": _trunk_digest(backbone),
        "side": backbone.preprocessing.geometry.image_size,
        "model": type(backbone.model).__name__,
    }


def main() -> None:
    """Until the orders end."""
    for line in sys.stdin:
        said = io.StringIO()
        handler = logging.StreamHandler(said)
        logging.getLogger().addHandler(handler)
        answer = _carry_out(json.loads(line))
        logging.getLogger().removeHandler(handler)
        print(
            json.dumps({**answer, "log": said.getvalue(), "code ran": Path(os.environ["MARKER"]).exists()}), flush=True
        )


if __name__ == "__main__":
    main()
