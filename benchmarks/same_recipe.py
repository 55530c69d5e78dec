"""Two recipes that are the same recipe: how often does a study tell its runs apart, and what do the runs vary by?

    python benchmarks/same_recipe.py runs/study --markdown runs/same_recipe.md --json runs/same_recipe.json

A study with several pretraining runs per objective and several training seeds is divided into pages on which both
sides have one objective, so that every true difference between recipes is zero:

- *trained again*: the same network, trained with two seeds;
- *pretrained again*: two pretraining runs, trained with all seeds;
- *three runs each*: three pretraining runs against three others, trained with all seeds.

Each page goes through the inference that a report prints. The tables give the share of differences whose interval
excludes zero, by scope: 5% are expected in a scope that includes all that differs between the two sides, and more in a
narrower one. The same runs occur on many pages, so these shares are less precise than their counts suggest.

The standard deviations are those of a difference between two networks of one objective with one training each, on one
domain: from its images, from the training seeds (split, order, initial head) and from the pretraining runs.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from reruns.pages import Decision, Spread, decisions, infer_page, pages_of, spreads
from reruns.tables import as_markdown
from simulated.tables import write_results
from tqdm import tqdm

from hf_sslgen.study.cells.store import Store
from hf_sslgen.study.finished_cells import read_study_results


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("study", type=Path, help="a finished study's folder")
    parser.add_argument("--only", default="", help="only objectives whose name contains this")
    parser.add_argument("--markdown", type=Path, help="write the tables into this file instead of printing them")
    parser.add_argument("--json", type=Path, help="also write every decision and every variance into this file")
    options = parser.parse_args(arguments)
    cells = [cell for cell in read_study_results(Store(options.study)).cells if options.only in cell.objective]
    pages = list(pages_of(cells))
    if not pages:
        sys.exit(f"{options.study} has no two runs of one objective to compare")
    decided: list[Decision] = []
    varied: list[Spread] = []
    for page in tqdm(pages, desc="pages", disable=None):
        results = infer_page(page)
        decided += decisions(page, results)
        varied += spreads(page, results)
    command = "python benchmarks/same_recipe.py " + " ".join(sys.argv[1:] if arguments is None else arguments)
    text = as_markdown(decided, varied, command.strip())
    content = {
        "command": command,
        "decisions": [asdict(each) for each in decided],
        "variances": [asdict(each) for each in varied],
    }
    write_results(text, content, options.markdown, options.json)


if __name__ == "__main__":
    main()
