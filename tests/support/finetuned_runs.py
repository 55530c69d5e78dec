"""Finished fine-tunings that are pushed, and processes that load what was pushed."""

import subprocess
from dataclasses import dataclass

import torch
import warm_python

from hf_sslgen.domains.domain_loading import Domain
from hf_sslgen.hub.finetuned_model import ModelPush
from hf_sslgen.hub.finetuned_run import FineTunedRun
from hf_sslgen.hub.pushing import PushRequest
from hf_sslgen.preprocessing import evaluation_pixels, normalise
from hf_sslgen.zoo.backbone_loading import LoadedBackbone
from tests.loopback_hub import ROLES, Hub

HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "[here](javascript:alert`1`)",
    "*a* | **b** _c_ ~~d~~",
    "# ---",
    "key: {value}, - [x] &amp; !!python/object",
    "quoted \"double\" 'single' `code` \\",
    "$x$ https://example.org www.example.org me@example.org",
    "two\nlines ---\n---\nend",
    "{{ metadata }} {% raw %}",
    "7. plain",
)


@dataclass(frozen=True)
class Tuned:
    """A finished run, and the logits of its model for some test images."""

    run: FineTunedRun
    base: str
    pixels: torch.Tensor
    logits: torch.Tensor


def some_logits(backbone: LoadedBackbone, domain: Domain) -> tuple[torch.Tensor, torch.Tensor]:
    images = [domain.test.image(position) for position in range(4)]
    pixels = torch.stack([evaluation_pixels(image, backbone.preprocessing.geometry) for image in images])
    pixels = normalise(pixels, backbone.preprocessing)
    with torch.no_grad():
        return pixels, backbone.model.eval()(pixel_values=pixels).logits


def push_of(tuned: Tuned, repository: str, role: str = "owner", licence: str | None = "cc-by-4.0") -> ModelPush:
    return ModelPush(PushRequest(repository, token=ROLES[role].token), tuned.base, None, licence)


def python(hub: Hub, *arguments: str, role: str | None = None) -> subprocess.CompletedProcess[str]:
    """A process as `role` (None is anonymous), with fresh caches."""
    return warm_python.run(arguments, env=hub.environment(role))
