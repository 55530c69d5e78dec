"""Characters that nobody sees, but that change how the text around them is shown."""

import re
from typing import Any

from markupsafe import Markup

UNSEEN = re.compile("[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u202a-\u202e\u2066-\u2069]")
"""Controls but for white space, and what overrides the direction of writing, digits of later numbers included."""


def without_unseen(value: Any) -> Any:
    """Text with a replacement character for each; what is no text, as it is. For jinja2's `finalize`."""
    if isinstance(value, Markup):
        return Markup(UNSEEN.sub("\ufffd", value))
    return UNSEEN.sub("\ufffd", value) if isinstance(value, str) else value


def escaped_unseen(text: str) -> str:
    """The output of a YAML writer, whose texts are in double quotes, with an escape for each."""
    return UNSEEN.sub(lambda match: f"\\u{ord(match[0]):04X}", text)
