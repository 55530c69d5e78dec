"""A metric's Space as its visitors see it: its app, started as the Hub starts it, in a real browser."""

import importlib.util
import sys
from collections.abc import Iterator

import pytest
from running_page import free_port, served, wait_for

from hf_sslgen.reporting.metric_spaces import space_files

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("gradio") is None,
    reason="gradio is absent; `make test-apps` runs these tests in an environment that has it",
)


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Address of the running app of the calibration error."""
    folder = tmp_path_factory.mktemp("space")
    for file, text in space_files("expected_calibration_error", "org/expected_calibration_error").items():
        (folder / file).write_text(text, encoding="utf-8")
    port = free_port()
    environment = {
        "GRADIO_SERVER_PORT": str(port),
        "GRADIO_SERVER_NAME": "127.0.0.1",
        "GRADIO_ANALYTICS_ENABLED": "False",
    }
    with served([sys.executable, "app.py"], port, folder, environment) as address:
        yield address


class Page:
    """The app in the browser, by what is written on it."""

    def __init__(self, browser, address: str):
        self.browser = browser
        browser.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": 1280, "height": 1200, "deviceScaleFactor": 1, "mobile": False},
        )
        browser.get(address)
        self.wait_for_text("Expected calibration error")
        wait_for(lambda: self.buttons("Compute"), "a button to compute")

    def buttons(self, text: str) -> list:
        return [button for button in self.browser.find_elements("tag name", "button") if text in button.text]

    def text(self) -> str:
        return self.browser.find_element("tag name", "body").text

    def wait_for_text(self, text: str) -> None:
        wait_for(lambda: text in self.text(), f"{text!r} on the page")

    def field(self, label: str):
        return self.browser.find_element("xpath", f"//label[contains(., '{label}')]//textarea")

    def fill(self, label: str, text: str) -> None:
        field = self.field(label)
        field.clear()
        field.send_keys(text)

    def compute(self) -> None:
        self.buttons("Compute")[0].click()

    def values(self) -> dict[str, str]:
        """The table of results, read in one go, since it may change meanwhile."""
        cells = self.browser.execute_script(
            "return [...document.querySelectorAll('[role=gridcell]')].map(cell => cell.innerText.trim())"
        )
        return dict(zip(cells[::2], cells[1::2], strict=False))


@pytest.fixture
def page(browser, app: str) -> Page:
    return Page(browser, app)


def test_pasted_rows_give_the_numbers(page):
    page.fill("Inputs", "predictions,references,confidences\n1,1,0.75\n1,0,0.75\n0,0,0.5\n1,1,0.5")
    page.compute()
    wait_for(lambda: page.values().get("expected_calibration_error") == "0.375", "the error of these rows")
    assert page.values()["n"] == "4"
    page.fill("Options", '{"num_bins": 1}')
    page.compute()
    wait_for(lambda: page.values().get("num_bins") == "1", "another number of bins")
    assert page.values()["expected_calibration_error"] == "0.125"


def test_an_uploaded_file_gives_the_numbers(page, tmp_path):
    path = tmp_path / "rows.json"
    path.write_text('{"probabilities": [[0.25, 0.75], [0.5, 0.5]], "references": [1, 0], "num_bins": 1}')
    page.browser.find_element("css selector", "input[type=file]").send_keys(str(path))
    wait_for(lambda: page.browser.find_elements("css selector", "a[href*='rows.json']"), "the file has arrived")
    page.compute()
    wait_for(lambda: page.values().get("expected_calibration_error") == "0.375", "the error of the file's table")


def test_bad_input_is_told_and_the_app_goes_on(page):
    page.fill("Inputs", "predictions,references,confidences\n1,1,1.9")
    page.compute()
    page.wait_for_text("confidences must be probabilities in [0, 1], but confidences[0] is 1.9")
    page.fill("Inputs", "predictions,references,confidences\n1,1,0.9")
    page.compute()
    wait_for(lambda: page.values().get("expected_calibration_error") == "0.1", "the error of one row")


def test_examples_fill_the_inputs(page):
    wait_for(lambda: page.buttons('{"predictions"'), "an example")
    page.buttons('{"predictions"')[0].click()
    wait_for(lambda: "references" in page.field("Inputs").get_attribute("value"), "the example's text")
    page.compute()
    wait_for(lambda: page.values().get("expected_calibration_error") == "0.35", "the example's error")
