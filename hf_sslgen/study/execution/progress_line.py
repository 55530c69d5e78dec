"""One line of progress while a process works on cells: cells, rate, time left, and what runs now.

In a terminal it is a bar that is redrawn; elsewhere a plain line is printed now and then.
"""

import logging
import sys
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext

from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from hf_sslgen.analysis.trunk_passes import passes_told_to
from hf_sslgen.names import printable
from hf_sslgen.study.estimate import Sizes, image_passes, pass_of, shared_images
from hf_sslgen.study.pace import duration_words
from hf_sslgen.study.plan import CellSpec
from hf_sslgen.zoo.display_names import display_names

FIRST_SECONDS = 10.0
PLAIN_SECONDS = 30.0
"""Plain lines come this long after the start, and then this far apart."""

FORMAT = "{desc} |{bar:8}| {percentage:.0f}%{postfix}"


def expected_images(
    specs: Sequence[CellSpec], sizes: Callable[[CellSpec], Sizes | None], usual: Sizes
) -> dict[CellSpec, float]:
    """Return how many images each cell will probably send through a network, if cells are computed in this order.

    Args:
        sizes: returns the sizes of a cell's splits, if they are known; else they are taken to be `usual`.
    """
    stored: dict[Hashable, int] = {}
    found = {}
    for spec in specs:
        of_domain = sizes(spec) or usual
        key, images = pass_of(spec), shared_images(spec, of_domain)
        found[spec] = max(1.0, image_passes(spec, of_domain) - min(images, stored.get(key, 0)))
        stored[key] = max(images, stored.get(key, 0))
    return found


class ProgressLine:
    """The progress of one process through its cells."""

    def __init__(self, weights: Mapping[CellSpec, float], is_shown: bool = True) -> None:
        """Start at nothing done.

        Args:
            weights: the cells, with the images that each will take.
        """
        self._weights = weights
        self._done: set[CellSpec] = set()
        self._now, self._partial = "", 0.0
        self._names = display_names({spec.backbone.name: spec.backbone.objective for spec in weights})
        self._started = self._printed = time.monotonic()
        self._is_shown = is_shown
        disable = None if is_shown else True
        self._total = sum(weights.values())
        self._bar = tqdm(total=self._total, disable=disable, bar_format=FORMAT, dynamic_ncols=True)
        self._work, self._skipped = 0.0, 0.0

    @property
    def is_bar(self) -> bool:
        return not self._bar.disable

    def begins(self, spec: CellSpec) -> None:
        """Say that a cell is attempted."""
        self._now = f"{self._names[spec.backbone.name]} on {spec.domain_name}, {spec.protocol_name}"
        self._partial = 0.0

    def passes(self, spec: CellSpec, num_images: int) -> None:
        """Count images of the present cell that have passed a network."""
        new = min(num_images, max(0.0, self._weights[spec] - self._partial))
        self._partial += new
        self._advance(new)

    def ends(self, spec: CellSpec, was_computed: bool) -> None:
        """Say that a cell needs no further attempt; one that was found or failed tells nothing of the rate."""
        if spec in self._done:
            return
        self._done.add(spec)
        rest, self._partial = self._weights[spec] - self._partial, 0.0
        if not was_computed:
            self._skipped += rest
            self._bar.update(rest)
            self._show()
        else:
            self._advance(rest)

    def line(self) -> str:
        """Describe the progress in one line."""
        return ", ".join([f"{len(self._done)} of {len(self._weights)} cells", *self._details()])

    def close(self) -> None:
        self._bar.close()

    def _advance(self, images: float) -> None:
        self._work += images
        self._bar.update(images)
        self._show()

    def _details(self) -> list[str]:
        seconds = time.monotonic() - self._started
        left = self._total - self._work - self._skipped
        parts = []
        if self._work and seconds > 1.0:
            if left > 0:
                parts.append(f"{duration_words(seconds * left / self._work)} left")
            parts.append(f"{self._work / seconds:,.0f} images/s")
        return [*parts, printable(f"now {self._now}")] if self._now else parts

    def _show(self) -> None:
        if self.is_bar:
            self._bar.set_description_str(f"{len(self._done)}/{len(self._weights)} cells", refresh=False)
            self._bar.set_postfix_str(", ".join(self._details()), refresh=False)
            return
        now = time.monotonic()
        is_due = now - self._printed > (FIRST_SECONDS if self._printed == self._started else PLAIN_SECONDS)
        if self._is_shown and is_due:
            self._printed = now
            print(self.line(), file=sys.stderr, flush=True)


@contextmanager
def progress_line(weights: Mapping[CellSpec, float], is_shown: bool = True) -> Iterator[ProgressLine]:
    """Show the progress within the block; what is logged meanwhile appears above it."""
    line = ProgressLine(weights, is_shown)
    try:
        with logging_redirect_tqdm(loggers=[logging.getLogger()]) if line.is_bar else nullcontext():
            yield line
    finally:
        line.close()


@contextmanager
def attempted(line: ProgressLine, spec: CellSpec) -> Iterator[None]:
    """Follow one attempt at a cell."""
    line.begins(spec)
    with passes_told_to(lambda num_images: line.passes(spec, num_images)):
        yield
