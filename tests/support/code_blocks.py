"""Code blocks of the documentation, with what the comment before each says about running it.

A comment directly before a block, which readers do not see, has one or more of these parts, separated by semicolons:

- `slow`: the block runs with the slow tests. A block without a comment runs with the others.
- `tests take SMALL for LARGE, REASON`: the block runs with one word replaced, for instance by a small network.
- `not run: REASON`, at the end
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[2]
PAGES = (
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "benchmarks/README.md")),
    *sorted(path for path in (ROOT / "docs").glob("*.md") if path.name not in ("changelog.md", "contributing.md")),
)
COMMENT = re.compile(r"<!--\s*(.*?)\s*-->", re.DOTALL)
REPLACED = re.compile(r"tests take (\S+) for (\S+), (\S.*)", re.DOTALL)
LANGUAGES = ("bash", "console", "python", "yaml", "text", "{include}", "{toctree}")


@dataclass(frozen=True)
class Block:
    """A fenced block: `line` counts from 1, `code` is as written, `stand_ins` are (large, small) words."""

    page: Path
    line: int
    language: str
    code: str
    slow: bool = False
    not_run: str | None = None
    stand_ins: tuple[tuple[str, str], ...] = ()

    @property
    def place(self) -> str:
        return f"{self.page.name}:{self.line}"

    @property
    def runnable(self) -> str:
        """The code with its stand-ins, and for a console without prompts and without what the commands print."""
        code = self.code
        for large, small in self.stand_ins:
            code, count = re.subn(rf"(?<![\w./-]){re.escape(large)}(?![\w./-])", small, code)
            assert count, f"{self.place}: nothing to replace by {small}"
        return "\n".join(_commands(code)) if self.language == "console" else code


def _commands(code: str) -> Iterator[str]:
    continued = False
    for line in code.splitlines():
        if line.startswith("$ ") or continued:
            yield line.removeprefix("$ ")
            continued = line.endswith("\\")


def _said(page: Path, line: int, comment: str) -> tuple[bool, str | None, tuple[tuple[str, str], ...]]:
    parts, _, not_run = comment.partition("not run: ")
    slow, stand_ins = False, []
    for part in filter(None, (part.strip() for part in parts.split(";"))):
        replaced = REPLACED.fullmatch(part)
        assert replaced or part == "slow", f"{page.name}:{line}: {part!r} says nothing about the block that follows"
        slow = slow or part == "slow"
        if replaced:
            stand_ins.append((replaced[2], replaced[1]))
    return slow, not_run or None, tuple(stand_ins)


def _comment_before(tokens: list[Token], index: int) -> str:
    before = tokens[index - 1] if index else None
    found = COMMENT.fullmatch(before.content.strip()) if before and before.type == "html_block" else None
    return " ".join(found[1].split()) if found else ""


def blocks_of(page: Path) -> list[Block]:
    """Return the page's code blocks in order."""
    tokens = MarkdownIt().parse(page.read_text(encoding="utf-8"))
    blocks = []
    for index, token in enumerate(tokens):
        assert token.type != "code_block" or "$ " not in token.content, f"{page.name}: fence what is indented"
        if token.type == "fence" and token.map:
            line = token.map[0] + 1
            said = _said(page, line, _comment_before(tokens, index))
            blocks.append(Block(page, line, token.info.split(" ")[0], token.content, *said))
    return blocks


BLOCKS = tuple(block for page in PAGES for block in blocks_of(page))
