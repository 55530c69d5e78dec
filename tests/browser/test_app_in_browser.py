"""The app as somebody uses it: images are dropped, backbones chosen, the comparison watched, and its report seen."""

import csv
import importlib.util
import io
import json
import os
import sys
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from running_page import OPENER, free_port, served, wait_for

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("gradio") is None,
    reason="gradio is absent; `make test-apps` runs these tests in an environment that has it",
)

TOKEN = "hf_" + "b" * 30
AXE = Path(__file__).parent / "vendor" / "axe.min.js"


@dataclass(frozen=True)
class RunningApp:
    """The app's address, its output folder, and the folder for its temporary files."""

    address: str
    output: Path
    temporary: Path


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    folder, port = tmp_path_factory.mktemp("app"), free_port()
    temporary = folder / "temporary"
    temporary.mkdir()
    command = [sys.executable, "-m", "hf_sslgen.cli", "app", "--port", str(port), "--output_dir", "out"]
    environment = {"TMPDIR": str(temporary), "HF_TOKEN": TOKEN, "OMP_NUM_THREADS": "1"}
    with served(command, port, folder, environment) as address:
        yield RunningApp(address, folder / "out", temporary)
    assert [path.name for path in temporary.glob(".*")] == []
    assert "Traceback" not in (folder / "log").read_text()


class Visitor:
    """The app in the browser, by what is written on it."""

    def __init__(self, browser, app: RunningApp):
        self.browser, self.app = browser, app
        for log in ("browser", "performance"):
            browser.get_log(log)  # what earlier pages left
        self.resize(1280, "light")
        browser.get(app.address)
        ready = ".drop-zone[data-ready]"
        wait_for(lambda: browser.find_elements("css selector", ready) and self.buttons("Compare"), "the page")

    def resize(self, width: int, scheme: str) -> None:
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        features = [
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def text(self) -> str:
        return self.browser.find_element("tag name", "body").text

    def wait_for_text(self, text: str) -> None:
        wait_for(lambda: text in self.text(), f"{text!r} on the page", 180)

    def buttons(self, text: str) -> list:
        return [each for each in self.browser.find_elements("tag name", "button") if each.text == text]

    def press(self, text: str) -> None:
        self.buttons(text)[0].click()

    def drop(self, *paths: Path) -> None:
        """Drop files and folders of this machine onto the page, as a hand does."""
        self.browser.execute_script("window.scrollTo(0, 0)")
        x, y = self.browser.execute_script(
            "const box = document.querySelector('.drop-zone').getBoundingClientRect();"
            "return [box.x + box.width / 2, box.y + 20]"
        )
        data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
        for kind in ("dragEnter", "dragOver", "drop"):
            event = {"type": kind, "x": x, "y": y, "data": data}
            self.browser.execute_cdp_cmd("Input.dispatchDragEvent", event)

    def untick(self, label: str) -> None:
        self.browser.find_element("xpath", f"//label[contains(., '{label}')]//input").click()

    def complaints(self) -> list[str]:
        return [entry["message"] for entry in self.browser.get_log("browser")]

    def requests_elsewhere(self) -> list[str]:
        events = [json.loads(entry["message"])["message"] for entry in self.browser.get_log("performance")]
        urls = [each["params"]["request"]["url"] for each in events if each["method"] == "Network.requestWillBeSent"]
        assert any(url.startswith(self.app.address) for url in urls)  # the log does record requests
        ours = (self.app.address, "data:", "blob:", "about:", "chrome:")  # the last: the browser's own first tab
        return [url[:80] for url in urls if not url.startswith(ours)]


@pytest.fixture
def visitor(browser, app: RunningApp) -> Visitor:
    return Visitor(browser, app)


def test_a_dropped_folder_is_compared_and_its_report_seen(visitor, image_folder: Callable[..., Path]) -> None:
    folder = image_folder({"": 8})
    classes = sorted(path.name for path in folder.iterdir())
    visitor.drop(folder)
    visitor.wait_for_text(f"{8 * len(classes)} pictures, {len(classes)} classes")
    visitor.untick("twin-resnet18-barlow-twins")
    visitor.press("Compare")
    visitor.wait_for_text("You can close this page: the comparison continues.")
    visitor.browser.refresh()
    visitor.wait_for_text("Done in ")
    frame = visitor.browser.find_element("css selector", "iframe.report")
    visitor.browser.execute_script("arguments[0].scrollIntoView()", frame)
    visitor.browser.switch_to.frame(frame)
    wait_for(lambda: folder.name in visitor.text(), "the report of these images")
    assert "twin-resnet18-simclr" in visitor.text()
    visitor.browser.switch_to.default_content()
    with OPENER.open(f"{visitor.app.address}/report/results.csv") as reply:
        fetched = reply.read().decode()
    assert fetched == (visitor.app.output / "results.csv").read_text()
    rows = [row for row in csv.DictReader(io.StringIO(fetched)) if row["kind"] == "cell"]
    controls = {row["backbone"] for row in rows if row["backbone"].startswith("untrained:")}
    assert {row["backbone"] for row in rows} - controls == {"twin-resnet18-supervised", "twin-resnet18-simclr"}
    assert len(controls) == 1 and {row["domain"] for row in rows} == {folder.name}

    cells = visitor.app.output / "cells"
    computed = {path.name: path.stat().st_mtime_ns for path in cells.iterdir()}
    visitor.drop(folder)  # the same pictures at another place are the same cells
    visitor.wait_for_text(f"{8 * len(classes)} pictures, {len(classes)} classes")
    visitor.press("Compare")
    visitor.wait_for_text("Comparing, ")
    visitor.wait_for_text("Done in ")
    computed_again = {path.name: path.stat().st_mtime_ns for path in cells.iterdir()}
    assert {name: computed_again.get(name) for name in computed} == computed
    assert TOKEN not in visitor.browser.page_source
    assert visitor.complaints() == []
    assert visitor.requests_elsewhere() == []


def test_pictures_without_labels_are_shown_side_by_side(visitor, image_folder: Callable[..., Path]) -> None:
    folder = image_folder({"": 2})
    picture = sorted(folder.rglob("*.png"))[0]
    hostile = picture.rename(picture.with_name("<img src=x onerror=alert(1)>${alert(2)}{{value}}.png"))
    visitor.drop(hostile, *sorted(picture.parent.glob("*.png"))[1:])
    visitor.wait_for_text("2 pictures without labels")
    visitor.press("Compare")
    wait_for(lambda: len(visitor.browser.find_elements("css selector", ".views figure")) == 8, "two rows of four", 180)
    assert hostile.name in visitor.text()
    assert "A backbone without a classifier names no classes." in visitor.text()
    for width, scheme in ((390, "light"), (390, "dark"), (1280, "dark"), (1280, "light")):
        visitor.resize(width, scheme)
        inner, outer = visitor.browser.execute_script(
            "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
        )
        assert inner <= outer, width
    assert visitor.complaints() == []
    assert visitor.requests_elsewhere() == []


def test_a_zip_is_unpacked_and_a_comparison_can_be_stopped(visitor, image_folder, tmp_path: Path) -> None:
    folder = image_folder({"": 12})
    archive = tmp_path / "packed.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        for path in folder.rglob("*.png"):
            opened.write(path, path.relative_to(folder))
        opened.writestr("../outside.png", "x")
    visitor.drop(archive)
    visitor.wait_for_text("'../outside.png' is not a name of a file below the dropped folder")
    with zipfile.ZipFile(archive, "w") as opened:
        for path in folder.rglob("*.png"):
            opened.write(path, path.relative_to(folder))
    visitor.drop(archive)
    visitor.wait_for_text(f"{len(list(folder.rglob('*.png')))} pictures, ")
    visitor.press("Compare")
    visitor.wait_for_text("Comparing, ")
    visitor.press("Stop")
    visitor.wait_for_text("Stopped. Finished work is kept")
    unfinished = list(visitor.app.output.rglob(".*.unfinished"))
    assert unfinished == [] and list((visitor.app.output / "claims").glob("*")) == []
    assert not visitor.buttons("Stop")[0].is_enabled()


def test_what_is_wrong_is_told(visitor) -> None:
    visitor.press("Compare")
    visitor.wait_for_text("there are no images yet")
    visitor.browser.find_element("xpath", "//label[contains(., 'Or name them')]//textarea").send_keys("no-such-data")
    visitor.press("Compare")
    alert = ".refused[role=alert]"

    def said() -> str:
        return "".join(each.text for each in visitor.browser.find_elements("css selector", alert))

    wait_for(lambda: "dataset_name 'no-such-data'" in said(), "what the command ended with", 180)
    assert "Traceback" not in visitor.text()


def test_nothing_is_taken_from_or_given_to_other_sites(app: RunningApp) -> None:
    token = "0" * 32

    def answer(path: str, method: str = "GET", **headers: str) -> int:
        request = urllib.request.Request(app.address + path, method=method, headers=headers)
        request.data = b"x" if method == "PUT" else None
        try:
            with OPENER.open(request) as reply:
                return int(reply.status)
        except urllib.error.HTTPError as error:
            return error.code

    assert answer("/") == 200
    assert answer("/", Host="rebound.example") == 400
    for origin in ("http://elsewhere.example", "null"):
        assert answer(f"/dropped/{token}?name=x.png", "PUT", Origin=origin) == 403
        assert answer("/gradio_api/queue/join", "POST", Origin=origin) == 403
    assert answer(f"/dropped/{token}?name=..%2f..%2fx.png", "PUT") == 400
    assert answer("/dropped/elsewhere?name=x.png", "PUT") == 400
    assert answer("/report/cells") == 404
    assert answer("/report/..%2f..%2flog") == 404
    with OPENER.open(app.address) as reply:
        assert "connect-src 'self'" in reply.headers["content-security-policy"]
    assert not any(path.name == "x.png" for path in app.temporary.rglob("*"))


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1280, "light")])
def test_the_page_is_accessible(visitor, width: int, scheme: str) -> None:
    visitor.resize(width, scheme)
    visitor.browser.execute_script(AXE.read_text(encoding="utf-8"))
    found = visitor.browser.execute_async_script(
        "axe.run().then(found => arguments[0](found.violations.map(each =>"
        " `${each.id}: ${each.nodes.map(node => node.target.join(' ')).join(', ')}`)))"
    )
    assert found == []


def test_another_app_on_the_same_port_is_refused(app: RunningApp, tmp_path: Path) -> None:
    import subprocess

    port = app.address.rpartition(":")[2]
    command = [sys.executable, "-m", "hf_sslgen.cli", "app", "--port", port, "--output_dir", str(tmp_path / "out")]
    ended = subprocess.run(command, capture_output=True, text=True, env=os.environ, timeout=300)
    assert ended.returncode == 2
    assert ended.stderr.splitlines()[-1].startswith(f"error: the app can't listen on 127.0.0.1:{port}")
