"""Memory and speed of streaming a domain from the Hub.

    python benchmarks/streaming.py --json runs/streaming.json

A small Hub on loopback (`tests/loopback_hub`) serves parquet files of pictures, which are distinct collages of real
patches.

Memory is the peak resident memory of a fresh process that streams 1,000 or 100,000 of them: through a training pass
(shuffle buffer, decoding, augmentation, batches), and through evaluation, which stores the streamed test split on disk
and measures every picture in it.

Speed is the number of pictures per second in the same training pass from the Hub, from the same files on disk, and
from the dataset prepared on disk by `datasets`, which is read by position. The three take turns; a ratio is the mean
over the rounds with a 95% interval (Student t). The Hub runs on the same machine and competes for its resources.

`--check` exits with 1 if a limit is missed; `--quick` runs everything once on few pictures, which makes the ratios
meaningless and disables limits.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from measured.bars import Bar
from measured.measuring import in_fresh_process
from measured.streamed import (
    FILES,
    HUB,
    PREPARED,
    REPOSITORY,
    Collages,
    images_per_second,
    peak_of_evaluation,
    peak_of_training,
    publish,
)

from hf_sslgen.metrics.intervals import mean_interval

ROOT = Path(__file__).parents[1]
MEGABYTE = 1e6
GROWTH, SPEED = Bar(200), Bar(0.9, at_least=True)
PATHS: dict[str, Callable[[str, int], float]] = {"training": peak_of_training, "evaluation": peak_of_evaluation}


@dataclass(frozen=True)
class Memory:
    """Peaks, in MB, of a path through few and through many images."""

    path: str
    few: float
    many: float
    images: tuple[int, int]

    @property
    def growth(self) -> float:
        return self.many - self.few


@dataclass(frozen=True)
class Speed:
    """Speed of one way to read.

    Attributes:
        images_per_second: the median of the rounds.
        ratio: ratio of the Hub's speed to this speed, the mean over the rounds, with its interval.
    """

    place: str
    images_per_second: float
    ratio: float
    interval: tuple[float, float]


@contextmanager
def _hub(images: Collages, root: Path) -> Iterator[tuple[dict[str, str], Path, float]]:
    """Yield the environment for reading the images from a Hub, the folder of the same files, and their size."""
    sys.path.insert(0, str(ROOT))  # the Hub is a part of the tests
    from tests.loopback_hub import Hub

    size = in_fresh_process(images.write, root / "files")
    with Hub(root / "hub") as hub:
        in_fresh_process(publish, root / "files", environment=hub.environment("owner"))
        yield hub.environment(None, root / "home") | {"OMP_NUM_THREADS": "1"}, root / "files", size


def measured_memory(counts: tuple[int, int], shard: int) -> list[Memory]:
    """Measure a row for each path."""
    peaks: dict[str, list[float]] = {name: [] for name in PATHS}
    for count in counts:
        with tempfile.TemporaryDirectory() as folder, _hub(Collages(count, shard, True), Path(folder)) as found:
            environment, _, size = found
            _say(f"{count} images of {size / count / 1e3:.1f} kB")
            for name, peak in PATHS.items():
                peaks[name].append(in_fresh_process(peak, REPOSITORY, count, environment=environment) / MEGABYTE)
                _say(f"{name}: {peaks[name][-1]:.0f} MB")
    return [Memory(name, few, many, counts) for name, (few, many) in peaks.items()]


def measured_speed(count: int, shard: int, rounds: int, workers: int) -> list[Speed]:
    """Measure a row for each way to read."""
    with tempfile.TemporaryDirectory() as folder, _hub(Collages(count, shard, False), Path(folder)) as found:
        environment, files, size = found
        _say(f"{count} images of {size / count / 1e3:.1f} kB")
        places = {HUB: REPOSITORY, FILES: str(files), PREPARED: str(files)}
        speeds = in_fresh_process(images_per_second, places, count, rounds, workers, environment=environment)
    rows = []
    for place, found_speeds in speeds.items():
        ratios = np.array(speeds[HUB]) / np.array(found_speeds)
        interval = mean_interval(ratios)
        rows.append(Speed(place, statistics.median(found_speeds), float(ratios.mean()), (interval.low, interval.high)))
    return rows


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    counts, images, rounds = ((100, 400), 200, 2) if options.quick else ((1000, options.many), 2000, options.rounds)
    shard = 50 if options.quick else 500
    memory = [] if options.only == "speed" else measured_memory(counts, shard)
    speed = [] if options.only == "memory" else measured_speed(images, shard, rounds, options.workers)
    facts = {
        "quick": options.quick,
        "rounds": rounds,
        "workers": options.workers,
        "images": images,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }
    _print(memory, speed, facts)
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        content = {**facts, "memory": [asdict(row) for row in memory], "speed": [asdict(row) for row in speed]}
        options.json.write_text(json.dumps(content, indent=1), encoding="utf-8")
    return int(options.check and not options.quick and not keeps_bars(memory, speed))


def keeps_bars(memory: Sequence[Memory], speed: Sequence[Speed]) -> bool:
    """Whether memory stays flat, and the Hub is nearly as fast as the same files on disk."""
    return all(GROWTH.is_met(row.growth) for row in memory) and all(
        SPEED.is_met(row.ratio) for row in speed if row.place != HUB
    )


def _print(memory: Sequence[Memory], speed: Sequence[Speed], facts: dict[str, object]) -> None:
    if facts["quick"]:
        print("Quick look at few images: the ratios mean nothing.\n")
    if memory:
        few, many = memory[0].images
        print(f"| path | peak of {few:,} images, MB | peak of {many:,}, MB | difference, MB |\n|---|---:|---:|---:|")
        for row in memory:
            print(f"| {row.path} | {row.few:.0f} | {row.many:.0f} | {row.growth:.0f} |")
        print()
    if speed:
        counts = f"{facts['images']} images, {facts['rounds']} rounds, {facts['workers']} workers"
        print(f"{counts}; {facts['cores']} cores.\n")
        print("| training pass | images/s | the Hub's speed to it | 95% interval |\n|---|---:|---:|---:|")
        for each in speed:
            interval = "" if each.place == HUB else f"{each.interval[0]:.3f} to {each.interval[1]:.3f}"
            ratio = "" if each.place == HUB else f"{each.ratio:.3f}"
            print(f"| {each.place} | {each.images_per_second:.0f} | {ratio} | {interval} |")
        print()
    if not facts["quick"]:
        print(f"Bars: difference {GROWTH} MB, ratio {SPEED}; {'kept' if keeps_bars(memory, speed) else 'missed'}.")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few images, two rounds")
    parser.add_argument("--only", choices=["memory", "speed"], help="measure only one of the two")
    parser.add_argument("--many", type=int, default=100_000, help="number of images in the larger memory measurement")
    parser.add_argument("--rounds", type=int, default=20, help="number of timings per way to read")
    parser.add_argument(
        "--workers", type=int, default=0, help="number of data loader workers, which decode and augment"
    )
    parser.add_argument("--check", action="store_true", help="exit with 1 if a limit is missed")
    parser.add_argument("--json", type=Path, help="file to write the numbers to")
    return parser


if __name__ == "__main__":
    sys.exit(main())
