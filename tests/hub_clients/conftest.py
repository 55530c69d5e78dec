"""What tests of whole exchanges with a Hub share."""

from collections.abc import Iterator

import pytest
from huggingface_hub import HfApi

from tests.hub import Hub


@pytest.fixture
def api(hub_in_process: Hub) -> Iterator[HfApi]:
    """The owner's client; in the end the Hub must not have been asked for what it does not know."""
    yield hub_in_process.api("owner")
    assert [str(visit) for visit in hub_in_process.visits if visit.status == 501] == []
