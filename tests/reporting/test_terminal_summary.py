"""The end of a run in a terminal: short, within 80 columns, and with the stored numbers."""

from collections.abc import Callable
from pathlib import Path

import pytest
from fake_study import DOMAINS, SUPERVISED, Study

from hf_sslgen.reporting.terminal_summary import MOST_LINES, terminal_summary
from hf_sslgen.reporting.verdict import verdict
from hf_sslgen.study.inference.study_results import StudyResults, infer

PAGE = Path("runs/mine/report/index.html")


def test_one_domain_has_the_four_measurements_and_the_verdict(results: StudyResults) -> None:
    one = infer([cell for cell in results.cells if cell.domain == "photo-patches"])
    lines = terminal_summary(one, PAGE).splitlines()
    assert lines[0] == "photo-patches, linear probe: accuracy, 240 test images"
    assert lines[1].split() == ["accuracy", "%", "gap", "pt", "gini", "lift", "inv."]
    first = next(c for c in one.cells if (c.backbone, c.protocol) == (SUPERVISED.name, "linear"))
    assert lines[2].split()[:2] == ["supervised", f"{100 * first.number('accuracy').value:.1f}"]
    assert lines[4].split()[0] == "untrained" and lines[4].endswith("control")
    assert verdict(one).sentence in " ".join(lines)
    assert lines[-2:] == [f"Report: {PAGE}", "Numbers: runs/mine/results.csv (as tables here: --verbose)"]


@pytest.mark.parametrize("names", [(), ("a" * 200, "b" * 200 + "\x1b[2J", "untrained:" + "c" * 200)])
@pytest.mark.parametrize("count", [2, 7])
def test_it_fits_a_small_terminal(make_study: Callable[..., Study], tmp_path: Path, names, count: int) -> None:
    domains = [*DOMAINS, *((f"domain-with-a-long-name-{index}", "different") for index in range(5))][:count]
    lines = terminal_summary(infer(make_study(tmp_path, names=names, domains=domains).cells), PAGE).splitlines()
    assert len(lines) <= MOST_LINES and all(line.isprintable() for line in lines)
    assert all(len(line) <= 80 for line in lines)
    assert lines[0].startswith(f"{count} domains, linear probe: accuracy %")
