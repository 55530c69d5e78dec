"""Make the pictures of README and docs/gallery.md: run the commands and photograph their pages in chromium.

    pip install '.[test]' && make browser
    python scripts/make_gallery.py

Everything comes from the shipped twins and the embedded pictures, so nothing is downloaded. Finished cells in `--runs`
are used again; remove that folder if cells hold something new. The pictures go to docs/images as WebP files, and
docs/gallery.md gets the part between its markers.
"""

import argparse
import base64
import io
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

ROOT = Path(__file__).parents[1]
IMAGES = ROOT / "docs" / "images"
PAGE = ROOT / "docs" / "gallery.md"
BEGIN, END = "<!-- pictures: begin -->", "<!-- pictures: end -->"
NOT_RUN = "<!-- not run: scripts/make_gallery.py runs it -->"
PIXEL_RATIO = 1.5
LARGEST = 300_000
"""Bytes that a picture may have."""

DRAWN = "const done = arguments[0]; requestAnimationFrame(() => setTimeout(done, 600))"
"""A script that waits until charts are drawn."""

TALLEST = 1600
"""Pixels of a page that a picture of an element shows at most."""


@dataclass(frozen=True)
class Run:
    """A command of `hf-sslgen` whose page is photographed; its output folder is `runs/NAME`."""

    name: str
    title: str
    words: str
    prints: bool = False
    """Whether the gallery shows what the command prints."""

    @property
    def command(self) -> str:
        return f"hf-sslgen {self.words} --output_dir runs/{self.name}"


@dataclass(frozen=True)
class Shot:
    """A picture of a run's page: its first screen, or the element that a CSS selector finds, maybe after a click."""

    name: str
    run: str
    caption: str
    width: int = 1280
    height: int = 900
    dark: bool = False
    click: str | None = None
    selector: str | None = None


TWINS = "--twin_set resnet18-tiny-imagenet-100"
RUNS = (
    Run(
        "digits",
        "One domain",
        f"compare --dataset_name digits {TWINS} --samples_per_class 20",
        prints=True,
    ),
    Run(
        "domains",
        "Several domains",
        f"compare --dataset_name photo-patches specimen-patches digits {TWINS} --samples_per_class 8",
    ),
    Run("study", "A study", "study recipes/configs/study/twins_embedded.yaml"),
)
SHOTS = (
    Shot(
        "first_screen_light",
        "digits",
        "The first screen: the verdict, and a scorecard of four measurements.",
        height=660,
    ),
    Shot("first_screen_dark", "digits", "The same on a dark screen.", height=660, dark=True),
    Shot("first_screen_phone", "digits", "The same on a phone.", width=390, height=844),
    Shot("confidence", "digits", "Each measurement has a section of its own.", selector="#confidence"),
    Shot(
        "cell",
        "digits",
        "A click on a number opens its details.",
        click="#scorecard button.open",
        selector="#cell",
    ),
    Shot("domains_first_screen", "domains", "A scorecard for each domain, and what differs between them."),
    Shot("pictures", "domains", "Where the backbones look, and where they err.", selector="#pictures"),
    Shot("study_first_screen", "study", "The first screen of a study of two groups of domains."),
    Shot("invariance", "study", "Invariance by transform.", selector="#invariance"),
)


@contextmanager
def browser() -> Iterator[Any]:
    """Chromium without a window.

    Raises:
        SystemExit: there is no chromium, or no selenium to drive it.
    """
    try:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service
    except ImportError:
        sys.exit("selenium is missing: pip install '.[test]'")
    chromium, driver = (shutil.which(name) for name in ("chromium", "chromedriver"))
    if chromium is None or driver is None:
        sys.exit("chromium and its chromedriver are missing: make browser")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    with tempfile.TemporaryDirectory() as profile:
        for option in ("headless", "no-sandbox", "disable-gpu", "hide-scrollbars", f"user-data-dir={profile}"):
            options.add_argument(f"--{option}")
        started = webdriver.Chrome(options=options, service=Service(driver))
        try:
            yield started
        finally:
            started.quit()


def finish(run: Run, runs: Path) -> str:
    """Run the command, which computes what is missing and writes the page anew; return what it prints."""
    words = [str(Path(sys.executable).with_name("hf-sslgen")), *shlex.split(run.words)]
    output = ["--output_dir", str(runs / run.name)]
    finished = subprocess.run([*words, *output], cwd=ROOT, text=True, stdout=subprocess.PIPE, check=True)
    return finished.stdout.replace(str(runs), "runs")


def _clip(driver: Any, shot: Shot) -> dict[str, float]:
    if shot.selector is None:
        return {"x": 0, "y": 0, "width": shot.width, "height": shot.height}
    found = driver.execute_script(
        "const box = document.querySelector(arguments[0])?.getBoundingClientRect();"
        "return box && [box.left + scrollX, box.top + scrollY, box.width, box.height]",
        shot.selector,
    )
    if not found or not found[2] or not found[3]:
        sys.exit(f"{shot.name}: the page shows nothing for {shot.selector!r}")
    x, y, width, height = found
    return {"x": x, "y": y, "width": width, "height": min(height, TALLEST)}


def photograph(driver: Any, shot: Shot, page: Path) -> Image.Image:
    """Open the page at the shot's width and colour scheme, and return its picture."""
    metrics = {
        "width": shot.width,
        "height": shot.height,
        "deviceScaleFactor": PIXEL_RATIO,
        "mobile": shot.width < 600,
    }
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
    scheme = {"name": "prefers-color-scheme", "value": "dark" if shot.dark else "light"}
    motion = {"name": "prefers-reduced-motion", "value": "reduce"}
    driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme, motion]})
    driver.get("about:blank")
    driver.get(page.resolve().as_uri())
    driver.execute_async_script(DRAWN)
    if shot.click is not None:
        driver.execute_script("document.querySelector(arguments[0]).click()", shot.click)
        driver.execute_async_script(DRAWN)
    if shot.selector is not None:
        driver.execute_script("document.querySelector(arguments[0])?.scrollIntoView()", shot.selector)
        driver.execute_async_script(DRAWN)
    taken = driver.execute_cdp_cmd(
        "Page.captureScreenshot",
        {"format": "png", "captureBeyondViewport": True, "clip": {**_clip(driver, shot), "scale": 1}},
    )
    return Image.open(io.BytesIO(base64.b64decode(taken["data"]))).convert("RGB")


def save(picture: Image.Image, path: Path) -> int:
    """Write a picture as WebP, in a quality at which it is small enough; return its size in bytes."""
    for quality in (85, 75, 60, 45):
        encoded = io.BytesIO()
        picture.save(encoded, "WEBP", quality=quality, method=6)
        if encoded.tell() <= LARGEST:
            break
    path.write_bytes(encoded.getvalue())
    return encoded.tell()


def gallery(printed: dict[str, str]) -> str:
    """Return the part of docs/gallery.md between the markers: each run's command, output and pictures."""
    parts = []
    for run in RUNS:
        parts += [f"## {run.title}", f"{NOT_RUN}\n```console\n$ {run.command}\n```"]
        if run.prints:
            parts.append(f"It ends with\n\n```text\n{printed[run.name].rstrip()}\n```")
        for shot in (each for each in SHOTS if each.run == run.name):
            parts += [shot.caption, f"![{shot.caption}](images/{shot.name}.webp)"]
    return "\n\n".join(parts)


def main(command_line: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="Make the pictures of the documentation.")
    parser.add_argument("--runs", type=Path, default=ROOT / "runs" / "gallery", help="where the runs are kept")
    parser.add_argument("--only", metavar="SHOT", nargs="+", choices=[shot.name for shot in SHOTS])
    options = parser.parse_args(command_line)
    runs = options.runs.resolve()
    runs.mkdir(parents=True, exist_ok=True)
    IMAGES.mkdir(exist_ok=True)
    printed = {run.name: finish(run, runs) for run in RUNS}
    with browser() as driver:
        for shot in SHOTS:
            if options.only is None or shot.name in options.only:
                picture = photograph(driver, shot, runs / shot.run / "report" / "index.html")
                size = save(picture, IMAGES / f"{shot.name}.webp")
                print(f"{shot.name}.webp: {picture.width} x {picture.height}, {size / 1000:.0f} kB")
    text = PAGE.read_text(encoding="utf-8")
    before, after = text.split(BEGIN)[0], text.split(END)[1]
    PAGE.write_text(f"{before}{BEGIN}\n\n{gallery(printed)}\n\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
