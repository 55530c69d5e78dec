"""Determine the licence of a fine-tuned model: the requested licence, or else that of its base model."""

from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import HfApi, ModelCard, metadata_load
from huggingface_hub.errors import HfHubHTTPError

from hf_sslgen.errors import InputError
from hf_sslgen.zoo.locations import UNTRAINED_PREFIX, registered, resolve_location, wanted_revision

Licence = dict[str, Any]
"""Fields of a card: `license` as spelled on the Hub and, if that is `other`, optionally `license_name` and
`license_link`."""

FIELDS = ("license", "license_name", "license_link")


def licence_words(licence: Licence) -> str:
    """Return the name of a licence."""
    stated = licence.get("license_name") or licence["license"]
    return " and ".join(map(str, stated)) if isinstance(stated, list) else str(stated)


def base_licence(api: HfApi, base: str, revision: str | None) -> Licence | None:
    """Return the licence stated in a base model's folder, in the registry or in its card on the Hub; None if none is.

    Args:
        base: name of a backbone, as in `load_backbone`; without weights there is no licence to inherit.
    """
    if base.startswith(UNTRAINED_PREFIX):
        return None
    location = resolve_location(base)
    if Path(location).is_dir():
        return stated_licence(local_card(Path(location) / "README.md"))
    row = registered(base)
    if row is not None and row.licence is not None:
        return {"license": row.licence}
    try:
        card = api.model_info(location, revision=wanted_revision(base, revision)).card_data
    except HfHubHTTPError as error:
        if error.response.status_code in (401, 403, 404):
            return None
        raise
    return None if card is None else stated_licence(card.to_dict())


def local_card(path: Path) -> dict[str, Any]:
    """Return the metadata of a card on disk; empty if it is missing or unreadable."""
    try:
        return metadata_load(path) or {} if path.is_file() else {}
    except (ValueError, yaml.YAMLError):
        return {}


def stated_licence(card: dict[str, Any]) -> Licence | None:
    """Return the licence in a card's metadata, or None."""
    found = {key: card[key] for key in FIELDS if card.get(key)}
    return found if "license" in found else None


def chosen_licence(asked: str | None, inherited: Licence | None, base: str) -> Licence:
    """Return the requested licence, or else the inherited licence.

    Raises:
        InputError: there is neither.
    """
    if asked is not None:
        return {"license": asked}
    if inherited is None:
        raise InputError(
            f"{base!r} states no licence; give the licence of the pushed weights with --hub_license, such as "
            "apache-2.0 or cc-by-nc-4.0"
        )
    return inherited


def check_licence(licence: Licence) -> None:
    """Check with the Hub that it knows the licence.

    Raises:
        InputError: the Hub does not know it.
    """
    card = ModelCard(f"---\n{yaml.safe_dump(licence)}---\n")
    try:
        card.validate()
    except ValueError as error:
        raise InputError(
            f"hub_license {licence['license']!r} is unknown to the Hub; valid names are listed at "
            "https://huggingface.co/docs/hub/repositories-licenses and include 'other'"
        ) from error
