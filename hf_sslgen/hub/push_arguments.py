"""Define the arguments of a push: those of the Trainer, and further details."""

from dataclasses import dataclass, field
from pathlib import Path

from hf_sslgen.errors import InputError
from hf_sslgen.hub.pushing import PushRequest
from hf_sslgen.training.finetuning_arguments import FineTuningArguments


@dataclass(frozen=True)
class HubArguments:
    """Details that the Trainer's `hub_*` arguments do not cover."""

    hub_license: str | None = field(
        default=None,
        metadata={
            "help": "Licence of the pushed weights, as spelled on the Hub (apache-2.0, cc-by-nc-4.0, other ...) "
            "(default: the base model's, if stated)."
        },
    )
    push_demo_space: bool = field(
        default=False,
        metadata={"help": "With push_to_hub: also create a demo Space for the model, `<model>-demo`."},
    )


def take_push_request(arguments: FineTuningArguments) -> PushRequest | None:
    """Return the push that the arguments request, None without `push_to_hub`, and remove the request from them.

    The Trainer would push in the background, where failures go unnoticed, with a card of its own, and would store its
    arguments including the token; so it receives neither the request nor the token.

    Raises:
        InputError: options of a push are given without `push_to_hub`.
    """
    token, wanted = arguments.hub_token, arguments.push_to_hub
    arguments.hub_token, arguments.push_to_hub = None, False
    if not wanted:
        for name in ("hub_model_id", "hub_revision", "hub_private_repo"):
            if vars(arguments)[name] is not None:
                raise InputError(f"{name} needs a pushed model; add --push_to_hub, or drop it")
        return None
    model_id = arguments.hub_model_id or Path(str(arguments.output_dir)).resolve().name
    return PushRequest(model_id, arguments.hub_revision, arguments.hub_private_repo, token)
