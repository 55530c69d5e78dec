"""What the tables of estimators say, and where they are put."""

from dataclasses import replace
from math import nan
from pathlib import Path

import pytest
from simulated.repetitions import Row
from simulated.tables import BEGIN, END, as_markdown, is_covered, replace_between_markers

NUMBER = Row("s", 200, "f.x", 1000, truth=0.5, bias=0.02, bias_error=0.001, rmse=0.05, undefined=0)
INTERVAL = replace(
    NUMBER, is_interval=True, coverage=0.95, coverage_error=0.007, below=0.03, above=0.02, without_interval=0.0
)


def _covering(coverage: float, without: float = 0.0) -> Row:
    missed = 1.0 - coverage
    return replace(INTERVAL, coverage=coverage, below=missed, above=0.0, without_interval=without)


@pytest.mark.parametrize(
    ("coverage", "expected"), [(0.90, False), (0.91, True), (0.95, True), (0.98, True), (0.99, False)]
)
def test_coverage_is_judged_within_two_standard_errors(coverage: float, expected: bool) -> None:
    assert is_covered(_covering(coverage)) is expected


def test_where_some_get_no_interval_the_others_are_judged() -> None:
    assert not is_covered(_covering(0.88, without=0.4))  # 7% of all datasets miss, and 12% of those with an interval
    assert is_covered(_covering(0.93, without=0.4))
    assert is_covered(_covering(0.9, without=0.95))  # 50 intervals, so that 90% is within two standard errors of 92%
    assert is_covered(replace(_covering(nan), coverage_error=nan, without_interval=1.0))


def test_tables_show_errors_and_mark_what_does_not_cover() -> None:
    poor = replace(_covering(0.80, without=0.3), n=1000)
    rows = [NUMBER, replace(NUMBER, n=1000, bias=0.001, undefined=30), INTERVAL, poor]
    text = as_markdown(rows, {"s": "Some data."}, "python script.py")
    assert "$ python script.py" in text
    assert "1000 datasets (n = 200, 1000): a coverage of 95% has a standard error of 0.7." in text
    assert "| `f.x` | 0.5000 | 0.0200 / 0.0500 | 0 / 0.0500 (3% undefined) |" in text
    assert "| `f.x` | 95.0 | **80.0** (70%) |" in text
    assert "| s | 1000 | `f.x` | 80.0 | 0.7 | 20.0 | 0.0 | 30.0 |" in text
    assert "| s | 200 | `f.x`" not in text


def test_without_a_poor_interval_the_list_says_so() -> None:
    assert as_markdown([NUMBER, INTERVAL], {"s": "."}, "c").endswith(
        "Below, by more than chance: none.\n\nAbove, by more than chance: none."
    )


def test_only_the_part_between_the_markers_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text(f"# Title\n\n{BEGIN}\nold\n{END}\nrest\n", encoding="utf-8")
    replace_between_markers(path, "new")
    assert path.read_text(encoding="utf-8") == f"# Title\n\n{BEGIN}\n\nnew\n\n{END}\nrest\n"


def test_a_new_file_gets_markers(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    replace_between_markers(path, "first")
    replace_between_markers(path, "second")
    assert path.read_text(encoding="utf-8") == f"{BEGIN}\n\nsecond\n\n{END}\n"


def test_a_file_without_markers_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text("precious", encoding="utf-8")
    with pytest.raises(SystemExit, match=r"page\.md must contain"):
        replace_between_markers(path, "new")
    assert path.read_text(encoding="utf-8") == "precious"
