"""Fill in model cards from the templates in `model_cards/`."""

import re
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from hf_sslgen.files import replace_file
from hf_sslgen.reporting.unseen import escaped_unseen, without_unseen

MARKDOWN_CHARACTERS = re.compile(r"([\\`*_{}\[\]<>()#+!|~$&:@-]|(?<=www)\.)")
"""Every character that starts markup, an entity or an address that is linked automatically."""


def escape_markdown(value: object) -> str:
    """Return the text on one line, with everything escaped that Markdown or HTML would read as markup."""
    return MARKDOWN_CHARACTERS.sub(r"\\\1", " ".join(str(value).split()))


def indented_code(text: str) -> str:
    """Return the text as an indented code block, in which nothing is markup; put blank lines around it."""
    return "\n".join(f"    {line}" for line in text.expandtabs(4).splitlines())


class _CardDumper(yaml.SafeDumper):
    """Quotes everything except plain words, so that no YAML reader takes text for another type."""


def _quoted_text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    value = " ".join(value.split())
    plain = re.fullmatch(r"[A-Za-z][\w./ -]*\w", value, re.ASCII) is not None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=None if plain else '"')


_CardDumper.add_representer(str, _quoted_text)


def card_yaml(values: Any) -> str:
    """Return values as YAML for the metadata of a card or a file beside it, each text on one line; no NaN allowed."""
    text = yaml.dump(values, Dumper=_CardDumper, sort_keys=False, allow_unicode=True, width=float("inf"))
    return escaped_unseen(text)


PACKAGE = Path(__file__).parents[1]
TEMPLATE_FOLDERS = (PACKAGE / "model_cards", PACKAGE.parent / "model_cards")
"""Locations of the templates: inside an installed package, or beside the package in a checkout."""


def render_card(template: str, values: dict[str, Any]) -> str:
    """Fill in the named template; a missing value is an error rather than an empty string."""
    environment = Environment(
        loader=FileSystemLoader(TEMPLATE_FOLDERS),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        autoescape=False,  # Markdown has its own filter below
        finalize=without_unseen,
    )
    environment.filters["markdown"] = escape_markdown
    environment.filters["code"] = indented_code
    return environment.get_template(template).render(values)


def write_card(template: str, values: dict[str, Any], path: Path) -> None:
    """Write the result of `render_card` to a file, completely or not at all."""
    text = render_card(template, values)
    with replace_file(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")
