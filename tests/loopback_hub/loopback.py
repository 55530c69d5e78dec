"""The Hub as tests use it: start, stop, point clients at it, break it, read its log."""

import os
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi

from tests.loopback_hub.access import ROLES
from tests.loopback_hub.faults import Fault, Faults, Kind
from tests.loopback_hub.routing import Site
from tests.loopback_hub.server import HubServer, Visit

ORGANIZATIONS = ("org",)

HUB_PATIENCE = 600
"""Seconds for which clients wait for an answer; with their own 10, a busy machine is one that answers late."""


class Hub:
    """A Hub on 127.0.0.1 whose repositories live in the folder `root`; a context manager that starts and stops it.

    `owner` and `reader` are members of the `organizations`. Stopped and started again it has the same port, the same
    repositories and the same log.
    """

    def __init__(self, root: Path, port: int = 0, organizations: tuple[str, ...] = ORGANIZATIONS) -> None:
        self.root = root
        self.site = Site.at(root / "repositories", organizations)
        self.visits: list[Visit] = []
        self._faults = Faults()
        self._port = port
        self._server: HubServer | None = None

    @property
    def endpoint(self) -> str:
        """What HF_ENDPOINT should be."""
        return self.site.endpoint

    @property
    def running(self) -> bool:
        return self._server is not None

    def start(self) -> None:
        self._server = HubServer(self._port, self.site, self._faults, self.record, self.stop)
        self._port = self._server.server_address[1]
        self.site.endpoint = f"http://127.0.0.1:{self._port}"
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def stop(self) -> None:
        """Goes down: open connections break, new ones are refused."""
        server, self._server = self._server, None
        if server is not None:
            server.shutdown()
            server.server_close()
            server.cut_connections()

    def __enter__(self) -> "Hub":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def record(self, visit: Visit) -> None:
        self.visits.append(visit)

    def visited(self, path: str = "", method: str = "") -> list[Visit]:
        """Visits of addresses that contain `path`, in order."""
        return [visit for visit in self.visits if path in visit.path and method in ("", visit.method)]

    def uploaded_bytes(self) -> int:
        """Bytes of large files that arrived so far, those of broken uploads included."""
        return sum(visit.received for visit in self.visited("/_large/", "PUT"))

    def fail(self, kind: Kind, path: str = "", method: str = "", **fields: Any) -> None:
        """Sets a fault: see `Fault` for the fields and `Kind` for the kinds."""
        self._faults.add(Fault(kind, path, method, **fields))

    def heal(self) -> None:
        """Takes back all faults, and starts again if one of them was to stop."""
        self._faults.clear()
        if not self.running:
            self.start()

    def variables(self, role: str | None, home: Path) -> dict[str, str]:
        """The environment variables that point the clients here, with their caches in `home`."""
        token = {} if role is None else {"HF_TOKEN": ROLES[role].token}
        return token | {
            "HF_ENDPOINT": self.endpoint,
            "HF_HOME": str(home),
            "HF_HUB_DISABLE_XET": "1",  # with it, large files would go to another server that we don't have
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_ETAG_TIMEOUT": str(HUB_PATIENCE),
            "HF_HUB_DOWNLOAD_TIMEOUT": str(HUB_PATIENCE),
            "HF_UPDATE_DOWNLOAD_COUNTS": "0",
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
        }

    def environment(self, role: str | None = "owner", home: Path | None = None) -> dict[str, str]:
        """All variables for a subprocess as `role` (None is anonymous), with caches in `home` or in a fresh folder."""
        if home is None:
            (self.root / "homes").mkdir(parents=True, exist_ok=True)
            home = Path(tempfile.mkdtemp(dir=self.root / "homes"))
        return without_hub_settings(os.environ) | {"HF_HUB_DISABLE_PROGRESS_BARS": "1"} | self.variables(role, home)

    def api(self, role: str | None = "owner") -> HfApi:
        """A client in this process. Its library must not be offline: see the fixture `hub_in_process`."""
        return HfApi(endpoint=self.endpoint, token=False if role is None else ROLES[role].token)


def without_hub_settings(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables, less what would point the clients elsewhere, switch them off or log them in."""
    prefixes = ("HF_", "HUGGINGFACE_", "HUGGING_FACE_", "TRANSFORMERS_")
    return {name: value for name, value in environment.items() if not name.startswith(prefixes)}
