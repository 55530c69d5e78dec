"""Wall time of a study of frozen protocols, against an earlier revision and against this one without stored features.

    python benchmarks/study.py --data DIR --domains cifar10-small mnist-small --before d84476d --json runs/study.json

Two backbones x some domains x four protocols on frozen features x two label budgets x three seeds, in one process each
and on one thread. The contenders run one after the other from empty folders: the earlier revision, checked out
beside the repository for the run; this package with `--feature_cache_gb 0`, which passes the images again for every
cell; and this package as it is. Their numbers are compared: without stored features, all of them; with the earlier
revision, accuracies, because some definitions have changed since.

DIR holds datasets in folders; without it, the domains are those of the package.
"""

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
BEFORE, DIRECT, STORED = "earlier revision", "without stored features", "with stored features"
BAR = 5.0
"""How many times faster than the earlier revision the study should be."""

Key = tuple[str, ...]
Cells = dict[Key, dict[str, Any]]


@dataclass(frozen=True)
class Measured:
    """A contender's run of the study."""

    contender: str
    seconds: float
    cpu_seconds: float
    cells: int
    trunk_passes: int | None
    largest_difference: float | None
    """From this package with stored features: of accuracies for the earlier revision, of all numbers otherwise."""


def configuration(options: argparse.Namespace) -> dict[str, Any]:
    """Return the study."""
    domains = []
    for name in options.domains:
        domain: dict[str, Any] = {
            "dataset_name": name if options.data is None else str((options.data / name).resolve())
        }
        if options.quick:
            domain |= {"max_train_samples": 200, "max_eval_samples": 60, "max_test_samples": 400}
        domains.append(domain)
    linear = ["linear", {"preset": "ssl-transfer-linear"}]
    if options.quick:
        grid = {"inverse_regularisations": [0.01, 1.0]}
        linear = [{"preset": "linear", **grid}, {"preset": "ssl-transfer-linear", **grid}]
    return {
        "title": "Benchmark",
        "backbones": [
            {"location": name, "name": name} for name in ("twin-resnet18-simclr", "twin-resnet18-supervised")
        ],
        "untrained_control": False,
        "domains": domains,
        "protocols": [*linear, {"preset": "dino-knn", "neighbours": [5, 20]}, {"preset": "few-shot", "episodes": 600}],
        "label_fractions": options.label_fractions,
        "seeds": list(range(1 if options.quick else 3)),
        "analysis": {"max_subset": 30 if options.quick else 300},
        "num_threads": 1,
    }


@contextmanager
def checked_out(revision: str) -> Iterator[Path]:
    """Check a revision out into a temporary folder."""
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "before"
        subprocess.run(["git", "-C", ROOT, "worktree", "add", "-q", "--detach", folder, revision], check=True)
        try:
            yield folder
        finally:
            subprocess.run(["git", "-C", ROOT, "worktree", "remove", "--force", folder], check=True)


def run(package: Path, study: Path, folder: Path, options: Sequence[str]) -> tuple[float, float]:
    """Run a study with a package's code in a fresh process; returns seconds and CPU seconds."""
    environment = os.environ | {"PYTHONPATH": str(package), "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    start = "import sys; from hf_sslgen.commands.study import main; main(sys.argv[1:])"
    command = [sys.executable, "-c", start, str(study), "--output_dir", str(folder), "--write_report", "false"]
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run([*command, *options], check=True, env=environment, cwd=folder.parent)
    seconds, after = time.perf_counter() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    return seconds, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def cells_of(folder: Path) -> Cells:
    """Read the finished cells' contents; revisions differ in identities but not in these names."""
    cells = {}
    for path in folder.glob("cells/*/cell.json"):
        content = json.loads(path.read_text(encoding="utf-8"))
        identity = content["identity"]
        names = ("backbone", "domain", "protocol", "labels", "seed")
        cells[tuple(str(identity[name]) for name in names)] = content
    return cells


def _values(content: dict[str, Any], only: str | None) -> dict[Key, float]:
    return {
        tuple(str(number.get(name, "")) for name in ("metric", "transform", "severity")): float(
            "nan" if number["value"] is None else number["value"]
        )
        for number in content["numbers"]
        if only in (None, number["metric"])
    }


def largest_difference(cells: Cells, others: Cells, only: str | None) -> float:
    """Return the largest difference of a number between the same cells, relative to the larger of 1 and the number."""
    largest = 0.0
    for key, content in cells.items():
        if key in others:
            mine, its = _values(content, only), _values(others[key], only)
            for name in mine.keys() & its.keys():
                if not (math.isnan(mine[name]) and math.isnan(its[name])):
                    largest = max(largest, abs(mine[name] - its[name]) / max(1.0, abs(its[name])))
    return largest


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        study = folder / "study.yaml"
        study.write_text(json.dumps(configuration(options)), encoding="utf-8")  # JSON is YAML
        times: dict[str, tuple[float, float]] = {}
        cells: dict[str, Cells] = {}
        if options.before is not None:
            with checked_out(options.before) as package:
                times[BEFORE] = run(package, study, folder / "before", [])
            cells[BEFORE] = cells_of(folder / "before")
        times[DIRECT] = run(ROOT, study, folder / "direct", ["--feature_cache_gb", "0"])
        cells[DIRECT] = cells_of(folder / "direct")
        times[STORED] = run(ROOT, study, folder / "stored", [])
        cells[STORED] = cells_of(folder / "stored")
    rows = [_row(contender, times, cells) for contender in times]
    _print(rows)
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps([asdict(row) for row in rows], indent=1), encoding="utf-8")
    ratio = times[BEFORE][0] / times[STORED][0] if BEFORE in times else math.inf
    return int(options.check and not options.quick and ratio < BAR)


def _row(contender: str, times: dict[str, tuple[float, float]], cells: dict[str, Cells]) -> Measured:
    passes = [content["provenance"].get("trunk_passes") for content in cells[contender].values()]
    only = "accuracy" if contender == BEFORE else None
    difference = None if contender == STORED else largest_difference(cells[STORED], cells[contender], only)
    counted = None if None in passes else sum(passes)
    return Measured(contender, *times[contender], len(passes), counted, difference)


def _print(rows: Sequence[Measured]) -> None:
    print("| contender | cells | s | CPU s | images through a trunk | times as long | largest difference |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for row in rows:
        passes = "" if row.trunk_passes is None else f"{row.trunk_passes:,}"
        difference = "" if row.largest_difference is None else f"{row.largest_difference:.1e}"
        ratio = row.seconds / rows[-1].seconds
        print(
            f"| {row.contender} | {row.cells} | {row.seconds:.0f} | {row.cpu_seconds:.0f} | {passes} | {ratio:.1f} "
            f"| {difference} |"
        )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of the datasets")
    parser.add_argument("--domains", nargs="+", default=["digits", "photo-patches"], help="folders in it, or names")
    parser.add_argument("--label_fractions", nargs=2, type=float, default=[0.1, 0.5], help="the two label budgets")
    parser.add_argument("--before", help="earlier revision to compare with")
    parser.add_argument("--quick", action="store_true", help="few images, short grids and one seed")
    parser.add_argument(
        "--check", action="store_true", help=f"exit with 1 if it is not {BAR:g} times as fast as before"
    )
    parser.add_argument("--json", type=Path, help="file to write the numbers to")
    return parser


if __name__ == "__main__":
    sys.exit(main())
