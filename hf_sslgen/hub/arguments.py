"""What a user says about a push: the Trainer's own arguments, and what they leave open."""

from dataclasses import dataclass, field
from pathlib import Path

from hf_sslgen.errors import InputError
from hf_sslgen.hub.pushing import PushRequest
from hf_sslgen.training.arguments import FineTuningArguments


@dataclass(frozen=True)
class HubArguments:
    """What the Trainer's `hub_*` arguments leave open."""

    hub_license: str | None = field(
        default=None,
        metadata={
            "help": "Licence of the pushed weights, as the Hub spells it (apache-2.0, cc-by-nc-4.0, other ...); the "
            "base model's where that states one."
        },
    )
    push_demo_space: bool = field(
        default=False,
        metadata={"help": "With push_to_hub: also make a Space, `<model>-demo`, in which the model can be tried."},
    )


def take_push_request(arguments: FineTuningArguments) -> PushRequest | None:
    """What the arguments ask to be pushed, None without `push_to_hub`; they no longer ask for it afterwards.

    The Trainer pushes in the background, where failures go unseen, with a card of its own, and stores its arguments
    with the token in them: it gets to see neither.

    Raises:
        InputError: a `hub_strategy` that pushes before the end.
    """
    token, wanted = arguments.hub_token, arguments.push_to_hub
    arguments.hub_token, arguments.push_to_hub = None, False
    if not wanted:
        return None
    strategy = str(arguments.to_dict()["hub_strategy"])
    if strategy != "end":
        raise InputError(f"hub_strategy {strategy!r} is not to be had: the finished model is pushed, once; drop it")
    model_id = arguments.hub_model_id or Path(str(arguments.output_dir)).resolve().name
    return PushRequest(model_id, arguments.hub_revision, arguments.hub_private_repo, token)
