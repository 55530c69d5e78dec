"""Model cards from the templates in `model_cards/`."""

import re
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from hf_sslgen.files import replace_file
from hf_sslgen.reporting.unseen import escaped_unseen, without_unseen

MARKDOWN_CHARACTERS = re.compile(r"([\\`*_{}\[\]<>()#+!|~$&:@-]|(?<=www)\.)")
"""Everything that starts markup, entities and the addresses that become links by themselves."""


def escape_markdown(value: object) -> str:
    """Text with everything that Markdown or HTML would read as markup escaped, on one line."""
    return MARKDOWN_CHARACTERS.sub(r"\\\1", " ".join(str(value).split()))


def indented_code(text: str) -> str:
    """Text as an indented block of code, in which nothing is markup; blank lines belong around it."""
    return "\n".join(f"    {line}" for line in text.expandtabs(4).splitlines())


class _CardDumper(yaml.SafeDumper):
    """Puts in quotes whatever is not a plain word, so that no reader of YAML takes it for something else."""


def _quoted_text(dumper: yaml.SafeDumper, value: str) -> yaml.ScalarNode:
    value = " ".join(value.split())
    plain = re.fullmatch(r"[A-Za-z][\w./ -]*\w", value, re.ASCII) is not None
    return dumper.represent_scalar("tag:yaml.org,2002:str", value, style=None if plain else '"')


_CardDumper.add_representer(str, _quoted_text)


def card_yaml(values: Any) -> str:
    """Values as YAML for the head of a card, or for a file beside it, each text on one line; without NaN."""
    text = yaml.dump(values, Dumper=_CardDumper, sort_keys=False, allow_unicode=True, width=float("inf"))
    return escaped_unseen(text)


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
        finalize=without_unseen,
    )
    environment.filters["markdown"] = escape_markdown
    environment.filters["code"] = indented_code
    return environment.get_template(template).render(values)


def write_card(template: str, values: dict[str, Any], path: Path) -> None:
    """Write `render_card` of the same arguments to a file, whole or not at all."""
    text = render_card(template, values)
    with replace_file(path) as unfinished:
        unfinished.write_text(text, encoding="utf-8")
