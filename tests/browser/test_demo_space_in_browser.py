"""The demo of a pushed model as its visitors see it: a picture in, its classes and what they rest on out."""

import importlib.util
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from running_page import free_port, served, wait_for

from hf_sslgen.hub.demo_space import SETTINGS_FILE, demo_files

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("gradio") is None,
    reason="gradio is absent; `make test-apps` runs these tests in an environment that has it",
)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory, small_backbones: dict[str, str]) -> Iterator[str]:
    """Address of the running demo of a small classifier, which lies in a folder instead of on the Hub."""
    folder, port = tmp_path_factory.mktemp("demo"), free_port()
    for name, content in demo_files("org/model", None, {"license": "mit"}, private=False).items():
        (folder / name).write_bytes(content.read_bytes() if isinstance(content, Path) else content)
    settings = json.loads((folder / SETTINGS_FILE).read_text()) | {"model": small_backbones["transformers_resnet"]}
    (folder / SETTINGS_FILE).write_text(json.dumps(settings))
    environment = {"GRADIO_SERVER_PORT": str(port), "GRADIO_SERVER_NAME": "127.0.0.1", "OMP_NUM_THREADS": "1"}
    with served([sys.executable, "app.py"], port, folder, environment) as address:
        yield address


def test_a_picture_gets_classes_and_a_map_and_nothing_is_asked_elsewhere(
    browser, demo: str, image_folder: Callable[..., Path]
) -> None:
    picture = next(image_folder({"": 1}).rglob("*.png"))
    for log in ("browser", "performance"):
        browser.get_log(log)  # what earlier pages left
    browser.get(demo)
    wait_for(lambda: browser.find_elements("css selector", "input[type=file]"), "a place for the picture")
    browser.find_element("css selector", "input[type=file]").send_keys(str(picture))
    wait_for(lambda: browser.find_elements("css selector", "[data-testid=image] img, .image-frame img"), "the picture")
    next(each for each in browser.find_elements("tag name", "button") if each.text == "Submit").click()
    wait_for(lambda: "LABEL_" in browser.find_element("tag name", "body").text, "its classes")
    wait_for(lambda: len(browser.find_elements("css selector", "img[src*='/file=']")) > 0, "its map")
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    urls = [each["params"]["request"]["url"] for each in events if each["method"] == "Network.requestWillBeSent"]
    ours = (demo, "data:", "blob:", "about:", "chrome:")
    assert [url[:80] for url in urls if not url.startswith(ours)] == []
