"""Write the report of a study: the CSV files and the page."""

from collections.abc import Sequence
from pathlib import Path

from hf_sslgen.errors import InputError
from hf_sslgen.files import replace_files
from hf_sslgen.reporting.claims_csv import CLAIMS_FILE_NAME
from hf_sslgen.reporting.page.html_page import write_page
from hf_sslgen.reporting.reference_csv import REFERENCE_FILE_NAME
from hf_sslgen.reporting.results_csv import MISSING_FILE_NAME, write_csv_files
from hf_sslgen.study.cells.cell_folder import Cell
from hf_sslgen.study.inference.contrasts import PairNames
from hf_sslgen.study.inference.study_results import StudyResults, infer

DEFAULT_TITLE = "Self-supervised against supervised backbones"


def write_study_report(
    cells: Sequence[Cell],
    output_dir: Path,
    title: str = DEFAULT_TITLE,
    pairs: PairNames | None = None,
    missing: Sequence[str] = (),
) -> Path:
    """Compare the cells of a study and write the results; returns the path of the page.

    Args:
        cells: all cells of the report.
        output_dir: receives `results.csv` (every number), `comparisons.csv`, `groups.csv`, `ranking.csv`,
            `cautions.csv` and `report/index.html`, and `missing.csv` if something is missing.
        title: title of the page.
        pairs: (self-supervised, supervised) backbones to compare; None pairs those that share source and pretraining
            seed.
        missing: plain sentences about cells that failed or are not computed yet, shown near the top.

    Raises:
        InputError: there are no cells, or two cells can't be told apart.
    """
    if not cells:
        raise InputError(f"{output_dir} contains no cells to report; run a study or an analysis first")
    return write_results(infer(cells, pairs), output_dir, title, missing)


def write_results(
    results: StudyResults,
    output_dir: Path,
    title: str = DEFAULT_TITLE,
    missing: Sequence[str] = (),
    notice: str = "",
) -> Path:
    """Write the files of a study whose differences are already computed; see `write_study_report`.

    Args:
        notice: stands at the top of the page, before any result.
    """
    page = Path("report", "index.html")
    with replace_files(output_dir, obsolete=[CLAIMS_FILE_NAME, MISSING_FILE_NAME, REFERENCE_FILE_NAME]) as unfinished:
        write_csv_files(results, unfinished, missing)
        write_page(results, unfinished / page, title, missing, notice)
    return output_dir / page
