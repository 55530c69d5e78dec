"""The files taken from the npm registry are those that scripts/page_library makes."""

import hashlib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
CHECKSUMS = dict(
    reversed(line.split()) for line in (ROOT / "scripts/page_library/checksums.txt").read_text().splitlines()
)


@pytest.mark.parametrize("path", CHECKSUMS)
def test_the_file_is_the_one_that_was_made(path: str) -> None:
    assert hashlib.sha256((ROOT / path).read_bytes()).hexdigest() == CHECKSUMS[path]


def test_the_charts_can_stand_in_a_script_element_and_request_nothing() -> None:
    (path,) = (path for path in CHECKSUMS if path.startswith("hf_sslgen"))
    text = (ROOT / path).read_text(encoding="utf-8")
    assert "</script" not in text.lower() and "<!--" not in text
    assert not any(word in text for word in ("fetch(", "XMLHttpRequest", "eval(", "importScripts"))
    assert "Copyright 2020-2025 Observable, Inc." in text and "Permission to use, copy, modify" in text
