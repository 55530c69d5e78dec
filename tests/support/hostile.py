"""Names with a meaning in Markdown, HTML, YAML or a template, and parsers for text that contains them."""

import re
from collections import Counter
from html.parser import HTMLParser
from typing import Any

import yaml
from markdown_it import MarkdownIt

HOSTILE_NAMES = (
    "a|b `c` [x](javascript:alert`1`) ![i](x.png)",
    "<script>alert(1)<\N{FRACTION SLASH}script><img src=x onerror=alert(2)>",
    '"quoted": # no comment, - {key: [value]} &amp; !!python',
    "two\nlines\n---\nlicense: mit\n---\n# Title",
    "{{ 7 * 7 }} {% raw %} ${x} $x$ ~~d~~ **b** _c_",
    "\N{OWL} \N{RIGHT-TO-LEFT OVERRIDE}%99 \x1b[31m www.example.org me@example.org",
)
"""None has a slash, so that a folder can have each as its name."""

UNSEEN = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x84\x86-\x9f\u202a-\u202e\u2066-\u2069]")


def one_line(name: str) -> str:
    """The name as it is shown."""
    return UNSEEN.sub("\N{REPLACEMENT CHARACTER}", " ".join(name.split()))


def split_card(card: str) -> tuple[dict[str, Any], str]:
    """What stands at the head of a card, as YAML, and its text."""
    head, text = card.removeprefix("---\n").split("\n---\n", 1)
    return yaml.safe_load(head), text


class Markdown:
    """A card's text as a reader of Markdown (GitHub's tables and strikethrough) understands it."""

    def __init__(self, text: str) -> None:
        assert not UNSEEN.search(text)
        self.tokens = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"]).parse(text)
        self.inline = [child for token in self.tokens for child in token.children or ()]

    @property
    def kinds(self) -> Counter[str]:
        """Count the elements: the counts are the same for all names if these are only text."""
        structure = [token.type for token in self.tokens if token.type != "inline"]
        words = [child.type for child in self.inline if child.type not in ("text", "text_special")]
        return Counter(structure + words)

    @property
    def links(self) -> list[str]:
        found = [child.attrs.get("href") or child.attrs.get("src") for child in self.inline]
        return [str(address) for address in found if address is not None]

    @property
    def shown(self) -> list[str]:
        """The text of each block and cell."""
        inline = [token for token in self.tokens if token.type == "inline"]
        return ["".join(child.content for child in token.children or ()) for token in inline]


class Page(HTMLParser):
    """A page's tags with the names of their attributes, its scripts and addresses, and its text.

    Of a drawing, in which each letter of a name is a tag, only which kinds of tags it has.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        assert not UNSEEN.search(text)
        self.tags: Counter[tuple[str, ...]] = Counter()
        self.drawn: set[tuple[str, ...]] = set()
        self.addresses: list[str] = []
        self.scripts: list[str] = []
        self.text: list[str] = []
        self._inside = ""
        self._drawings = 0
        self.feed(text)
        self.close()
        assert self._drawings == 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        kind = (tag, *sorted(name for name, _ in attrs))
        if self._drawings:
            self.drawn.add(kind)
        else:
            self.tags[kind] += 1
        self._drawings += tag == "svg"
        self._inside = "data" if dict(attrs).get("type") == "text/plain" else tag
        self.addresses += [str(value) for name, value in attrs if name in ("href", "src", "action", "xlink:href")]

    def handle_endtag(self, tag: str) -> None:
        self._drawings -= tag == "svg"
        self._inside = ""

    def handle_data(self, data: str) -> None:
        if self._inside != "data":  # which holds the names, compressed
            (self.scripts if self._inside == "script" else self.text).append(data)
