"""Run `hf-sslgen report`, after its options have been parsed."""

from pathlib import Path

from hf_sslgen.errors import InputError
from hf_sslgen.output_folder import require_output_folder
from hf_sslgen.reporting.figures.figure_kinds import FigureKind
from hf_sslgen.reporting.study_report import write_results
from hf_sslgen.reporting.terminal_summary import terminal_summary
from hf_sslgen.reporting.terminal_tables import caution_lines, claim_lines, terminal_table
from hf_sslgen.study.backbone_costs import read_costs
from hf_sslgen.study.cells.store import Store, alone_in_reporting
from hf_sslgen.study.finished_cells import read_study_results
from hf_sslgen.study.inference.study_results import infer


def report_study(folder: Path, figures: FigureKind | None = None, verbose: bool = False) -> list[str]:
    """Write a study's tables and page into its folder unless another process is doing so; see `write_report`."""
    store = Store(folder)
    if not store.cells.is_dir():
        raise InputError(f"study_dir {str(folder)!r} does not hold a study: it has no folder `cells`")
    require_output_folder(folder, own=["cells"], argument="study_dir")
    with alone_in_reporting(store):
        return write_report(store, figures, verbose)


def write_report(store: Store, figures: FigureKind | None = None, verbose: bool = False) -> list[str]:
    """Write a study's tables and page, in the process that holds the claim on its report.

    Args:
        figures: the kind of files to write figures as; None writes none.
        verbose: whether to print every table, not only the summary.


    Returns:
        A sentence on each unreadable cell.
    """
    folder = store.folder
    study = read_study_results(store)
    if not study.cells:
        words = " ".join(study.missing)
        raise InputError(f"study_dir {str(folder)!r} has no finished cell to report. {words}".rstrip())
    asked = (study.config.pairs, study.config.claims) if study.config is not None else (None, ())
    results = infer(study.cells, *asked, costs=read_costs(folder))
    page = write_results(results, folder, title=study.title, missing=study.missing)
    if figures is not None:
        from hf_sslgen.reporting.figures.figure_files import FIGURES, write_figures  # with matplotlib

        print(f"{len(write_figures(results, folder, figures))} figures: {folder / FIGURES}")
    if verbose:
        print(f"{terminal_table(results)}\n")
    print("\n".join([terminal_summary(results, page), "", *caution_lines(results), *claim_lines(results)]).rstrip())
    return study.damaged
