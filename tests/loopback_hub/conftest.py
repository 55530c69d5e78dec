"""What holds for every test of the Hub."""

from collections.abc import Iterator

import pytest

from tests.loopback_hub import Hub


@pytest.fixture(autouse=True)
def no_failure_of_the_hub(hub: Hub) -> Iterator[None]:
    """501 is how this Hub says that it is the one at fault, or that it doesn't know an address."""
    yield
    assert [str(visit) for visit in hub.visits if visit.status == 501] == []
