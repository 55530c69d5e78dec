"""One policy says what is tried again, how often and after how long."""

import json
import logging
from collections.abc import Callable, Sequence

import pytest
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils import httpx

from hf_sslgen.errors import DiskFullError, InputError
from hf_sslgen.hub_access import retries
from hf_sslgen.hub_access.faults import DamagedFileError
from hf_sslgen.hub_access.retries import RetryPolicy, patiently, with_retries


def answer(status: int, retry_after: str = "") -> HfHubHTTPError:
    request = httpx.Request("GET", "http://hub/api/models/o/n")
    return HfHubHTTPError("no", response=httpx.Response(status, request=request, headers={"Retry-After": retry_after}))


def failing(errors: Sequence[BaseException]) -> Callable[[], str]:
    """An action that meets these errors first."""
    left = list(errors)

    def act() -> str:
        if left:
            raise left.pop(0)
        return "done"

    return act


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that are made, without making them."""
    made: list[float] = []
    monkeypatch.setattr("hf_sslgen.hub_access.retries.time.sleep", made.append)
    return made


@pytest.mark.parametrize(
    "error",
    [
        *map(answer, (408, 429, 500, 502, 503, 504)),
        httpx.ConnectError("refused"),
        DamagedFileError("a file arrived damaged"),
        json.JSONDecodeError("no JSON", "<html>", 0),
    ],
)
def test_what_may_pass_is_tried_four_times(
    error: Exception, pauses: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert with_retries(failing([error] * 3), "o/n") == "done"
    assert pauses == [1.0, 2.0, 4.0]
    assert [record.message.partition("; ")[2] for record in caplog.records] == [
        f"attempt {attempt} of 4 follows in {wait} s" for attempt, wait in ((2, 1), (3, 2), (4, 4))
    ]
    with pytest.raises(Exception) as raised:
        with_retries(failing([error] * 4), "o/n")
    assert raised.value is error or raised.value.__cause__ is error


def test_the_hub_says_how_long_within_bounds(pauses: list[float]) -> None:
    with_retries(failing([answer(503, "7"), answer(503, "600"), answer(503, "soon")]), "o/n")
    assert pauses == [7.0, 30.0, 4.0]


@pytest.mark.parametrize(
    "error",
    [*map(answer, (400, 401, 403, 404, 409, 412)), httpx.ProxyError("none"), InputError("bad"), DiskFullError("full")],
)
def test_what_would_be_the_same_is_not_tried_again(error: Exception, pauses: list[float]) -> None:
    with pytest.raises(type(error)):
        with_retries(failing([error]), "o/n")
    assert pauses == []


def test_who_is_overtaken_looks_again(monkeypatch: pytest.MonkeyPatch, pauses: list[float]) -> None:
    monkeypatch.setattr(retries, "POLICY", RetryPolicy(overtaken_tries=3, overtaken_wait=0.25))
    assert patiently(failing([answer(412), answer(412), answer(503), answer(412)]), "datasets/o/n") == "done"
    assert len(pauses) == 4
    assert sum(pause <= 0.25 for pause in pauses) == 3
    with pytest.raises(HfHubHTTPError):
        patiently(failing([answer(412)] * 4), "datasets/o/n")
