"""The sentences that a page shows, for tests of their length."""

import re
from html.parser import HTMLParser

INLINE = {"a", "b", "data", "em", "i", "img", "span", "strong", "sub", "sup"}
SPOKEN = ("data-tip", "aria-label", "alt")
_END = re.compile(r"(?<=[.!?])[”)]?\s+(?=[A-Z“0-9])")
_ABBREVIATION = re.compile(r"\b(et al|e\.g|i\.e|vs|No)\.")


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = [""]
        self.hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.hidden += tag in ("script", "style")
        if tag not in INLINE:
            self.blocks.append("")
        for name, value in attrs:
            if name in SPOKEN and value:
                self.blocks.extend([value, ""] if tag not in INLINE else [value, self.blocks[-1]])

    def handle_endtag(self, tag: str) -> None:
        self.hidden -= tag in ("script", "style")
        if tag not in INLINE:
            self.blocks.append("")

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.blocks[-1] += data


def sentences_of(page: str) -> list[str]:
    """Return the sentences of a page's text and of what it says aloud or in tips, each once."""
    parser = _Text()
    parser.feed(page)
    found: dict[str, None] = {}
    for block in parser.blocks:
        text = _ABBREVIATION.sub(lambda match: match[0][:-1], " ".join(block.split()))
        found |= dict.fromkeys(sentence.strip() for sentence in _END.split(text) if sentence.strip())
    return list(found)


def num_words(sentence: str) -> int:
    """Count the words of a sentence, and its numbers."""
    return sum(bool(re.search(r"\w", word)) for word in sentence.split())
