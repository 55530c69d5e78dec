"""Remove Hub access tokens from text that is shown, stored or published."""

import os
import re

TOKEN = re.compile(r"\b(?:hf_oauth_[\w.-]+|(?:hf|api_org)_[A-Za-z0-9]{16,})")
VARIABLES = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN")
SHORTEST = 8
"""Minimum length of a variable's value to count as a token; shorter values may occur in any text by chance."""


def without_tokens(text: str) -> str:
    """Blank out every access token in a text: anything that looks like one, and this process's own."""
    for variable in VARIABLES:
        own = os.environ.get(variable, "").strip()
        if len(own) >= SHORTEST:
            text = text.replace(own, "(token)")
    return TOKEN.sub("(token)", text)
