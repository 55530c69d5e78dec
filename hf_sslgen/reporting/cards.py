"""Model cards from the templates in `model_cards/`."""

import re
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from hf_sslgen.files import replace_file

MARKDOWN_CHARACTERS = re.compile(r"([\\`*_{}\[\]<>()#+!|~$-])")


def escape_markdown(value: object) -> str:
    """Text with everything that Markdown or HTML would read as markup escaped, on one line."""
    return MARKDOWN_CHARACTERS.sub(r"\\\1", " ".join(str(value).split()))


PACKAGE = Path(__file__).parents[1]
TEMPLATE_FOLDERS = (PACKAGE / "model_cards", PACKAGE.parent / "model_cards")
"""Where the templates are: inside an installed package, or beside the package in a checkout."""


def render_card(template: str, values: dict[str, Any]) -> str:
    """Fill the template of that name; a value it asks for and does not get is an error, not an empty place."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATE_FOLDERS),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # Markdown has its own filter below
    )
    environment.filters["markdown"] = escape_markdown
    return environment.get_template(template).render(values)


def write_card(template: str, values: dict[str, Any], path: Path) -> None:
    """Write `render_card` of the same arguments to a file, whole or not at all."""
    text = render_card(template, values)
    with replace_file(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")
