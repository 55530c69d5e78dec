"""Access tokens of the Hub, blotted out of text that is shown, kept or published."""

import os
import re

TOKEN = re.compile(r"\b(?:hf_oauth_[\w.-]+|(?:hf|api_org)_[A-Za-z0-9]{16,})")
VARIABLES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
SHORTEST = 8
"""Characters of a variable's value that is taken for a token: less may stand in any text by chance."""


def without_tokens(text: str) -> str:
    """Text in which every access token is blotted out: what has the form of one, and this process's own."""
    for variable in VARIABLES:
        own = os.environ.get(variable, "").strip()
        if len(own) >= SHORTEST:
            text = text.replace(own, "(token)")
    return TOKEN.sub("(token)", text)
