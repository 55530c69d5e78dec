"""What a user says about a push beyond the Trainer's own arguments."""

from dataclasses import dataclass, field


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
