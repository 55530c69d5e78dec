"""The layouts of published checkpoints; where two make the same network of a file, the first one names its layout."""

from collections.abc import Mapping
from typing import Final

from hf_sslgen.zoo.conversion.library_layouts import LIBRARY_ROWS, PLAIN_ROWS
from hf_sslgen.zoo.conversion.method_layouts import METHOD_ROWS

ROWS: Final = (*PLAIN_ROWS, *METHOD_ROWS, *LIBRARY_ROWS)

LAYOUTS: Final[Mapping[str, str]] = {row.name: row.description for row in ROWS}
"""Description of each layout by name."""
