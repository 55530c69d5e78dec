"""Read the scalars in the event files of TensorBoard: records of a length, checksums and a message."""

import struct
from pathlib import Path

from tensorboardX.proto.event_pb2 import Event


def scalars_below(folder: Path) -> dict[str, dict[int, float]]:
    """Values by name and step, from all event files below a folder."""
    found: dict[str, dict[int, float]] = {}
    for path in sorted(folder.rglob("events.out.tfevents.*")):
        content, start = path.read_bytes(), 0
        while start < len(content):
            (length,) = struct.unpack_from("<Q", content, start)
            event = Event.FromString(content[start + 12 : start + 12 + length])
            start += 16 + length
            for value in event.summary.value:
                if value.HasField("simple_value"):
                    found.setdefault(value.tag, {})[event.step] = value.simple_value
    return found
