"""One table says what a person reads of the Hub: every fault is recognised, and no sentence stands elsewhere."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from huggingface_hub import constants
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled
from huggingface_hub.utils import hf_raise_for_status, httpx

from hf_sslgen.hub_access.faults import DamagedFileError, Fault, fault_of
from hf_sslgen.hub_access.refusals import SENTENCES, Situation, hub_sentence, refusal

ROOT = Path(__file__).parents[2]
CODE = ("hf_sslgen", "scripts", "recipes")

OF_A_REFUSAL = re.compile(
    r"\b(40[0139]|412|413|429|50[0234])\b|HF_HUB_OFFLINE is set|\bis gated\b|too many requests|no token to push"
    r"|no token found|rejects the token|no write access|lacks permission|the Hub[^.;]* can't be reached"
    r"|missing from the cache|in the cache; load"
)
"""What only the table's sentences say."""

MAY_SPEAK = re.compile(r"hub|token|gated|cache|\b[45]\d\d\b", re.IGNORECASE)
"""What stands in every module that has such a sentence: reading only those saves time."""

TOKEN = "hf_abcdefghijklmnopqrstuvwxyz"


def answered(status: int, code: str = "", message: str = "", path: str = "api/models/o/n") -> HfHubHTTPError:
    """The client's own error for an answer of the Hub."""
    request = httpx.Request("GET", f"{constants.ENDPOINT}/{path}")
    headers = {"X-Error-Code": code, "X-Error-Message": message}
    try:
        hf_raise_for_status(httpx.Response(status, request=request, headers=headers))
    except HfHubHTTPError as error:
        return error
    raise AssertionError(status)


def caused_by(error: BaseException) -> OSError:
    """As the clients wrap it."""
    wrapped = OSError("could not be loaded")
    wrapped.__cause__ = error
    return wrapped


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        (answered(401, path="api/whoami-v2"), Fault.UNKNOWN_TOKEN),
        (answered(401, "RepoNotFound"), Fault.HIDDEN),
        (answered(403), Fault.NO_RIGHT),
        (answered(403, "GatedRepo"), Fault.GATED),
        (answered(404, "RepoNotFound"), Fault.NOT_FOUND),
        (answered(404, "RevisionNotFound"), Fault.NO_REVISION),
        (answered(404, "EntryNotFound"), Fault.MISSING),
        (answered(400, message="a card without a licence"), Fault.BAD_REQUEST),
        (answered(409), Fault.OVERTAKEN),
        (answered(412), Fault.OVERTAKEN),
        (answered(413), Fault.OTHER_STATUS),
        (answered(429), Fault.TOO_MANY_REQUESTS),
        *((answered(status), Fault.TROUBLE) for status in (500, 502, 503, 504)),
        (caused_by(answered(503)), Fault.TROUBLE),
        (httpx.ConnectError("refused"), Fault.BROKEN_CONNECTION),
        (httpx.ReadTimeout("slow"), Fault.BROKEN_CONNECTION),
        (caused_by(httpx.RemoteProtocolError("cut off")), Fault.BROKEN_CONNECTION),
        (httpx.ProxyError("none"), Fault.NO_CONNECTION),
        (httpx.LocalProtocolError(f"Illegal header value b'Bearer {TOKEN}'"), Fault.UNSENDABLE),
        ("hf_ä".encode, Fault.UNUSABLE_TOKEN),
        (OfflineModeIsEnabled("no"), Fault.OFFLINE),
        (caused_by(LocalEntryNotFoundError("no")), Fault.NOT_CACHED),
        (DamagedFileError("a.safetensors arrived damaged"), Fault.DAMAGED),
        (OSError("Consistency check failed: file should be of size 3"), Fault.INCOMPLETE),
        (RuntimeError("anything else"), Fault.OTHER),
    ],
)
def test_each_error_of_the_clients_is_one_fault(error, fault: Fault) -> None:
    if callable(error):
        with pytest.raises(UnicodeError) as raised:
            error("ascii")
        error = raised.value
    assert fault_of(error) is fault
    for situation in Situation:
        sentence = hub_sentence(error, "datasets/owner/name", "v9", situation)
        assert "{" not in sentence
        assert "None" not in sentence
        assert TOKEN not in sentence


def test_the_table_knows_every_fault() -> None:
    assert set(SENTENCES) == set(Fault)
    for fault, sentences in SENTENCES.items():
        assert Situation.LOADING in sentences or fault is Fault.NO_TOKEN  # which nothing but a push needs


def test_a_sentence_for_each_situation() -> None:
    name = "datasets/owner/name"
    assert refusal(Fault.OFFLINE, name, "v9").startswith(
        f"{name} at 'v9' is missing from the cache or incomplete, and "
    )
    assert refusal(Fault.OFFLINE, name, None, Situation.PULLING).startswith("HF_HUB_OFFLINE is set, so nothing can be")
    assert "drop --streaming" in refusal(Fault.OFFLINE, name, None, Situation.STREAMING)
    assert "give another --hub_model_id" in refusal(Fault.NO_RIGHT, name, None, Situation.PUSHING_MODEL)
    assert "give another repository" in refusal(Fault.NO_RIGHT, name, None, Situation.PUSHING)
    refused = answered(400, message="a card\nwithout a licence")
    assert hub_sentence(refused, name, situation=Situation.PUSHING_MODEL).endswith("a card without a licence")


def strings_outside_the_layer() -> Iterator[tuple[str, str]]:
    """Every string of the code but for docstrings, with where it stands."""
    for path in sorted(path for folder in CODE for path in (ROOT / folder).rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        if path.parent.name == "hub_access" or not MAY_SPEAK.search(text):
            continue
        tree = ast.parse(text)
        statements = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            is_text = isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in statements
            if is_text:
                yield node.value, f"{path.relative_to(ROOT)}:{node.lineno}"


def test_no_sentence_of_the_hub_stands_outside_the_layer() -> None:
    found = [where for text, where in strings_outside_the_layer() if OF_A_REFUSAL.search(text)]
    assert found == []


def test_the_guard_knows_the_sentences_of_the_table() -> None:
    """So that one that is copied out of the layer is found."""
    for fault in (Fault.UNKNOWN_TOKEN, Fault.NO_RIGHT, Fault.TOO_MANY_REQUESTS, Fault.OFFLINE, Fault.NO_TOKEN):
        assert all(OF_A_REFUSAL.search(sentence) for sentence in SENTENCES[fault].values()), fault
