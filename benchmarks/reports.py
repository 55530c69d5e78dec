"""Time, memory and size of a study's report, first and after one more cell.

    python benchmarks/reports.py --json runs/reports.json

Studies of 100, 300 and 1,000 cells are drawn at random (`measured/report_study.py`): nine pretrained backbones and an
untrained one on 1, 3 and 10 domains of 2,000 test images, with linear probes of all and of a tenth of the labels and
fine-tuning, three seeds each, invariance to eight transforms and attribution maps of 1,000 images. `hf-sslgen report`
runs in a process of its own, once for all cells but the last and once more with it. Memory is the peak of the resident
memory of that process and those that it starts; pages that they share count several times. A page is loaded in
Debian's chromium, if there is one, without a window, from the request to the end of its `load` event, three times; the
median counts.

`--source FOLDER` measures another checkout of the package on the same cells as well. `--check` exits with 1 if a limit
is missed; `--quick` reports on few cells of few images, which disables limits.
"""

import argparse
import json
import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from measured.bars import Bar
from measured.report_study import planned_cells, write_cells

ROOT = Path(__file__).parents[1]
MEGABYTE = 1e6
SECONDS, MEMORY, PAGE, LOADING = Bar(60), Bar(2000), Bar(5), Bar(2)
"""Limits for 1,000 cells of 2,000 images: seconds, MB of memory, MB of the page, seconds until it is loaded."""

COMMAND = "import sys; from hf_sslgen.cli import main; sys.argv = ['hf-sslgen', 'report', sys.argv[1]]; main()"
POLL_SECONDS = 0.1
LOADS = 3


@dataclass(frozen=True)
class Report:
    """What a report took.

    Attributes:
        code: the checkout that made it.
        seconds, cpu_seconds: wall time, and time of all its processes on processors.
        memory: peak of its processes, MB.
        page: size, MB.
        loading: seconds until the page is loaded; None without a browser.
    """

    code: str
    cells: int
    is_first: bool
    seconds: float
    cpu_seconds: float
    memory: float
    page: float
    loading: float | None = None


def measured(study: Path, source: Path, cells: int, is_first: bool) -> Report:
    """Report on a study with the package in `source`."""
    before, start, peak = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter(), 0.0
    environment = {**os.environ, "PYTHONPATH": str(source)}
    with subprocess.Popen(
        [sys.executable, "-c", COMMAND, str(study)], cwd=source, env=environment, stdout=subprocess.DEVNULL
    ) as process:
        while process.poll() is None:
            peak = max(peak, _resident(process.pid))
            time.sleep(POLL_SECONDS)
    seconds = time.perf_counter() - start
    if process.returncode:
        raise RuntimeError(f"the report of {study} by {source} ended with exit code {process.returncode}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    page = study / "report" / "index.html"
    size = page.stat().st_size / MEGABYTE
    return Report(source.name, cells, is_first, seconds, cpu, peak / MEGABYTE, size, loading_seconds(page))


def _resident(number: int) -> float:
    """Return the resident memory, in bytes, of a process and those that it started."""
    try:
        pages = int(Path(f"/proc/{number}/statm").read_text().split()[1])
        children = Path(f"/proc/{number}/task/{number}/children").read_text().split()
    except (OSError, IndexError):  # it has just ended
        return 0.0
    return pages * resource.getpagesize() + sum(_resident(int(child)) for child in children)


def loading_seconds(page: Path) -> float | None:
    """Return the median time that chromium takes to load a page; None without selenium, chromium and chromedriver."""
    paths = [shutil.which(name) for name in ("chromium", "chromedriver")]
    try:
        from selenium import webdriver
        from selenium.webdriver.chrome.service import Service
    except ImportError:
        return None
    if None in paths:
        return None
    options = webdriver.ChromeOptions()
    options.binary_location = str(paths[0])
    for option in ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"):
        options.add_argument(option)
    driver = webdriver.Chrome(options=options, service=Service(str(paths[1])))
    try:
        found = []
        for _ in range(LOADS):
            driver.get("about:blank")
            driver.get(page.resolve().as_uri())
            found.append(driver.execute_script("return performance.getEntriesByType('navigation')[0].loadEventEnd"))
    finally:
        driver.quit()
    return statistics.median(found) / 1000


def reports_of(count: int, images: int, sources: Sequence[Path]) -> list[Report]:
    """Measure a study of so many cells with each checkout in turn."""
    cells = planned_cells(count)
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for source in sources:
            study = Path(folder) / source.name
            write_cells(study, cells[:-1], images)
            found.append(measured(study, source, count - 1, True))
            _say(found[-1])
            write_cells(study, cells[-1:], images)
            found.append(measured(study, source, count, False))
            _say(found[-1])
            shutil.rmtree(study)
    return found


def _say(report: Report) -> None:
    print(f"{report.code}, {report.cells} cells: {report.seconds:.0f} s", file=sys.stderr, flush=True)


def keeps_bars(reports: Sequence[Report]) -> bool:
    """Whether every report of this checkout keeps the limits for 1,000 cells."""
    return all(
        SECONDS.is_met(each.seconds)
        and MEMORY.is_met(each.memory)
        and PAGE.is_met(each.page)
        and LOADING.is_met(each.loading or 0.0)
        for each in reports
        if each.code == ROOT.name
    )


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    counts, images = ([20, 40], 200) if options.quick else (options.cells, options.images)
    sources = [*(folder.resolve() for folder in options.source), ROOT]
    reports = [report for count in counts for report in reports_of(count, images, sources)]
    facts = {
        "quick": options.quick,
        "images": images,
        "cores": len(os.sched_getaffinity(0)),
        "python": platform.python_version(),
    }
    _print(reports, facts)
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        content = {**facts, "reports": [asdict(report) for report in reports]}
        options.json.write_text(json.dumps(content, indent=1), encoding="utf-8")
    return int(options.check and not options.quick and not keeps_bars(reports))


def _print(reports: Sequence[Report], facts: dict[str, object]) -> None:
    print(f"Cells of {facts['images']} images; {facts['cores']} cores.\n")
    print("| code | cells | report | seconds | CPU seconds | peak memory, MB | page, MB | loaded in, s |")
    print("|---|---:|---|---:|---:|---:|---:|---:|")
    for each in reports:
        kind = "first" if each.is_first else "after one more cell"
        loading = "no browser" if each.loading is None else f"{each.loading:.1f}"
        took = f"{each.seconds:.0f} | {each.cpu_seconds:.0f} | {each.memory:.0f} | {each.page:.1f} | {loading}"
        print(f"| {each.code} | {each.cells:,} | {kind} | {took} |")
    if not facts["quick"]:
        limits = f"{SECONDS} s, {MEMORY} MB, a page of {PAGE} MB that is loaded in {LOADING} s"
        print(f"\nBars: {limits}; {'kept' if keeps_bars(reports) else 'missed'}.")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few cells of few images")
    parser.add_argument("--cells", type=int, nargs="+", default=[100, 300, 1000], help="numbers of cells")
    parser.add_argument("--images", type=int, default=2000, help="test images of a cell")
    parser.add_argument("--source", type=Path, nargs="+", default=[], help="other checkouts to measure first")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a limit is missed")
    parser.add_argument("--json", type=Path, help="file to write the numbers to")
    return parser


if __name__ == "__main__":
    sys.exit(main())
