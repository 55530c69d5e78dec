"""A Space that shows a pushed model at work: a picture in; prediction, confidence and attribution out."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi

from hf_sslgen.hub.licences import Licence
from hf_sslgen.hub.pushing import Pushed, PushRequest, push_files
from hf_sslgen.reporting.cards import card_yaml, render_card
from hf_sslgen.reporting.metric_spaces import GRADIO_VERSION

TEMPLATE = Path(__file__).parent / "demo_template"
TEMPLATE_FILES = ("app.py", "prediction.py", "requirements.txt")


def demo_files(repository: str, revision: str | None, licence: Licence, private: bool) -> dict[str, Path | bytes]:
    """The files of a model's demo.

    Args:
        repository: the model's, `owner/name`, at `revision` (None is `main`).
    """
    title = f"{repository.split('/')[1]} at work"
    metadata: dict[str, Any] = {
        "title": title,
        "emoji": "🔍",
        "colorFrom": "blue",
        "colorTo": "gray",
        "sdk": "gradio",
        "sdk_version": GRADIO_VERSION,
        "python_version": "3.11",
        "app_file": "app.py",
        "pinned": False,
        "models": [repository],
        "license": licence["license"],
        "short_description": "Prediction, confidence and attribution",
    }
    values = {"metadata": card_yaml(metadata), "title": title, "repository": repository, "private": private}
    settings = {"model": repository, "revision": revision or "main", "title": title}
    return {
        **{name: TEMPLATE / name for name in TEMPLATE_FILES},
        "space.json": (json.dumps(settings, indent=2) + "\n").encode(),
        "README.md": render_card("demo.md", values).encode(),
    }


def push_demo(api: HfApi, request: PushRequest, repository: str, licence: Licence) -> Pushed:
    """Make or update the Space `owner/name-demo` of a model that `request` pushed.

    Raises:
        InputError: it did not work, and why.
    """
    files = demo_files(repository, request.revision, licence, bool(request.private))
    space = dataclasses.replace(request, model_id=f"{repository}-demo", revision=None, kind="space")
    return push_files(api, space, files, "Show the model at work")
