"""Write the card of a network that was converted from a published file."""

from pathlib import Path

from hf_sslgen.zoo.conversion.convert_file import ConvertedCheckpoint


def write_conversion_card(converted: ConvertedCheckpoint, folder: Path) -> Path:
    """Write `README.md`: method, source, licence, checksum, what was dropped, and how to feed the network."""
    raise NotImplementedError
