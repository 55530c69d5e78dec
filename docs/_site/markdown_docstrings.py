"""Docstrings are written in Markdown's way: an indented paragraph is shown as it is, `|` and `*` mean themselves."""

import re
from typing import Any

SPECIAL = re.compile(r"[|*]")
CODE = re.compile(r"(`[^`]*`)")


def _escaped(line: str) -> str:
    parts = CODE.split(line)
    return "".join(part if part.startswith("`") else SPECIAL.sub(r"\\\g<0>", part) for part in parts)


def literal_paragraphs(lines: list[str]) -> list[str]:
    """The same docstring in reStructuredText, except for its sections (`Args:` and so on), which napoleon reads."""
    converted: list[str] = []
    literal = False
    for index, line in enumerate(lines):
        if line and not line.startswith(" "):
            literal = False
        elif line.strip() and not literal and index and not lines[index - 1].strip():
            before = next((earlier for earlier in reversed(lines[:index]) if earlier.strip()), "")
            literal = not before.startswith(" ")
            if literal:
                converted += ["::", ""]
        converted.append(line if literal else _escaped(line))
    return converted


def _convert(app: Any, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    lines[:] = literal_paragraphs(lines)


def setup(app: Any) -> dict[str, Any]:
    app.connect("autodoc-process-docstring", _convert, priority=100)  # before napoleon
    return {"parallel_read_safe": True}
