"""Time and memory of the whole analysis, relative to the forward passes that it needs at least.

    pip install -e '.[bench]'
    python benchmarks/analysis.py --json runs/analysis.json

For each image the analysis computes logits, features and the attribution map, and the features of T transformed
versions (those of the preset `quick`), which takes at least 1 + T forward passes. Three contenders take turns in one
process, with the same network, dtype, memory layout, threads and batch: plain passes of timm's network over prepared
inputs, this package's one pass from bytes, and the same analysis assembled from captum, torchvision, torchmetrics and
quantus. Times are medians. Memory is the growth of the peak over the loaded network and images, with each contender in
its own process: resident memory, or on a GPU the memory allocated by torch.

The benchmark runs on the GPU in bf16 if there is one, else on the CPU in fp32 and bf16. `--check` exits with 1 if a
limit is missed; `--quick` runs everything once on two images, which makes the ratios meaningless and disables limits.
"""

import argparse
import json
import platform
import statistics
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from measured.bars import Bar
from measured.growth import ONE_PASS, PEERS, PLAIN, built, growth_of_peak
from measured.measuring import GIVE_BACK, in_fresh_process, seconds_in_turns
from measured.peer_stack import missing
from measured.whole_analysis import PRESET, VARIANTS, OnePass, Setting
from measured.workloads import DTYPES, WORKLOADS
from tqdm import tqdm

from hf_sslgen.analysis.analysis_settings import Precision
from hf_sslgen.analysis.network import default_device

METRICS = "metrics of the one pass"
TIME, MEMORY = Bar(1.10), Bar(1.3)
INSTALL = "pip install -e '.[bench]'"
QUICK_IMAGES = 2
MEGABYTE = 1e6


@dataclass(frozen=True)
class Measured:
    """A contender on one network in one precision.

    Attributes:
        seconds: median time of a call.
        ratio: median time relative to that of the plain passes.
        ratio_quartiles: first and third quartile of the ratios per round.
        growth: growth of peak memory during a call, in MB; None if not measured.
        growth_ratio: growth relative to that of the plain passes.
    """

    network: str
    precision: str
    contender: str
    seconds: float
    ratio: float
    ratio_quartiles: tuple[float, float]
    images_per_second: float
    growth: float | None = None
    growth_ratio: float | None = None


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    device = default_device()
    if options.threads:
        torch.set_num_threads(options.threads)
    precisions = options.precision or (["bf16"] if device.type == "cuda" else list(DTYPES))
    rows: list[Measured] = []
    chosen = [(name, precision) for name in WORKLOADS if options.only in name for precision in precisions]
    with tqdm(chosen, disable=None, leave=False) as progress:
        for name, precision in progress:
            progress.set_description(f"{name}, {precision}")
            rows += measured(name, _setting(name, precision, device, options), options)
    facts = {
        "quick": options.quick,
        "preset": PRESET,
        "forward_passes": 1 + len(VARIANTS),
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else str(device),
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "python": platform.python_version(),
    }
    _print(rows, facts)
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        content = facts | {"rows": [asdict(row) for row in rows]}
        options.json.write_text(json.dumps(content, indent=1), encoding="utf-8")
    return int(options.check and not options.quick and not all(keeps_bars(row) for row in rows))


def _setting(name: str, precision: Precision, device: torch.device, options: argparse.Namespace) -> Setting:
    workload = WORKLOADS[name]
    usual = workload.batch_size if device.type == "cpu" else workload.accelerator_batch_size
    num_images = QUICK_IMAGES if options.quick else options.batch_size or usual
    return Setting(workload, precision, device, num_images)


def measured(name: str, setting: Setting, options: argparse.Namespace) -> list[Measured]:
    """Measure a row for each installed contender."""
    contenders = [PLAIN, ONE_PASS] if missing() else [PLAIN, ONE_PASS, PEERS]
    rounds = 1 if options.quick else options.rounds or setting.workload.rounds
    with ExitStack() as stack:
        calls = {contender: built(contender, setting, stack) for contender in contenders}
        analysis = calls[ONE_PASS]
        assert isinstance(analysis, OnePass)
        seconds = seconds_in_turns({**calls, METRICS: analysis.metrics}, rounds)
    growth = {
        contender: in_fresh_process(growth_of_peak, contender, setting, torch.get_num_threads(), environment=GIVE_BACK)
        / MEGABYTE
        for contender in ([] if options.no_memory else contenders)
    }
    rows = []
    for contender, found in seconds.items():
        median = statistics.median(found)
        turns = sorted(mine / its for mine, its in zip(found, seconds[PLAIN], strict=True))
        first, _, third = statistics.quantiles(turns, n=4, method="inclusive") if len(turns) > 1 else turns * 3
        row = Measured(
            network=name,
            precision=setting.precision,
            contender=contender,
            seconds=median,
            ratio=median / statistics.median(seconds[PLAIN]),
            ratio_quartiles=(first, third),
            images_per_second=setting.num_images / median,
            growth=growth.get(contender),
            growth_ratio=growth[contender] / growth[PLAIN] if contender in growth else None,
        )
        rows.append(row)
    return rows


def keeps_bars(row: Measured) -> bool:
    """Whether a row is within the limits, which apply to the one pass."""
    if row.contender != ONE_PASS:
        return True
    return TIME.is_met(row.ratio) and (row.growth_ratio is None or MEMORY.is_met(row.growth_ratio))


def _print(rows: Sequence[Measured], facts: dict[str, object]) -> None:
    if facts["quick"]:
        print(f"Quick look at {QUICK_IMAGES} images: the ratios mean nothing.\n")
    print(
        f"{facts['device']}, {facts['threads']} threads, torch {facts['torch']}; "
        f"1 + T = {facts['forward_passes']} forward passes (preset {facts['preset']}).\n"
    )
    print(
        "| network | precision | contender | s | images/s | time / plain | quartiles | memory, MB | memory / plain |"
    )
    print("|---|---|---|---:|---:|---:|---:|---:|---:|")
    for row in rows:
        low, high = row.ratio_quartiles
        growth = "" if row.growth is None else f"{row.growth:.1f}"
        growth_ratio = "" if row.growth_ratio is None else f"{row.growth_ratio:.2f}"
        print(
            f"| {row.network} | {row.precision} | {row.contender} | {row.seconds:.3f} | {row.images_per_second:.1f} "
            f"| {row.ratio:.3f} | {low:.3f} to {high:.3f} | {growth} | {growth_ratio} |"
        )
    if not facts["quick"]:
        verdicts = [f"{row.network} in {row.precision}" for row in rows if not keeps_bars(row)]
        print(f"\nBars of the one pass: time {TIME}, memory {MEMORY}; missed by {', '.join(verdicts) or 'none'}.")
    for name in missing():
        print(f"{PEERS}: not measured, {name} is not installed: {INSTALL}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_IMAGES} images, one round")
    parser.add_argument("--only", default="", help="only networks whose name contains this")
    parser.add_argument("--precision", action="append", choices=list(DTYPES), help="may be given more than once")
    parser.add_argument("--batch_size", type=int, help="images per batch (default: the network's own number)")
    parser.add_argument("--rounds", type=int, help="number of timings per contender")
    parser.add_argument("--threads", type=int, help="number of torch threads (default: torch's choice)")
    parser.add_argument("--no_memory", action="store_true", help="measure only time")
    parser.add_argument("--check", action="store_true", help="exit with 1 if a limit is missed")
    parser.add_argument("--json", type=Path, help="file to write the ratios to")
    return parser


if __name__ == "__main__":
    sys.exit(main())
