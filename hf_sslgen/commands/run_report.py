"""Run `hf-sslgen report`, after its options have been parsed."""

from collections.abc import Sequence
from pathlib import Path

from hf_sslgen.errors import InputError
from hf_sslgen.output_folder import require_output_folder
from hf_sslgen.reporting.figures.figure_kinds import FigureKind
from hf_sslgen.reporting.reference_text import reference_tables_text
from hf_sslgen.reporting.study_report import write_results
from hf_sslgen.reporting.terminal_summary import terminal_summary
from hf_sslgen.reporting.terminal_tables import caution_lines, claim_lines, terminal_table
from hf_sslgen.study.backbone_costs import read_costs
from hf_sslgen.study.cells.store import Store, alone_in_reporting
from hf_sslgen.study.finished_cells import read_study_results
from hf_sslgen.study.inference.study_results import infer
from hf_sslgen.study.reference.published_values import stated_references
from hf_sslgen.study.stand_in_marks import STAND_INS_NOTICE


def report_study(
    folder: Path,
    figures: FigureKind | None = None,
    verbose: bool = False,
    reference: Sequence[str] | None = None,
) -> list[str]:
    """Write a study's tables and page into its folder unless another process is doing so; see `write_report`."""
    store = Store(folder)
    if not store.cells.is_dir():
        raise InputError(f"study_dir {str(folder)!r} does not hold a study: it has no folder `cells`")
    require_output_folder(folder, own=["cells"], argument="study_dir")
    with alone_in_reporting(store):
        return write_report(store, figures, verbose, reference)


def write_report(
    store: Store,
    figures: FigureKind | None = None,
    verbose: bool = False,
    reference: Sequence[str] | None = None,
) -> list[str]:
    """Write a study's tables and page, in the process that holds the claim on its report.

    Args:
        figures: the kind of files to write figures as; None writes none.
        verbose: whether to print every table, not only the summary.
        reference: names of tables of published results to show beside; None for those that the study's file names.

    Returns:
        A sentence on each unreadable cell.
    """
    folder = store.folder
    study = read_study_results(store)
    if not study.cells:
        words = " ".join(study.missing)
        raise InputError(f"study_dir {str(folder)!r} has no finished cell to report. {words}".rstrip())
    config = study.config
    pairs, claims, references = (None, (), ()) if config is None else (config.pairs, config.claims, config.references)
    if reference is not None:
        references = stated_references(reference, "reference")
    results = infer(study.cells, pairs, claims, references, read_costs(folder))
    notice = STAND_INS_NOTICE if config is not None and config.stand_ins else ""
    page = write_results(results, folder, title=study.title, missing=study.missing, notice=notice)
    if figures is not None:
        from hf_sslgen.reporting.figures.figure_files import FIGURES, write_figures  # with matplotlib

        print(f"{len(write_figures(results, folder, figures))} figures: {folder / FIGURES}")
    if verbose:
        print("".join(f"{block}\n\n" for block in (terminal_table(results), *reference_tables_text(results))), end="")
    print("\n".join([terminal_summary(results, page), "", *caution_lines(results), *claim_lines(results)]).rstrip())
    if notice:
        print(f"\n{notice}")
    return study.damaged
