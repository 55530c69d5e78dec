"""A small Hugging Face Hub on loopback: the real clients, unmodified, are tested against it without a network.

It keeps repositories of models, datasets and Spaces in a folder, knows three users, logs what it is asked, and breaks
on demand. `python -m tests.loopback_hub` starts it by hand, the fixtures `hub` and `hub_in_process` for a test.
"""

from tests.loopback_hub.access import ROLES, WRONG_TOKEN, Role
from tests.loopback_hub.faults import Fault
from tests.loopback_hub.loopback import HUB_PATIENCE, Hub
from tests.loopback_hub.server import Visit

__all__ = ["HUB_PATIENCE", "ROLES", "WRONG_TOKEN", "Fault", "Hub", "Role", "Visit"]
