"""Links written for readers of the repository become the site's own pages where it has them, else a file's path."""

import re
from typing import Any

PAGES = {"CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
FILE = re.compile(r"\[([^\]]+)\]\((?:\.\./)?((?:hf_sslgen|recipes|notebooks|benchmarks)/[^)]+|CITATION\.cff)\)")


def pointed(text: str) -> str:
    """Return a page's text with its links pointed at what the site has."""
    for file, page in PAGES.items():
        text = re.sub(rf"\((?:\.\./)?{re.escape(file)}\)", f"({page})", text)
    return FILE.sub(lambda link: f"`{link[2]}`" if link[1] == link[2] else f"{link[1]} (`{link[2]}`)", text)


def _point(app: Any, name: Any, content: list[str]) -> None:
    content[0] = pointed(content[0])


def _point_included(app: Any, path: Any, parent: str, content: list[str]) -> None:
    content[0] = pointed(content[0])


def setup(app: Any) -> dict[str, Any]:
    app.connect("source-read", _point)
    app.connect("include-read", _point_included)
    return {"parallel_read_safe": True}
