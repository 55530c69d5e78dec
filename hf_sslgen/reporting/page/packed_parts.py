"""Keep a large page small: parts that are folded away are stored compressed, and unpacked when a reader opens them.

A page below `PLAIN_UP_TO` holds all of its parts as plain HTML. In a larger one, `page.js` unpacks a part in the
browser, so that the page stays one file that loads nothing else, and opens as quickly as what it shows at first.
"""

import base64
import re
import zlib

from markupsafe import Markup

PLAIN_UP_TO = 1_500_000
"""Size of a page, in characters, up to which nothing is packed."""

WORTH_PACKING = 20_000
"""Smallest part, in characters, that is packed."""

MARK = re.compile(r"<!--part (\d+)-->")
"""Stands for a part while the page is rendered. Names can't imitate it, because they are escaped."""

NOTE = (
    "This part is unpacked when it is opened; unfold everything before you print. If it does not appear, let the page "
    "run its script, or see the CSV files of the study."
)


class PackedParts:
    """The parts of one page; a part may contain others, which were added before."""

    def __init__(self) -> None:
        self._parts: list[str] = []

    def add(self, part: str) -> Markup:
        """Return the mark that stands for a part until `put_in`."""
        self._parts.append(str(part))
        return Markup(f"<!--part {len(self._parts) - 1}-->")

    def put_in(self, page: str) -> str:
        """Return the page with its parts, packed if it would be large otherwise."""
        large = len(page) + sum(map(len, self._parts)) > PLAIN_UP_TO
        found: list[str] = []
        for part in self._parts:
            whole = _with_parts(part, found)
            found.append(_packed(whole) if large and len(whole) > WORTH_PACKING else whole)
        return _with_parts(page, found)


def _with_parts(text: str, parts: list[str]) -> str:
    return MARK.sub(lambda mark: parts[int(mark.group(1))], text)


def _packed(part: str) -> str:
    content = base64.b64encode(zlib.compress(part.encode("utf-8"), 9)).decode("ascii")
    return f'<p class="soft packed">{NOTE}</p><script type="text/plain">{content}</script>'
