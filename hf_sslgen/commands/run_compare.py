"""Run `hf-sslgen compare`, after its options have been parsed and its cells planned."""

from collections.abc import Sequence
from pathlib import Path

from hf_sslgen.commands.compare import CompareArguments
from hf_sslgen.commands.compare_plan import left_out_of
from hf_sslgen.errors import InputError
from hf_sslgen.output_folder import require_output_folder
from hf_sslgen.reporting.study_report import write_results
from hf_sslgen.reporting.terminal_summary import terminal_summary
from hf_sslgen.reporting.terminal_tables import terminal_table
from hf_sslgen.study.backbone_costs import read_costs
from hf_sslgen.study.cells.store import STUDY_FILE, Store, alone_in_reporting
from hf_sslgen.study.comparison_file import not_asked_for, write_comparison
from hf_sslgen.study.execution.cost_measurement import measure_costs
from hf_sslgen.study.execution.tracking_process import cells_tracked
from hf_sslgen.study.execution.workbench import Unavailable, domain_at_hand
from hf_sslgen.study.execution.worker import run_worker
from hf_sslgen.study.execution.worker_process import workers_logging
from hf_sslgen.study.finished_cells import finished_cells
from hf_sslgen.study.inference.study_results import infer
from hf_sslgen.study.plan import CellSpec
from hf_sslgen.study.preparation import prepare
from hf_sslgen.study.progress import missing_sentences
from hf_sslgen.training.tracking import UNTRACKED, TrackingArguments


def compare(arguments: CompareArguments, specs: Sequence[CellSpec], tracking: TrackingArguments = UNTRACKED) -> Path:
    """Compute missing cells, compare the finished ones and write the results; returns the report's path.

    Args:
        specs: the cells, from `hf_sslgen.commands.compare_plan.planned_cells`.

    Raises:
        InputError: names the cells that failed or are unreadable; tables and page are written for the others.
    """
    store = Store(require_output_folder(arguments.output_dir, own=["cells"]))
    if (store.folder / STUDY_FILE).exists():
        raise InputError(
            f"output_dir {arguments.output_dir!r} holds a study ({STUDY_FILE}), whose tables and page a comparison "
            "would replace; give another folder"
        )
    for domain in dict.fromkeys(spec.domain for spec in specs):
        domain_at_hand(domain)  # finds errors before hours are spent
    store.prepare()
    title = f"{arguments.compared} on {_domains(arguments, specs)}"
    if others := not_asked_for(store.folder, specs):
        print(f"{others} cells of an earlier comparison in this folder are kept, but not part of this one", flush=True)
    left_out = left_out_of(arguments)
    write_comparison(store, title, specs, left_out)
    store.limit_features(arguments.feature_cache_gb)
    store.forget_failures(specs)
    unavailable: Unavailable = {}
    prepare(specs, store, unavailable, "reported" if arguments.accept_inputs else "required")
    with cells_tracked(store, store.folder.name, tracking), workers_logging(arguments.verbose):
        run_worker(specs, store, unavailable=unavailable)
    cells, damaged = finished_cells(specs, store)
    missing = [*missing_sentences(specs, store), *damaged]
    if not cells:
        raise InputError(f"no cell could be computed. {' '.join(missing)}")
    with alone_in_reporting(store):
        if arguments.measure_cost:
            finished = {cell.backbone for cell in cells}
            measure_costs([spec for spec in specs if spec.backbone.name in finished], store.folder)
        results = infer(cells, costs=read_costs(store.folder))
        report = write_results(results, store.folder, title=title, missing=[*missing, *left_out])
    if arguments.verbose:
        print(f"{terminal_table(results)}\n")
    print("\n".join([terminal_summary(results, report), *left_out]))
    if missing:
        raise InputError(
            f"the comparison is missing cells (tracebacks in {store.folder / 'failures'}). {' '.join(missing)}"
        )
    return report


def _domains(arguments: CompareArguments, specs: Sequence[CellSpec]) -> str:
    names = arguments.dataset_name
    return f"{len(names)} domains" if len(names) > 1 else specs[0].domain_name
