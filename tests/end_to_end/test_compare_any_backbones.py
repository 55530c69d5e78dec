"""Any backbones compared on real images: what the answer says of two that are no twins, of one kind, and of cost."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from hf_sslgen.command_line import run_command
from hf_sslgen.reporting.csv_files import read_csv
from hf_sslgen.reporting.page.html_page import render_page
from hf_sslgen.reporting.terminal_summary import MOST_LINES, terminal_summary
from hf_sslgen.reporting.verdict import verdict
from hf_sslgen.study.backbone_costs import read_costs
from hf_sslgen.study.cells.cell_folder import Cell, read_cells
from hf_sslgen.study.inference.study_results import StudyResults, infer

ON_OBJECTIVES = re.compile(r"self-supervis|twin\b|supervised backbone is better", re.IGNORECASE)


@dataclass(frozen=True)
class Compared:
    """A folder with a comparison, what the command printed, and how it was called."""

    folder: Path
    printed: str
    options: Sequence[str]

    @property
    def cells(self) -> list[Cell]:
        return list(read_cells(self.folder / "cells"))


@pytest.fixture(scope="module")
def compared(small_backbones: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Compared:
    """A small ResNet called self-supervised and a small ViT called supervised, on 60 digits."""
    folder = tmp_path_factory.mktemp("compare") / "output"
    options = ["--dataset_name", "digits", "--max_train_samples", "60", "--max_eval_samples", "20"]
    options += ["--max_test_samples", "60", "--batch_size", "20", "--output_dir", str(folder)]
    options += ["--backbones", small_backbones["timm_resnet"], small_backbones["timm_vit"]]
    with pytest.MonkeyPatch.context() as patched:
        printed: list[str] = []
        patched.setattr("builtins.print", lambda *texts, **_: printed.append(" ".join(map(str, texts))))
        run_command("hf_sslgen.commands.compare", [*options, "--objectives", "simclr", "supervised"])
    return Compared(folder, "\n".join(printed), options)


def test_the_results_say_what_else_differs(compared: Compared) -> None:
    comparisons = read_csv(compared.folder / "comparisons.csv")
    pairs = comparisons[comparisons["second_objective"] == "supervised"]
    assert set(pairs["first"]) == {"timm_resnet"} and set(pairs["second"]) == {"timm_vit"}
    expected = "architecture (resnet18 against vit_tiny_patch16_224); source data (not stated)"
    assert set(pairs["confounded_by"]) == {expected}
    assert set(pairs["also_differs_in"]) == {"nan"} or pairs["also_differs_in"].isna().all()
    assert set(pairs[pairs["kind"] == "target"]["family"]) == {"exploratory"}
    groups = read_csv(compared.folder / "groups.csv")
    assert set(groups["confounded_by"]) == {expected}
    of_control = comparisons[comparisons["second_objective"] == "untrained"].set_index("first")["confounded_by"]
    assert set(of_control["timm_resnet"]) == {"architecture (resnet18 against vit_tiny_patch16_224)"}
    assert of_control["timm_vit"].isna().all()


def test_terminal_and_page_say_it_too(compared: Compared) -> None:
    said = " ".join(compared.printed.split())
    assert "differ in architecture (" in said and "vit_tiny_patch16_224" in said and "resnet18" in said
    assert "The source data of all are not stated." in said and "not why." in said
    page = (compared.folder / "report" / "index.html").read_text(encoding="utf-8")
    assert "<strong>What else differs.</strong> These backbones differ in architecture" in page
    assert "Not all of these are twins: they differ, or may differ, in architecture and source data." in page
    assert "so this is no verdict on self-supervision" in page
    assert "the self-supervised backbone has" not in page


def test_costs_are_shown_and_kept_apart_from_cells(compared: Compared) -> None:
    assert "Cost of a pass on cpu" in compared.printed and "images/s" in compared.printed
    backbones = read_csv(compared.folder / "backbones.csv").set_index("backbone")
    assert set(backbones.index) == {"timm_resnet", "timm_vit", "untrained:timm_vit"}
    assert (backbones["images_per_second"] > 0).all() and (backbones["peak_memory"] > 0).all()
    assert backbones.loc["timm_vit", "images_per_second"] == backbones.loc["untrained:timm_vit", "images_per_second"]
    weights = Path(compared.options[-1], "model.safetensors").stat().st_size
    assert backbones.loc["timm_vit", "file_bytes"] == weights
    ranking = read_csv(compared.folder / "ranking.csv")
    assert ranking[ranking["kind"] == "backbone"]["pareto_criteria"].str.contains("throughput, memory").all()
    assert "What the backbones cost" in (compared.folder / "report" / "index.html").read_text(encoding="utf-8")
    assert not any("images_per_second" in str((cell.identity, cell.provenance)) for cell in compared.cells)
    before = read_costs(compared.folder)
    stated = ["--objectives", "dino", "supervised", "--sources", "noise", "noise", "--measure_cost", "false"]
    run_command("hf_sslgen.commands.compare", [*compared.options, *stated])  # finished cells, described anew
    assert read_costs(compared.folder) == before
    again = read_csv(compared.folder / "backbones.csv").set_index("backbone")
    assert set(again["source"]) == {"noise"} and set(again["objective"]) == {"dino", "supervised", "untrained"}
    assert again["images_per_second"].equals(backbones["images_per_second"])


def as_objectives(compared: Compared, first: str, second: str, source: str = "") -> StudyResults:
    objectives = {"timm_resnet": first, "timm_vit": second}
    cells = [
        replace(cell, provenance=cell.provenance | {"objective": objectives[cell.backbone], "source": source})
        for cell in compared.cells
        if cell.backbone in objectives
    ]
    return infer(cells, costs=read_costs(compared.folder))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("unknown", "unknown"),
        ("supervised", "supervised"),
        ("simclr", "dino"),
        ("simclr", "unknown"),
        ("supervised", "unknown"),
    ],
)
def test_backbones_that_ask_no_question_on_objectives_get_no_answer_to_it(
    compared: Compared, first: str, second: str
) -> None:
    results = as_objectives(compared, first, second, "noise")
    said = verdict(results)
    texts = [said.sentence, *(remark.text for remark in said.further)]
    assert not any(ON_OBJECTIVES.search(text) for text in texts), texts
    assert all(name in " ".join(texts) for name in ("resnet", "vit"))
    assert results.groups == () and results.targets == ()
    lines = terminal_summary(results, Path("report/index.html")).splitlines()
    assert len(lines) <= MOST_LINES and any("Cost of a pass" in line for line in lines)
    render_page(results, "Any")


def test_one_backbone_alone_is_described(compared: Compared) -> None:
    cells = [cell for cell in compared.cells if cell.backbone == "timm_vit"]
    results = infer(cells, costs=read_costs(compared.folder))
    assert "it was not compared with anything" in verdict(results).sentence
    assert "Cost of a pass" in terminal_summary(results, Path("report/index.html"))
    assert "What the backbones cost" in render_page(results, "One")
