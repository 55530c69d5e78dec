"""A small Hugging Face Hub on loopback: the real clients, unmodified, are tested against it without a network.

It keeps repositories of models, datasets and Spaces in a folder, knows three users, logs what it is asked, and breaks
on demand. `python -m tests.hub` starts it by hand; the fixtures `hub` and `hub_in_process` start it for a test.
"""

from tests.hub.access import ROLES, WRONG_TOKEN, Role
from tests.hub.faults import Fault
from tests.hub.loopback import Hub
from tests.hub.server import Visit

__all__ = ["ROLES", "WRONG_TOKEN", "Fault", "Hub", "Role", "Visit"]
