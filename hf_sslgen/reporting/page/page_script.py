"""Put scripts and data into a page. Data are stored compressed, in letters that can't end their element."""

import base64
import json
import zlib
from pathlib import Path
from typing import Any

from markupsafe import Markup

TEMPLATES = Path(__file__).parent / "templates"
LIBRARY = TEMPLATES / "vendor" / "plot.min.js"
SCRIPTS = (
    "core.js",
    "state.js",
    "tables.js",
    "terms.js",
    "charts.js",
    "tradeoff.js",
    "details.js",
    "cell.js",
    "main.js",
)


def own_text(path: Path) -> Markup:
    """Return one of our own files, to be inserted into the page unescaped."""
    return Markup(path.read_text(encoding="utf-8"))


def page_script() -> Markup:
    """Return the page's script, whose files share one scope."""
    return Markup("\n").join(own_text(TEMPLATES / "js" / name) for name in SCRIPTS)


def packed_json(identifier: str, data: Any) -> Markup:
    """Return an element that holds plain values, for `unpackedJson` in the browser."""
    text = json.dumps(data, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    content = base64.b64encode(zlib.compress(text.encode("ascii"), 9)).decode("ascii")
    return Markup('<script type="text/plain" id="{}">').format(identifier) + Markup(content) + Markup("</script>")
