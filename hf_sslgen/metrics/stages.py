"""The stages of an encoder that a number can describe."""

from typing import Final, Literal

Stage = Literal["pretrained", "fine-tuned"]

PRETRAINED_STAGE: Final = "pretrained"
"""The encoder as it was published: nothing of it was trained on the domain."""

FINE_TUNED_STAGE: Final = "fine-tuned"
"""The encoder after it was trained on the domain."""
