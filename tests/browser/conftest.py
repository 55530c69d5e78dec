"""Reports in a real browser: Debian's chromium, without a window, driven over its own protocol.

Where there is no browser the tests are skipped, but with CI=true its absence is a failure.
"""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NoReturn

import pytest
from fake_study import build_large_study, build_study
from packed_pages import UNFOLD
from waiting import wait_for

from hf_sslgen.analysis.forward_cost_values import ForwardCost
from hf_sslgen.reporting.study_report import write_results, write_study_report
from hf_sslgen.study.backbone_costs import BackboneCost
from hf_sslgen.study.cells.cell_folder import Cell
from hf_sslgen.study.inference.study_results import StudyResults, infer

OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


READY = "return document.documentElement.dataset.ready"


def absent(what: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(f"{what} is absent, and CI must test the report in a browser")
    pytest.skip(f"{what} is absent; `make browser` installs it on Debian")


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator:
    try:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service
    except ImportError:
        absent("selenium")
    paths = [shutil.which(name) for name in ("chromium", "chromedriver")]
    if None in paths:
        absent("chromium with its chromedriver")
    options = webdriver.ChromeOptions()
    options.binary_location = paths[0]
    for option in (*OPTIONS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(option)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(paths[1]))
    yield driver
    driver.quit()


def with_costs(cells: list[Cell]) -> StudyResults:
    """Results of cells whose backbones were timed, each slower than the one before."""
    pixels = {"geometry": {"image_size": 64}}
    cells = [replace(c, identity=c.identity | {"weights": c.backbone, "preprocessing": pixels}) for c in cells]
    costs = []
    for index, name in enumerate(dict.fromkeys(cell.backbone for cell in cells), start=1):
        rate = 900.0 / index
        forward = ForwardCost(rate, 0.9 * rate, 1.1 * rate, 9, 8, 2, 2.0, 4e9, 10**8, 64, "tensors counted")
        costs.append(BackboneCost(name, 64, "cpu (x86_64)", 10**8, "2026-01-01T00:00:00Z", forward))
    return infer(cells, costs=costs)


@pytest.fixture(scope="session")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The report of one comparison with measured costs, and that of a study with several protocols, budgets, seeds and
    objectives."""
    small = build_study(tmp_path_factory.mktemp("small"))
    large = build_large_study(tmp_path_factory.mktemp("large"), domains_per_group=2)
    return {
        "comparison": write_results(with_costs(small.cells), tmp_path_factory.mktemp("comparison")),
        "study": write_study_report(
            large, tmp_path_factory.mktemp("study"), "A study", missing=["dino on eurosat: training diverged."]
        ),
    }


@pytest.fixture
def visit(browser, pages: dict[str, Path]) -> Callable:
    """Opens a page at a width and colour scheme, and returns the browser."""

    def open_page(
        page: str = "comparison", width: int = 1280, scheme: str = "light", unfolded: bool = False, fragment: str = ""
    ):
        metrics = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        features = [
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce"},
        ]
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        for log in ("browser", "performance"):
            browser.get_log(log)  # what earlier pages left
        browser.get("about:blank")
        browser.get(f"{pages[page].as_uri()}{fragment}")
        wait_for(lambda: browser.execute_script(READY), "the page's script has begun")
        if unfolded:
            browser.execute_async_script(UNFOLD)
        return browser

    return open_page
