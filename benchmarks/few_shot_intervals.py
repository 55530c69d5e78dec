"""How often intervals of few-shot accuracy contain the truth when the test images are drawn anew.

    python benchmarks/few_shot_intervals.py --samples 300

Features are Gaussian around class means, so the expected accuracy of an episode of new images is known from many of
them. A second backbone sees the same images through a random linear map. Each row has the coverage of the interval of
one accuracy and of a difference on the same episodes (in brackets, the share of test sets with an interval), and that
of the usual interval over episodes alone.
"""

import argparse
import sys
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hf_sslgen.metrics.episodes import episode_estimate
from hf_sslgen.training.few_shot_effects import image_effects

EPISODES = (100, 600)
WAYS, QUERIES, WIDTH = 5, 15, 16
TRUTH_SETS, TRUTH_SIZE, TRUTH_EPISODES = 300, 100, 60
AT_ONCE = 200

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Design:
    """Classes with equally many test images; `distance` between their means decides the accuracy, `change` how much
    the second backbone differs from the first."""

    num_classes: int
    size: int
    shots: int
    distance: float
    change: float


DESIGNS = (
    Design(5, 20, 5, 0.35, 0.15),
    Design(5, 20, 5, 0.85, 0.15),
    Design(5, 60, 5, 0.35, 0.15),
    Design(10, 100, 5, 0.4, 0.05),
    Design(10, 100, 5, 1.0, 0.15),
    Design(10, 100, 1, 0.5, 0.15),
)


def accuracies(sides: Floats, num_classes: int, shots: int, episodes: int, generator: np.random.Generator) -> Floats:
    """Return the accuracy (sides, episodes) of prototypes in the same episodes on each side's features.

    Args:
        sides: (sides, classes x size, D), class by class.
    """
    size = sides.shape[1] // num_classes
    found = []
    for start in range(0, episodes, AT_ONCE):
        count = min(AT_ONCE, episodes - start)
        classes = generator.random((count, num_classes)).argsort(axis=1)[:, :WAYS]
        order = generator.random((count, WAYS, size)).argsort(axis=2)[:, :, : shots + QUERIES]
        drawn = sides[:, order + size * classes[..., None]]  # (sides, episodes, ways, images, D)
        prototypes = drawn[:, :, :, :shots].mean(axis=3)
        queries = drawn[:, :, :, shots:].reshape(len(sides), count, WAYS * QUERIES, -1)
        distances = np.square(prototypes).sum(axis=3)[:, :, None] - 2 * queries @ prototypes.swapaxes(2, 3)
        right = distances.argmin(axis=3) == np.repeat(np.arange(WAYS), QUERIES)
        found.append(right.mean(axis=2))
    return np.concatenate(found, axis=1)


def measured(design: Design, samples: int, seed: int) -> None:
    """Print the rows of one design."""
    generator = np.random.default_rng(seed)
    means = design.distance * generator.normal(size=(design.num_classes, 1, WIDTH))
    mapped = np.eye(WIDTH) + design.change * generator.normal(size=(WIDTH, WIDTH))

    def drawn(size: int) -> Floats:
        features = (means + generator.normal(size=(design.num_classes, size, WIDTH))).reshape(-1, WIDTH)
        return np.stack([features, features @ mapped])

    def episodes_of(sides: Floats, episodes: int) -> Floats:
        return accuracies(sides, design.num_classes, design.shots, episodes, generator)

    truths = np.mean([episodes_of(drawn(TRUTH_SIZE), TRUTH_EPISODES).mean(axis=1) for _ in range(TRUTH_SETS)], axis=0)
    labels = np.repeat(np.arange(design.num_classes), design.size)
    given, covered = np.zeros((2, len(EPISODES), 2))
    alone = np.zeros(len(EPISODES))
    for sample in range(samples):
        sides = drawn(design.size)
        episodes = episodes_of(sides, max(EPISODES))
        effects = [image_effects(side, labels, WAYS, design.shots, QUERIES, sample).effects for side in sides]
        for index, count in enumerate(EPISODES):
            some = episodes[:, :count]
            one = episode_estimate(some[0], effects[0])
            both = episode_estimate(some[0] - some[1], effects[0] - effects[1], some.mean(axis=1).tolist())
            for place, (estimate, truth) in enumerate(((one, truths[0]), (both, truths[0] - truths[1]))):
                given[index, place] += estimate.low <= estimate.high
                covered[index, place] += estimate.low <= truth <= estimate.high
            alone[index] += abs(some[0].mean() - truths[0]) <= 1.96 * some[0].std(ddof=1) / np.sqrt(count)
    for index, count in enumerate(EPISODES):
        cells = [_words(covered[index, place], given[index, place], samples) for place in range(2)]
        print(
            f"| {design.num_classes} x {design.size} | {design.shots} | {100 * truths[0]:.0f} | {count} |",
            *(f"{cell} |" for cell in cells),
            f"{100 * alone[index] / samples:.0f} |",
            flush=True,
        )


def _words(covered: float, given: float, samples: int) -> str:
    if given < 0.05 * samples:
        return "no interval"
    share = "" if given == samples else f" ({100 * given / samples:.0f}%)"
    return f"{100 * covered / given:.1f}{share}"


def main(command_line: list[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=300, help="test sets per design (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--designs", type=int, nargs="+", default=range(len(DESIGNS)), help="numbers of designs to run"
    )
    options = parser.parse_args(command_line)
    print("| test images | shots | accuracy % | episodes | one accuracy | difference | over episodes alone |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    for index in options.designs:
        measured(DESIGNS[index], options.samples, options.seed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
