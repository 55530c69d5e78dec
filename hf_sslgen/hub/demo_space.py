"""Publish a Space that demonstrates a pushed model: a picture in; prediction, confidence and attribution out."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi
from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError
from huggingface_hub.utils import validate_repo_id

from hf_sslgen.errors import InputError
from hf_sslgen.hub.licences import Licence
from hf_sslgen.hub.pushing import FRESH, Pushed, PushRequest, push_files
from hf_sslgen.hub_access.retries import with_retries
from hf_sslgen.intensity import STATED, Intensity
from hf_sslgen.reporting.cards import card_yaml, render_card
from hf_sslgen.reporting.metric_spaces import GRADIO_VERSION

PACKAGE = Path(__file__).parents[1]
TEMPLATE = Path(__file__).parent / "demo_template"
TEMPLATE_FILES = ("app.py", "prediction.py", "requirements.txt")
SETTINGS_FILE = "space.json"


SHARED_MODULES = ("intensity.py", "errors.py", "app/picture_view.py", "app/gradio_look.py", "zoo/same_padding.py")
"""Modules that a demo copies, to read pictures and pad exactly as in training and to show them as the app does."""


def demo_files(
    repository: str, revision: str | None, licence: Licence, private: bool, intensity: Intensity = STATED
) -> dict[str, Path | bytes]:
    """Return the files of a model's demo.

    Args:
        repository: repository of the model, `owner/name`, at `revision` (None is `main`).
        intensity: how the model's training pictures were read.
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
    read_with = None if intensity.is_stated else dataclasses.asdict(intensity)
    settings = {"model": repository, "revision": revision or "main", "title": title, "intensity": read_with}
    modules = {Path(name).name: (PACKAGE / name).read_text(encoding="utf-8") for name in SHARED_MODULES}
    return {
        **{name: text.replace("from hf_sslgen.", "from ").encode() for name, text in modules.items()},
        **{name: TEMPLATE / name for name in TEMPLATE_FILES},
        SETTINGS_FILE: (json.dumps(settings, indent=2) + "\n").encode(),
        "README.md": render_card("demo.md", values).encode(),
    }


def check_demo(api: HfApi, repository: str) -> None:
    """Check whether the Space `owner/name-demo` of a model can be created or updated.

    Raises:
        InputError: the name is invalid for a Space, or a Space of that name contains something else.
    """
    space = f"{repository}-demo"
    try:
        validate_repo_id(space)
        files = set(api.list_repo_files(space, repo_type="space"))
    except RepositoryNotFoundError:
        return
    except HFValidationError as error:
        raise InputError(f"push_demo_space: {space!r} is not a valid name for a Space: {error}") from error
    if files - FRESH and not {*TEMPLATE_FILES, SETTINGS_FILE} <= files:
        raise InputError(
            f"push_demo_space: the Space {space!r} exists and is not a demo of this model (it contains "
            f"{min(files - FRESH)[:80]!r}); give another --hub_model_id, or drop --push_demo_space"
        )


def push_demo(
    api: HfApi, request: PushRequest, repository: str, licence: Licence, intensity: Intensity = STATED
) -> Pushed:
    """Create or update the Space `owner/name-demo` of a model that `request` pushed; it is private if the model is.

    Raises:
        HubError: the push failed; the message states why.
        InputError: a Space of that name contains something else.
    """
    with_retries(lambda: check_demo(api, repository), f"spaces/{repository}-demo")
    private = bool(with_retries(lambda: api.model_info(repository), repository).private)
    files = demo_files(repository, request.revision, licence, private, intensity)
    space = dataclasses.replace(
        request, model_id=f"{repository}-demo", revision=None, private=private or None, kind="space"
    )
    return push_files(api, space, files, "Show the model at work")
