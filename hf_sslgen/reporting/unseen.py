"""Remove invisible characters that change how the text around them is displayed."""

import re
from typing import Any

from markupsafe import Markup

UNSEEN = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u202a-\u202e\u2066-\u2069]")
"""Control characters except white space, and characters that override the writing direction, even of later digits."""


def without_unseen(value: Any) -> Any:
    """Replace each in text; other values are returned unchanged. For jinja2's `finalize`."""
    if isinstance(value, Markup):
        return Markup(UNSEEN.sub("\ufffd", value))
    return UNSEEN.sub("\ufffd", value) if isinstance(value, str) else value


def escaped_unseen(text: str) -> str:
    """Escape each in the output of a YAML writer that puts text in double quotes."""
    return UNSEEN.sub(lambda match: f"\\u{ord(match[0]):04X}", text)
