"""The documentation's site, built and opened from disk: no errors, no requests, nothing to scroll sideways for."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = ("index", "how-to", "gallery", "peers", "results", "reference/metrics", "reference/commands")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("sphinx", reason="sphinx, of the extra `docs`, builds the site")
    folder = tmp_path_factory.mktemp("site")
    command = [
        sys.executable,
        "-m",
        "sphinx",
        "-q",
        "-W",
        "-b",
        "html",
        "-d",
        folder / "doctrees",
        "docs",
        folder / "html",
    ]
    built = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=False)
    assert built.returncode == 0, built.stderr
    return folder / "html"


@pytest.mark.slow
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("page", PAGES)
def test_a_page_of_the_site(browser, site: Path, page: str, width: int) -> None:
    metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    for log in ("browser", "performance"):
        browser.get_log(log)  # what earlier pages left
    browser.get((site / f"{page}.html").as_uri())
    assert [entry["message"] for entry in browser.get_log("browser")] == []
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    urls = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
    assert urls and [url for url in urls if not url.startswith(("file:", "data:", "about:"))] == []
    inner, outer = browser.execute_script(
        "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    )
    assert inner <= outer
    missing = "return [...document.images].filter(image => !image.naturalWidth).map(image => image.src)"
    assert browser.execute_script(missing) == []


@pytest.mark.slow
def test_the_site_is_searched_without_a_server(browser, site: Path) -> None:
    browser.get((site / "search.html").as_uri() + "?q=expected_calibration_error")
    found = browser.execute_async_script(
        "const done = arguments[0], begun = Date.now();"
        "(function look() {"
        "  const links = [...document.querySelectorAll('#search-results li a')].map(link => link.href);"
        "  if (links.length || Date.now() - begun > 20000) done(links); else setTimeout(look, 50);"
        "})();"
    )
    assert any("reference/metrics.html" in link for link in found)
