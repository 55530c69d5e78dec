"""Cells of small real networks on the embedded digits, computed once for all tests of this folder."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from hf_sslgen.analysis.subset import AnalysisSettings
from hf_sslgen.preprocessing import Geometry
from hf_sslgen.study.cells import Cell
from hf_sslgen.study.comparison import ComparisonSettings, compute_cells
from hf_sslgen.study.protocols import FineTuningProtocol, LinearProtocol, Protocol

TWIN = "twin-resnet18-supervised"
PROTOCOLS: dict[str, Protocol] = {
    "linear": LinearProtocol(),
    "finetune": FineTuningProtocol(learning_rates=(1e-3,), max_steps=2, batch_size=8),
}
SIDES = {TWIN: 64, "timm_resnet": 64}
OTHER_SIDE = 32


@dataclass(frozen=True)
class Computation:
    """A call of `compute_cells` that can be repeated."""

    name: str
    domain: Any
    settings: ComparisonSettings
    output_dir: Path

    def run(self) -> list[Cell]:
        return compute_cells(self.name, self.domain, PROTOCOLS, self.settings, self.output_dir)


@pytest.fixture(scope="session")
def computation(
    small_backbones: dict[str, str], digits_domain: Any, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Computation]:
    """How the cells of a shipped twin or of a small network (by its short name) are computed."""
    output_dir = tmp_path_factory.mktemp("comparison")

    def of(name: str) -> Computation:
        settings = ComparisonSettings(
            analysis=AnalysisSettings(max_subset=30, num_examples=4, batch_size=20),
            geometry=Geometry(SIDES.get(name, OTHER_SIDE), None, "bilinear"),
        )
        return Computation(small_backbones.get(name, name), digits_domain, settings, output_dir)

    return of


@pytest.fixture(scope="session")
def cells_of(computation: Callable[[str], Computation]) -> Callable[[str], list[Cell]]:
    """The cells of a network: pretrained, linear, finetune; computed when first asked for."""
    found: dict[str, list[Cell]] = {}

    def of(name: str) -> list[Cell]:
        if name not in found:
            found[name] = computation(name).run()
        return found[name]

    return of
