"""Under which licence a fine-tuned model may be used: the one asked for, or else its base model's."""

from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import HfApi, ModelCard, metadata_load
from huggingface_hub.errors import HfHubHTTPError

from hf_sslgen.errors import InputError
from hf_sslgen.zoo.locations import UNTRAINED_PREFIX, registered, resolve_location, wanted_revision

Licence = dict[str, Any]
"""A card's fields: `license` as the Hub spells it; where that is `other`, perhaps `license_name`, `license_link`."""

FIELDS = ("license", "license_name", "license_link")


def licence_words(licence: Licence) -> str:
    """What a licence is called."""
    stated = licence.get("license_name") or licence["license"]
    return " and ".join(map(str, stated)) if isinstance(stated, list) else str(stated)


def base_licence(api: HfApi, base: str, revision: str | None) -> Licence | None:
    """What a base model states: in its folder's card, in the registry, or in its card on the Hub. None: nothing.

    Args:
        base: a backbone's name, as `load_backbone` takes it; one without weights has no licence to hand on.
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
    """The metadata of a card on disk; empty where there is none, or none that can be read."""
    try:
        return metadata_load(path) or {} if path.is_file() else {}
    except (ValueError, yaml.YAMLError):
        return {}


def stated_licence(card: dict[str, Any]) -> Licence | None:
    """The licence in a card's metadata, None where it has none."""
    found = {key: card[key] for key in FIELDS if card.get(key)}
    return found if "license" in found else None


def chosen_licence(asked: str | None, inherited: Licence | None, base: str) -> Licence:
    """The licence asked for, else the inherited one.

    Raises:
        InputError: neither is there.
    """
    if asked is not None:
        return {"license": asked}
    if inherited is None:
        raise InputError(
            f"{base!r} states no licence; say with --hub_license, such as apache-2.0 or cc-by-nc-4.0, under which the "
            "pushed weights may be used"
        )
    return inherited


def check_licence(licence: Licence) -> None:
    """Ask the Hub whether it knows the licence.

    Raises:
        InputError: it does not.
    """
    card = ModelCard(f"---\n{yaml.safe_dump(licence)}---\n")
    try:
        card.validate()
    except ValueError as error:
        raise InputError(
            f"hub_license {licence['license']!r} is no licence that the Hub knows; its names are at "
            "https://huggingface.co/docs/hub/repositories-licenses ('other' is one of them)"
        ) from error
