"""A terminal shows stored numbers within its width."""

from dataclasses import replace

import pytest

from hf_sslgen.analysis.numbers import Number
from hf_sslgen.reporting.terminal_tables import terminal_table
from hf_sslgen.study.inference.study_results import infer


def test_terminal_table_shows_every_backbone_and_verdict(study) -> None:
    text = terminal_table(infer(study.cells))
    lines = text.splitlines()
    assert max(len(line) for line in lines) <= 160
    for domain in ("photo-patches", "specimen-patches"):
        assert any(line.startswith(domain) and "linear probe" in line for line in lines)
    supervised = next(line for line in lines if line.startswith("resnet50-supervised"))
    cell = next(c for c in study.cells if c.protocol == "linear" and c.backbone == "resnet50-supervised")
    assert f"{100 * cell.number('accuracy').value:.1f} [" in supervised and "23.5M" in supervised
    accuracy = next(d for d in study.differences if d.metric == "accuracy" and d.first == "resnet50-simclr")
    line = next(line for line in lines if "resnet50-simclr - resnet50-supervised" in line and " Accuracy " in line)
    assert line.endswith(f"{accuracy.verdict} (weights)")


def test_terminal_table_writes_a_dash_for_nan_and_no_control_characters(study) -> None:
    cell = next(c for c in study.cells if c.protocol == "linear")
    bare = replace(
        cell,
        identity={**cell.identity, "backbone": "evil\x1b[31m\nname"},
        numbers=tuple(replace(n, value=float("nan"), low=float("nan"), high=float("nan")) for n in cell.numbers),
        provenance={**cell.provenance, "licence": None, "parameters": None, "seconds": None},
    )
    text = terminal_table(infer([bare]))
    assert "–" in text and "nan" not in text.lower().replace("name", "") and "\x1b" not in text


@pytest.mark.parametrize("name", ["x" * 80, "timm/a_very_long_name_of_a_backbone.with_a_tag_in1k"])
def test_long_names_do_not_widen_the_terminal_table(study, name: str) -> None:
    cells = [replace(c, identity={**c.identity, "backbone": name}) for c in study.cells if c.protocol == "linear"][:1]
    assert max(map(len, terminal_table(infer(cells)).splitlines())) <= 160


def test_headline_follows_the_domain(study) -> None:
    cell = next(c for c in study.cells if c.protocol == "linear")
    per_class = Number("mean_per_class_accuracy", 0.1234, 0.1, 0.15, 240)
    changed = replace(
        cell,
        numbers=(*cell.numbers, per_class),
        provenance={**cell.provenance, "domain_metric": "mean_per_class_accuracy"},
    )
    assert "12.3 [10.0, 15.0]" in terminal_table(infer([changed]))


def test_no_cell_is_said_so() -> None:
    assert terminal_table(infer([])) == "no cells"


def test_settings_and_seeds_are_named(large_results) -> None:
    text = terminal_table(large_results)
    for words in ("linear probe, 10% of the labels: accuracy", "few-shot prototypes, 5-shot: accuracy"):
        assert words in text
    assert "(seed 1)" in text and "fine-tuning, 4 runs" in text
    assert max(map(len, text.splitlines())) <= 160
