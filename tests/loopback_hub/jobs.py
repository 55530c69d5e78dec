"""Jobs: their specifications are kept, and nothing runs. Answers never hold a secret's value, as on the Hub."""

import json
import secrets

from tests.loopback_hub.replies import HubError, Reply, as_json
from tests.loopback_hub.routing import Request, Route
from tests.loopback_hub.store import now, write_whole

FLAVORS = ("cpu-basic", "cpu-upgrade", "t4-small", "a10g-small", "a10g-large", "a100-large", "h200")


def start(request: Request, namespace: str) -> Reply:
    role = request.require_writer(namespace)
    wanted = request.body.json()
    if wanted["flavor"] not in FLAVORS:
        raise HubError(400, f"Unknown flavor: {wanted['flavor']}")
    if not wanted.get("dockerImage") and not wanted.get("spaceId"):
        raise HubError(400, "A job needs an image")
    job = secrets.token_hex(12)
    write_whole(request.site.store.root / "jobs" / f"{job}.json", json.dumps(wanted).encode())
    shown = {key: value for key, value in wanted.items() if key != "secrets"}
    return as_json(
        {
            **shown,
            "id": job,
            "createdAt": now(),
            "secrets": dict.fromkeys(wanted.get("secrets", {}), ""),
            "status": {"stage": "SCHEDULING", "message": None},
            "owner": {"id": namespace, "name": namespace, "type": "user"},
            "initiator": {"id": role.name, "name": role.name, "type": "user"},
        }
    )


ROUTES = (Route("POST", r"/api/jobs/(?P<namespace>[^/]+)", start),)
