"""What a planned study can find, for `hf-sslgen study --power` and its dry run."""

from collections.abc import Sequence
from pathlib import Path

from hf_sslgen.errors import InputError
from hf_sslgen.reporting.power_table import power_lines, power_table
from hf_sslgen.study.cells.cell_folder import stored_folders
from hf_sslgen.study.cells.store import Store
from hf_sslgen.study.config import StudyConfig
from hf_sslgen.study.finished_cells import read_study_results
from hf_sslgen.study.inference.design.assumed_components import assumption_for
from hf_sslgen.study.inference.seed_averages import TargetDifference
from hf_sslgen.study.inference.study_results import infer
from hf_sslgen.study.inference.target_groups import headline_metrics_of
from hf_sslgen.study.plan import CellSpec
from hf_sslgen.study.planned_design import planned_study
from hf_sslgen.study.power import power_of


def power_text(
    config: StudyConfig, specs: Sequence[CellSpec], output_dir: Path | None, power_from: str | None, short: bool
) -> str:
    """Return what the study can find, from an earlier study, its own finished cells, or stated assumptions.

    Args:
        output_dir: the study's folder, which may not exist.
        power_from: the folder of an earlier study.
        short: whether to return a few lines instead of the table.

    Raises:
        InputError: `power_from` holds no finished cell.
    """
    study = planned_study(config, specs)
    if study is None:
        return "The study compares no backbones, so there is no difference to find."
    folder = Path(power_from) if power_from is not None else output_dir
    targets, headline_metrics = _differences(folder) if folder is not None else ((), {})
    if power_from is not None and not headline_metrics:
        raise InputError(f"power_from {power_from!r} holds no finished cell; name the folder of a study that has some")
    assumption = assumption_for(config.geometry.image_size if config.geometry is not None else None)
    power = power_of(study, targets, headline_metrics, assumption, config.analysis.max_subset)
    source = str(folder) if targets else ""
    return (power_lines if short else power_table)(power, source, assumption)


def _differences(folder: Path) -> tuple[Sequence[TargetDifference], dict[str, str]]:
    """Return a study's differences averaged over seeds, and the kind of accuracy used for each of its domains."""
    store = Store(folder)
    if not stored_folders(store.cells):
        return (), {}
    found = read_study_results(store)
    results = infer(found.cells, found.config.pairs if found.config is not None else None)
    return results.targets, headline_metrics_of(found.cells)
