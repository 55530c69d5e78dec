"""The ranking as a person reads it: on the page, in the terminal and in its file."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from simulated_cells import equal_backbones, simulated_cell

from hf_sslgen.reporting.leaderboard import leaderboard
from hf_sslgen.reporting.page.page_ranking import ranking_tables
from hf_sslgen.reporting.ranking_csv import RANKING_COLUMNS, ranking_frame
from hf_sslgen.study.cells.cell_folder import Cell
from hf_sslgen.study.inference.backbone_ranking.ranking import rank_all


@pytest.fixture(scope="module")
def cells() -> list[Cell]:
    generator = np.random.default_rng(0)
    controls = [
        simulated_cell(generator.random(300) < 0.3, "untrained:net", f"domain-{domain}", objective="untrained")
        for domain in range(3)
    ]
    return [*equal_backbones(generator, 3, 300, domains=3, levels=(0.0, 0.9, 0.1)), *controls]


def test_over_domains_the_page_shows_one_table_per_setting(cells: list[Cell]) -> None:
    (table,) = ranking_tables(rank_all(cells), {})
    assert table.title == "Linear probe, over 3 domains" and table.is_over_domains
    assert [row["name"] for row in table.rows][-1] == "untrained:net (control)"
    best = table.rows[0]
    assert best["name"] == "backbone-1" and best["tier"].text == "1" and best["rank"].text == "1.0"
    assert best["parameters"].text == "–"
    assert table.notes[0] == "The 6 pairs are adjusted together (Shaffer)."
    left_out = [
        f"Not comparable for all, so left out: {name}."
        for name in ("Brier score", "parameters", "throughput", "memory")
    ]
    assert table.notes[2:6] == left_out
    assert table.notes[6].startswith("Friedman’s test that all rank alike: p = 0.0")


def test_on_few_domains_there_is_a_table_for_each(cells: list[Cell]) -> None:
    tables = ranking_tables(rank_all([cell for cell in cells if cell.domain != "domain-2"]), {})
    assert [table.title for table in tables] == ["Linear probe, on domain-0", "Linear probe, on domain-1"]


def test_the_terminal_takes_a_line_per_backbone(cells: list[Cell]) -> None:
    lines = leaderboard(rank_all(cells))
    assert len(lines) == 5 and all(len(line) <= 160 for line in lines)
    assert lines[1].startswith("  1  backbone-1 ") and lines[-1].endswith("control")
    assert leaderboard(rank_all([cell for cell in cells if cell.domain == "domain-0"])) == []


def test_the_file_holds_backbones_pairs_and_tests(cells: list[Cell], tmp_path: Path) -> None:
    rankings = rank_all(cells)
    frame = ranking_frame(rankings)
    assert list(frame.columns) == RANKING_COLUMNS
    assert frame["kind"].value_counts().to_dict() == {"pair": 4 * 6, "backbone": 4 * 4, "ranks": 1}
    over = frame[frame["num_domains"] == 3]
    assert over[over["kind"] == "ranks"]["p_value"].tolist() == [rankings[0].friedman_p_value]
    pair = over[(over["kind"] == "pair") & (over["second"] == "untrained:net")].iloc[0]
    assert pair["verdict"] == "higher" and pair["adjusted_p_value"] >= pair["p_value"]
    assert isinstance(ranking_frame([]), pd.DataFrame)


def test_groups_of_methods_are_compared_in_a_sentence() -> None:
    generator = np.random.default_rng(0)

    def methods(supervised: int) -> str:
        cells = [
            simulated_cell(generator.random(300) < share, name, f"domain-{domain}", objective=objective, source="in1k")
            for domain in range(4)
            for name, objective, share in [
                *((name, name, 0.9) for name in ("simclr", "dino", "byol")),
                *((f"resnet-{index}", "supervised", 0.6) for index in range(supervised)),
            ]
        ]
        return ranking_tables(rank_all(cells), {})[0].notes[-1]

    said = methods(3)
    assert said.startswith("3 self-supervised methods minus 3 supervised methods pretrained on in1k, means over 4 ")
    assert "4 domains: higher, " in said
    assert "A verdict on methods is not testable: one supervised method; 3 are needed." in methods(1)
