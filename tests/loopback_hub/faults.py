"""Faults to inject: which requests they strike, how often, and what happens to them."""

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

Kind = Literal["status", "drop", "lose_reply", "truncate", "corrupt", "stop", "before"]
"""
- `status`: the request is answered by `status` and `headers`, and nothing else happens.
- `drop`: the connection breaks after `after` bytes of the upload or, without one, of the download (half by default).
- `lose_reply`: the request is carried out, and the connection breaks before the answer.
- `truncate`: half of the content, whose Content-Length claims that this is all.
- `corrupt`: as many bytes as it should be, the last one another.
- `stop`: the server goes down instead of answering, and stays down until started again.
- `before`: `action` is called first, then the request is served as ever.
"""


@dataclass
class Fault:
    """Strikes requests whose path (query left out) matches the regular expression `path`.

    The first `skip` of them pass unharmed, the next `times` are struck, and all later ones pass.
    """

    kind: Kind
    path: str = ""
    method: str = ""
    times: int = 1
    skip: int = 0
    status: int = 503
    headers: Mapping[str, str] = field(default_factory=dict)
    after: int | None = None
    action: Callable[[], object] | None = None

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ValueError(f"kind is {self.kind!r}; faults are {', '.join(get_args(Kind))}")
        if (self.kind == "before") != (self.action is not None):
            raise ValueError("an action goes with the kind 'before' and with no other")
        re.compile(self.path)


class Faults:
    """Those set and not yet used up."""

    def __init__(self) -> None:
        self._pending: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> None:
        with self._lock:
            self._pending.append(fault)

    def clear(self) -> None:
        with self._lock:
            self._pending.clear()

    def take(self, method: str, path: str) -> Fault | None:
        """The fault that strikes this request, counted as used once more."""
        with self._lock:
            for fault in self._pending:
                if fault.method in ("", method) and re.search(fault.path, path):
                    if fault.skip > 0:
                        fault.skip -= 1
                        continue
                    fault.times -= 1
                    if fault.times <= 0:
                        self._pending.remove(fault)
                    return fault
        return None
