"""Names of glossary entries within a page, to which numbers refer."""

import re

from hf_sslgen.metrics.catalogue.rows import find_metric


def term_identifier(title: str) -> str:
    """Return the HTML id of the glossary entry with this title."""
    return "term-" + re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def term_of(metric: str) -> str:
    """Return the HTML id of the entry that explains a number; empty for a number without a row in the catalogue."""
    found = find_metric(metric)
    return "" if found is None else term_identifier(found.explanation.title)
