"""Published results beside cells: which belong together, what differs in protocol, and when they are said to agree."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from simulated_cells import simulated_cell

from hf_sslgen.study.cells.cell_folder import Cell
from hf_sslgen.study.protocols.presets import PRESETS, get_protocol, protocol_settings
from hf_sslgen.study.reference.published_values import PublishedValue, ReferenceTable, reference_tables
from hf_sslgen.study.reference.reference_lines import ReferenceLine, compare_with_tables

TV = "timm/resnet50.tv_in1k"
IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
GEOMETRY = {"image_size": 224, "crop_pct": 1.0, "interpolation": "bicubic"}
LINEAR = protocol_settings(PRESETS["ssl-transfer-linear"])


def cell_of(backbone: str = TV, domain: str = "cifar10", correct: float = 0.9, n: int = 10_000, **said: Any) -> Cell:
    """A cell of a linear probe, or of another protocol with its settings, on n images."""
    seed = said.pop("seed", 0)
    identity = {
        "protocol": said.pop("protocol", "ssl-transfer-linear"),
        "protocol_settings": said.pop("settings", LINEAR),
        "preprocessing": {"geometry": GEOMETRY | said.pop("geometry", {}), **said.pop("inputs", IMAGENET)},
        "labels": said.pop("labels", "100%"),
        "seed": seed,
    }
    cell = simulated_cell(np.arange(n) < round(correct * n), backbone, domain, **{"objective": "supervised", **said})
    return replace(cell, identity=cell.identity | identity)


def lines_of(*cells: Cell, table: str = "ssl-transfer-linear") -> tuple[ReferenceLine, ...]:
    (comparison,) = compare_with_tables(cells, [reference_tables()[table]])
    return comparison.lines


def test_value_interval_difference_and_regularisation_stand_beside_the_published_ones() -> None:
    chosen = [{"chosen": {"inverse_regularisation": value}} for value in (0.1, 0.0562341)]
    cells = [cell_of(seed=seed, correct=0.90 + 0.02 * seed, selection=chosen[seed]) for seed in (0, 1)]
    (line,) = lines_of(*cells)
    assert (line.backbone, line.domain, line.protocol) == (TV, "cifar10", "ssl-transfer-linear")
    assert line.published.value == pytest.approx(0.9147)
    assert line.ours is not None and line.ours.value == pytest.approx(0.91) and line.ours.num_runs == 2
    assert line.ours.low < 0.91 < line.ours.high
    assert line.difference == pytest.approx(0.91 - 0.9147)
    assert line.inverse_regularisations == (0.1, 0.0562341)
    assert line.published.inverse_regularisation == pytest.approx(0.0562341)


def test_a_regularisation_without_an_accuracy_is_shown_without_a_difference() -> None:
    (line,) = lines_of(cell_of("swav-800ep-resnet50", objective="swav"))
    assert line.published.value is None and math.isnan(line.difference) and line.agrees is None
    assert line.published.inverse_regularisation == pytest.approx(0.316228)


def test_weights_are_matched_whatever_the_name_or_library_of_the_backbone() -> None:
    named = cell_of("mine", weights=TV)
    assert [line.backbone for line in lines_of(named)] == ["mine"]
    assert lines_of(cell_of("mine")) == ()
    assert lines_of(cell_of(TV, weights=None)) == ()  # other weights under that name, such as a stand-in's
    copy, own = cell_of("moco-v3-300ep-vit-base", objective="moco-v3"), "nyu-visionx/moco-v3-vit-b"
    settings = protocol_settings(PRESETS["full"])
    lines = lines_of(
        *(replace(c, identity=c.identity | {"protocol_settings": settings}) for c in (copy, cell_of(own))),
        table="moco-v3-finetune",
    )
    assert [line.backbone for line in lines] == ["moco-v3-300ep-vit-base", own]


@pytest.mark.parametrize(
    "other",
    [
        {"labels": "10%"},
        {"domain": "eurosat"},
        {"settings": protocol_settings(PRESETS["full"])},
        {"settings": protocol_settings(PRESETS["dino-knn"])},
        {"settings": {}},
        {"objective": "untrained"},
    ],
)
def test_other_budgets_domains_protocols_and_controls_are_not_compared(other: dict[str, Any]) -> None:
    assert lines_of(cell_of(**other)) == ()


def _differences(**said: Any) -> set[str]:
    (line,) = lines_of(cell_of(**said))
    return set(line.differences)


def test_every_known_difference_of_protocol_is_named() -> None:
    usual = {
        "seeds: ours 1, theirs not stated",
        "selection: C by validation accuracy; ours by the negative log-likelihood of validation",
        "their fits stop after 100 iterations whether or not they converged",
    }
    assert _differences() == usual
    assert _differences(n=2000) - usual == {"test images: ours 2,000, theirs 10,000"}
    changed = {"image_size": 64, "crop_pct": 0.875, "interpolation": "bilinear"}
    assert _differences(geometry=changed) - usual == {
        "image size: ours 64, theirs 224",
        "crop: ours 0.875, theirs 1",
        "interpolation: ours bilinear, theirs bicubic",
    }
    plain = protocol_settings(PRESETS["linear"])
    assert _differences(protocol="linear", settings=plain) - usual == {
        "protocol: ours linear, theirs as in ssl-transfer-linear"
    }
    fewer = protocol_settings(get_protocol("ssl-transfer-linear", {"inverse_regularisations": [1.0]}))
    assert _differences(settings=fewer) - usual == {
        "protocol: ours changes inverse_regularisations of ssl-transfer-linear"
    }
    half = {"mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}
    assert _differences(inputs=half) - usual == {"normalisation of the inputs: ours half, theirs imagenet"}


def test_differences_of_a_network_or_domain_are_named() -> None:
    swav = {"mean": IMAGENET["mean"], "std": [0.228, 0.224, 0.225]}
    (line,) = lines_of(cell_of("swav-800ep-resnet50", objective="swav", inputs=swav))
    assert "normalisation of the inputs: ours swav, theirs imagenet" in line.differences
    (line,) = lines_of(cell_of("byol-1000ep-resnet50", objective="byol"))
    assert "the code of ssl-transfer runs BYOL with torch's padding, not with TensorFlow's SAME" in line.differences
    simclr = "lightly-ai/simclrv1-imagenet1k-resnet50-1x"
    unit = {"mean": [0.0] * 3, "std": [1.0] * 3}
    (line,) = lines_of(cell_of(simclr, objective="simclr", inputs=unit))
    assert not any(text.startswith("normalisation") for text in line.differences)
    (line,) = lines_of(cell_of(domain="caltech101"))
    assert "the publication has its own list of training and test images" in line.differences
    assert line.ours is None  # only the mean per-class accuracy is comparable, and this cell has none


def _alike(value: float) -> ReferenceTable:
    published = PublishedValue("tv", TV, "cifar10", value, "accuracy", test_images=10_000)
    return ReferenceTable(
        "alike", "Alike", "a page", "linear", protocol="ssl-transfer-linear", seeds=1, values=(published,)
    )


@pytest.mark.parametrize(("value", "agrees"), [(0.9, True), (0.894, True), (0.91, False), (0.88, False)])
def test_agreement_is_judged_only_where_no_difference_is_known(value: float, agrees: bool) -> None:
    ((line,),) = (each.lines for each in compare_with_tables([cell_of()], [_alike(value)]))
    assert line.differences == () and line.agrees is agrees
    ((line,),) = (each.lines for each in compare_with_tables([cell_of(n=9_000)], [_alike(value)]))
    assert line.differences and line.agrees is None
